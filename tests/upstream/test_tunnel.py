"""Servers behind proxies: CONNECT, TLS within TLS, SOCKS."""

from __future__ import annotations

import asyncio

import pytest

from bm.config.schema import Timeouts, UpstreamProxy
from bm.errors import Failure
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest
from tests.upstream.certificates import Authority
from tests.upstream.wire import Exchange, http_proxy, listening, read_head, serving, socks_proxy, turns

PATIENT = Timeouts(connect=5, first_byte=5, idle=5)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def ok(exchange: Exchange) -> None:
    await exchange.answer(200, exchange.body)


async def asked(
    client: UpstreamClient, url: str, proxy: str, authority: Authority | None = None, timeouts: Timeouts = PATIENT
) -> bytes | Failure:
    settings = UpstreamProxy(url=proxy, ca_bundle=str(authority.bundle) if authority else "")
    request = UpstreamRequest("acme", "POST", url, [("x-api-key", "key")], b"fine")
    try:
        return (await client.fetch(request, timeouts, settings, limit=100)).body
    except UpstreamError as error:
        return error.failure


async def test_a_server_with_tls_behind_an_http_proxy(client: UpstreamClient, authority: Authority) -> None:
    async with serving(ok, authority.server("acme.invalid")) as server, http_proxy() as proxy:
        url, through = f"https://acme.invalid:{server.port}/v1", f"http://user:p%40ss@127.0.0.1:{proxy.port}"
        for _ in range(2):
            assert await asked(client, url, through, authority) == b"fine"
        assert (server.connections, proxy.targets) == (1, [f"acme.invalid:{server.port}"])
        assert proxy.headers[0] == {"host": f"acme.invalid:{server.port}", "proxy-authorization": "Basic dXNlcjpwQHNz"}
        assert server.exchanges[0].target == "/v1" and "proxy-authorization" not in server.exchanges[0].headers


async def test_a_proxy_that_speaks_tls_itself(client: UpstreamClient, authority: Authority) -> None:
    proxy_tls = authority.server("localhost")
    async with (
        serving(ok) as plain,
        serving(ok, authority.server("acme.invalid")) as server,
        http_proxy(proxy_tls) as proxy,
    ):
        through = f"https://localhost:{proxy.port}"
        assert await asked(client, f"https://acme.invalid:{server.port}", through, authority) == b"fine"
        assert await asked(client, f"http://acme.invalid:{plain.port}/x", through, authority) == b"fine"
        assert proxy.targets == [f"acme.invalid:{server.port}", f"http://acme.invalid:{plain.port}/x"]


async def test_a_proxy_that_is_not_trusted(client: UpstreamClient, authority: Authority) -> None:
    async with http_proxy(authority.server("localhost")) as proxy:
        failure = await asked(client, "https://acme.invalid", f"https://localhost:{proxy.port}")
    assert isinstance(failure, Failure) and failure.code == "proxy" and "certificate" in failure.message


async def test_a_server_behind_a_proxy_that_is_not_trusted(client: UpstreamClient, authority: Authority) -> None:
    async with serving(ok, authority.server("elsewhere.example")) as server, http_proxy() as proxy:
        through = f"http://127.0.0.1:{proxy.port}"
        failure = await asked(client, f"https://acme.invalid:{server.port}", through, authority)
    assert isinstance(failure, Failure) and failure.code == "tls"


ANSWERS = {
    "no credentials": (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno", "407 Proxy Auth"),
    "no way": (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502 Bad Gateway"),
    "no reason": (b"HTTP/1.1 403\r\n\r\n", "answered 403"),
    "line feeds alone": (b"HTTP/1.0 403 No\nx: y\n\n", "answered 403 No"),
    "a redirect": (b"HTTP/1.1 302 Found\r\nLocation: http://login.example\r\n\r\n", "302 Found"),
    "a close": (b"", "closed the connection"),
    "half an answer": (b"HTTP/1.1 200 OK\r\n", "closed the connection"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "does not speak HTTP"),
    "an endless head": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, "does not speak HTTP"),
    "bytes ahead of the tunnel": (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "of its own"),
}


SPLIT = [name for name in ANSWERS if name not in ("an endless head", "bytes ahead of the tunnel")]


@pytest.mark.parametrize(("name", "step"), [*((name, 1 << 20) for name in ANSWERS), *((name, 3) for name in SPLIT)])
async def test_what_a_proxy_may_answer_to_connect(client: UpstreamClient, name: str, step: int) -> None:
    answer, words = ANSWERS[name]

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        for at in range(0, len(answer), step):
            writer.write(answer[at : at + step])
            await turns()

    async with listening(proxy) as port:
        failure = await asked(client, "https://192.0.2.1/", f"http://user:secret-word@127.0.0.1:{port}")
        assert isinstance(failure, Failure) and (failure.kind, failure.code) == ("connection", "proxy")
        assert words in failure.message and "acme" in failure.message and "secret-word" not in failure.message
        await turns(9)
        assert client.drop_connections() == 0


@pytest.mark.parametrize(
    ("limits", "code"),
    [(Timeouts(connect=0.05, first_byte=5), "connect"), (Timeouts(connect=5, first_byte=0.05), "first_byte")],
)
@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_says_nothing(client: UpstreamClient, scheme: str, limits: Timeouts, code: str) -> None:
    closed = asyncio.Event()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        closed.set()

    async with listening(proxy) as port:
        failure = await asked(client, "https://192.0.2.1/", f"{scheme}://127.0.0.1:{port}", timeouts=limits)
        assert isinstance(failure, Failure) and (failure.kind, failure.code) == ("timeout", code)
        await asyncio.wait_for(closed.wait(), 5)


async def test_a_plain_request_that_a_proxy_wants_credentials_for(client: UpstreamClient) -> None:
    async with serving(lambda exchange: exchange.answer(407, b"no")) as proxy:
        failure = await asked(client, "http://192.0.2.1/", f"http://127.0.0.1:{proxy.port}")
        assert isinstance(failure, Failure) and (failure.kind, failure.code) == ("connection", "proxy")
        assert "407" in failure.message
        assert isinstance(await asked(client, proxy.url, "direct"), bytes), "a server may answer what it wants"


async def test_a_server_with_tls_behind_a_socks_proxy_with_a_password(
    client: UpstreamClient, authority: Authority
) -> None:
    async with serving(ok, authority.server("acme.invalid")) as server, socks_proxy(login=("user", "word")) as proxy:
        url = f"https://acme.invalid:{server.port}"
        for _ in range(2):
            assert await asked(client, url, f"socks5h://user:word@127.0.0.1:{proxy.port}", authority) == b"fine"
        assert (server.connections, proxy.targets) == (1, [f"acme.invalid:{server.port}"])
        failure = await asked(client, url, f"socks5h://user:wrong-word@127.0.0.1:{proxy.port}", authority)
        assert isinstance(failure, Failure) and failure.code == "proxy" and "wrong-word" not in failure.message
