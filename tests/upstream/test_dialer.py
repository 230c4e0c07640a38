"""How connections are opened: names, several addresses, limits of time."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bm.config.schema import Timeouts, UpstreamProxy
from bm.upstream import dialer as dialer_module
from bm.upstream.client import NO_DESCRIPTOR, UpstreamClient, UpstreamError, UpstreamRequest
from bm.upstream.dialer import AddressInfo
from tests.upstream.wire import Exchange, listening, serving, turns

PATIENT = Timeouts(connect=5, first_byte=5, idle=5)
DIRECT = UpstreamProxy(url="direct")
NAME = "several.example"


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


async def ok(exchange: Exchange) -> None:
    await exchange.answer(200, b"fine")


async def asked(client: UpstreamClient, url: str, timeouts: Timeouts = PATIENT) -> bytes | tuple[str, str]:
    try:
        return (await client.fetch(UpstreamRequest("acme", "POST", url, []), timeouts, DIRECT, limit=100)).body
    except UpstreamError as error:
        return error.failure.kind, error.failure.code


def address(host: str, port: int) -> AddressInfo:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.SOCK_STREAM, 6, "", (host, port, 0, 0) if ":" in host else (host, port)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The addresses of names. A name that is not there cannot be resolved; `asked` holds the questions."""
    found: dict[str, list[str]] = {"asked": []}

    async def looked_up(host: str, port: int) -> list[AddressInfo]:
        found["asked"].append(host)
        await asyncio.sleep(0.01)
        if host not in found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [address(each, port) for each in found[host]]

    monkeypatch.setattr(dialer_module, "_looked_up", looked_up)
    return found


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Addresses in 192.0.2.0/24 never answer. Those that were tried, and whether they were given up."""
    tried: list[Any] = []
    connect: Callable[..., Any] = dialer_module._connect_to

    async def connect_to(info: AddressInfo) -> socket.socket:
        if not info[4][0].startswith("192.0.2."):
            made: socket.socket = await connect(info)
            return made
        tried.append(info[4][0])
        try:
            await asyncio.Event().wait()
        finally:
            tried.append("given up")
        raise AssertionError

    monkeypatch.setattr(dialer_module, "_connect_to", connect_to)
    return tried


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1", "127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["::1", "::1", "127.0.0.3", "127.0.0.1"]],
)
async def test_an_address_that_refuses_is_followed_by_the_next(
    client: UpstreamClient, names: dict[str, list[str]], addresses: list[str]
) -> None:
    names[NAME] = addresses
    async with serving(ok) as server:
        assert await asked(client, f"http://{NAME}:{server.port}") == b"fine"


async def test_an_address_that_is_silent_is_overtaken(
    client: UpstreamClient, names: dict[str, list[str]], silent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialer_module, "STAGGER", 0.02)
    names[NAME] = ["192.0.2.1", "192.0.2.2", "127.0.0.1", "192.0.2.3"]
    async with serving(ok) as server:
        assert await asked(client, f"http://{NAME}:{server.port}") == b"fine"
        await turns()
        assert silent == ["192.0.2.1", "192.0.2.2", "given up", "given up"]
        assert server.connections == 1


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_families_take_turns(
    client: UpstreamClient, names: dict[str, list[str]], silent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialer_module, "STAGGER", 0.02)
    names[NAME] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "::1"]

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with listening(hangs_up, host="::1") as port:
        assert await asked(client, f"http://{NAME}:{port}") == ("connection", "reset")
        assert silent == ["192.0.2.1", "given up"]


async def test_no_address_answers(client: UpstreamClient, names: dict[str, list[str]], free_port: int) -> None:
    names[NAME] = ["127.0.0.1", "127.0.0.2"]
    assert await asked(client, f"http://{NAME}:{free_port}") == ("connection", "connect")


@pytest.mark.parametrize("proxy", ["direct", "http://127.0.0.1:1", "socks5://127.0.0.1:1"])
async def test_a_process_without_a_descriptor_names_that(client: UpstreamClient, proxy: str) -> None:
    async with serving(ok) as server:
        with no_descriptor_left(), pytest.raises(UpstreamError) as caught:
            request = UpstreamRequest("acme", "POST", f"http://192.0.2.1:{server.port}", [])
            await client.open(request, PATIENT, UpstreamProxy(url=proxy))
    assert caught.value.failure.code == NO_DESCRIPTOR and "ulimit" in caught.value.failure.message


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_silence_ends_with_the_limit_for_connecting(
    client: UpstreamClient, names: dict[str, list[str]], silent: list[Any]
) -> None:
    names[NAME] = ["192.0.2.1", "192.0.2.2"]
    limit = Timeouts(connect=0.05, first_byte=5)
    assert await asked(client, f"http://{NAME}:1", limit) == ("timeout", "connect")
    assert await asked(client, "http://192.0.2.1:1", limit) == ("timeout", "connect")
    assert await asked(client, f"http://{NAME}:1", Timeouts(connect=5, first_byte=0.05)) == ("timeout", "first_byte")
    await turns()
    assert silent.count("given up") == 3


@pytest.mark.parametrize("proxied", [False, True])
async def test_silent_connections_are_probed(client: UpstreamClient, proxied: bool) -> None:
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 0))]
    async with serving(ok) as server:
        through = UpstreamProxy(url=f"http://127.0.0.1:{server.port}") if proxied else DIRECT
        request = UpstreamRequest("acme", "POST", f"http://127.0.0.1:{server.port}/v1", [])
        await client.fetch(request, PATIENT, through, limit=100)
        [connection] = client._pool._open
        assert connection._transport is not None
        probed = connection._transport.get_extra_info("socket")
        assert [probed.getsockopt(level, option) for level, option in options if option] == [1, 10]


async def test_a_server_that_says_nothing_of_tls(client: UpstreamClient) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as port:
        limit = Timeouts(connect=0.05, first_byte=5)
        assert await asked(client, f"https://127.0.0.1:{port}", limit) == ("timeout", "connect")


async def test_a_name_is_looked_up_once_for_requests_at_the_same_time(
    client: UpstreamClient, names: dict[str, list[str]]
) -> None:
    names[NAME] = ["127.0.0.1"]
    async with serving(ok) as server:
        url = f"http://{NAME}:{server.port}"
        assert await asyncio.gather(*(asked(client, url) for _ in range(9))) == [b"fine"] * 9
        assert names["asked"] == [NAME]


async def test_a_name_that_is_unknown_is_looked_up_anew(client: UpstreamClient, names: dict[str, list[str]]) -> None:
    async with serving(ok) as server:
        url = f"http://{NAME}:{server.port}"
        assert await asked(client, url) == ("connection", "dns")
        names[NAME] = ["127.0.0.1"]
        assert await asked(client, url) == b"fine"


async def test_addresses_are_forgotten(
    client: UpstreamClient, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialer_module, "NAMES_KEPT", -1)
    names[NAME] = ["127.0.0.1"]

    async def close(exchange: Exchange) -> None:
        await exchange.answer(200, b"fine", "connection: close")

    async with serving(close) as server:
        for _ in range(2):
            assert await asked(client, f"http://{NAME}:{server.port}") == b"fine"
    assert names["asked"] == [NAME, NAME]


async def test_a_name_whose_server_is_silent_is_asked_for_once_until_the_network_is_another(
    client: UpstreamClient, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialer_module, "NAMES_KEPT", -1)
    silence = asyncio.Event()

    async def looked_up(host: str, port: int) -> list[AddressInfo]:
        names["asked"].append(host)
        await silence.wait()
        return [address("127.0.0.1", port)]

    monkeypatch.setattr(dialer_module, "_looked_up", looked_up)
    hasty = Timeouts(connect=0.02, first_byte=5, idle=5)
    for _ in range(3):
        assert await asked(client, f"http://{NAME}:1", hasty) == ("timeout", "connect")
    assert names["asked"] == [NAME]
    client.drop_connections()
    assert await asked(client, f"http://{NAME}:1", hasty) == ("timeout", "connect")
    assert names["asked"] == [NAME, NAME]
    silence.set()


async def test_a_lookup_survives_the_request_that_began_it(client: UpstreamClient, names: dict[str, list[str]]) -> None:
    names[NAME] = ["127.0.0.1"]
    async with serving(ok) as server:
        url = f"http://{NAME}:{server.port}"
        first, second = (asyncio.ensure_future(asked(client, url)) for _ in range(2))
        await turns()
        first.cancel()
        assert await second == b"fine" and names["asked"] == [NAME]


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["::ffff:127.0.0.1"], []])
async def test_only_public_addresses_are_reached(names: dict[str, list[str]], addresses: list[str]) -> None:
    client, names[NAME] = UpstreamClient(public_only=True), addresses
    async with serving(ok) as server:
        for host in (NAME, "127.0.0.1"):
            assert await asked(client, f"http://{host}:{server.port}") == ("connection", "connect")
        assert server.connections == 0
    await client.close()
