"""Which connections are kept, and which one serves the next request."""

from __future__ import annotations

import asyncio

import pytest

from bm.config.proxy import read_proxy
from bm.config.schema import Timeouts, UpstreamProxy
from bm.upstream import pool as pool_module
from bm.upstream.client import UpstreamClient, UpstreamRequest, UpstreamResponse
from bm.upstream.origin import locate
from bm.upstream.pool import Route
from tests.upstream.wire import Exchange, http_proxy, serving, turns

PATIENT = Timeouts(connect=5, first_byte=5, idle=5)


async def ok(exchange: Exchange) -> None:
    await exchange.answer(200, b"fine")


async def opened(client: UpstreamClient, url: str, proxy: str = "direct") -> UpstreamResponse:
    return await client.open(UpstreamRequest("acme", "POST", url, []), PATIENT, UpstreamProxy(url=proxy))


async def finished(*responses: UpstreamResponse) -> None:
    for response in responses:
        await response.read(100)
        response.close()


def connection_of(exchange: Exchange) -> int:
    return int(exchange.writer.get_extra_info("peername")[1])


async def test_the_connection_that_was_used_last_is_reused_first(client: UpstreamClient) -> None:
    async with serving(ok) as server:
        responses = [await opened(client, server.url) for _ in range(3)]
        await finished(responses[0], responses[2], responses[1])
        used = [connection_of(exchange) for exchange in server.exchanges]
        for _ in range(3):
            responses.append(await opened(client, server.url))
        await finished(*responses[3:])
        assert [connection_of(exchange) for exchange in server.exchanges[3:]] == [used[1], used[2], used[0]]
        assert server.connections == 3


async def test_origins_and_proxies_have_their_own_connections(client: UpstreamClient) -> None:
    async with serving(ok) as one, serving(ok) as other, http_proxy() as proxy:
        for server in (one, other, one, other):
            await finished(await opened(client, server.url))
        assert (one.connections, other.connections) == (1, 1)
        await finished(await opened(client, f"http://localhost:{one.port}"))
        assert one.connections == 2
        name = f"http://acme.invalid:{one.port}"
        await finished(await opened(client, name, f"http://127.0.0.1:{proxy.port}"))
        assert len(proxy.targets) == 1


async def test_what_is_idle_for_too_long_is_closed(client: UpstreamClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 0.1)
    async with serving(ok) as server:
        long, short = await opened(client, server.url), await opened(client, server.url)
        await finished(long)
        await asyncio.sleep(0.06)
        await finished(short)
        await asyncio.sleep(0.06)
        assert client.drop_connections(frozenset()) == 0
        response = await opened(client, server.url)
        await finished(response)
        assert connection_of(server.exchanges[2]) == connection_of(server.exchanges[1])
        await asyncio.sleep(0.2)
        assert client.drop_connections() == 0, "none is left"


async def test_no_more_than_some_are_kept(client: UpstreamClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MAX_IDLE", 2)
    async with serving(ok) as server:
        await finished(*[await opened(client, server.url) for _ in range(5)])
        await turns(9)
        assert client.drop_connections() == 2


async def test_connections_are_dropped_by_their_address(client: UpstreamClient) -> None:
    async with serving(ok) as server:
        idle, busy = await opened(client, server.url), await opened(client, server.url)
        await finished(idle)
        assert client.drop_connections({"192.0.2.7"}) == 0
        assert client.drop_connections({"127.0.0.1"}) == 2
        await turns(9)
        assert client.drop_connections() == 0
        busy.close()
        await finished(await opened(client, server.url))
        assert server.connections == 3


@pytest.mark.parametrize(
    ("url", "proxy", "asks"),
    [
        ("http://a.example", None, False),
        ("http://a.example", "http://p.example", True),
        ("http://a.example", "https://p.example", True),
        ("https://a.example", "http://p.example", False),
        ("http://a.example", "socks5://p.example", False),
    ],
)
def test_who_a_request_is_addressed_to(url: str, proxy: str | None, asks: bool) -> None:
    assert Route(locate(url).origin, read_proxy(proxy) if proxy else None, "").asks_proxy is asks
