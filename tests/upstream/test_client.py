"""The client against real sockets: what it sends, how it reports failures, which connections it keeps."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from pathlib import Path

import pytest

from bm.config.schema import Timeouts, UpstreamProxy
from bm.errors import ConfigError, Failure
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest, UpstreamResponse
from bm.upstream.headers import Headers
from bm.upstream.tls import tls_context
from tests.upstream.wire import Exchange, http_proxy, listening, serving, socks_proxy

PATIENT = Timeouts(connect=5, first_byte=5, idle=5)
DIRECT = UpstreamProxy()


def request(url: str, body: bytes = b"{}", headers: Headers | None = None) -> UpstreamRequest:
    return UpstreamRequest("acme", "POST", url, headers or [("x-api-key", "key")], body)


async def opened(
    client: UpstreamClient, url: str, proxy: UpstreamProxy = DIRECT, timeouts: Timeouts = PATIENT
) -> UpstreamResponse:
    return await client.open(request(url), timeouts, proxy)


async def failure_of(
    client: UpstreamClient, url: str, proxy: UpstreamProxy = DIRECT, timeouts: Timeouts = PATIENT
) -> Failure:
    with pytest.raises(UpstreamError) as caught:
        response = await opened(client, url, proxy, timeouts)
        try:
            await response.read(1 << 20)
        finally:
            response.close()
    return caught.value.failure


async def ok(exchange: Exchange) -> None:
    await exchange.answer(200, b"fine", "X-Mixed-Case: Yes")


async def test_an_answer_is_read_with_its_headers_in_lower_case(client: UpstreamClient) -> None:
    async with serving(ok) as server:
        response = await opened(client, server.url)
        assert (response.status, await response.read(100)) == (200, b"fine")
        assert ("x-mixed-case", "Yes") in response.headers and response.header("X-Mixed-Case") == "Yes"
        assert response.header("absent") == ""
        response.close()


async def test_a_whole_response_of_any_status(client: UpstreamClient) -> None:
    async def refuses(exchange: Exchange) -> None:
        await exchange.answer(404, b"nothing", "X-Why: this")

    async with serving(refuses) as server:
        found = await client.fetch(request(server.url), PATIENT, DIRECT, limit=100)
    assert (found.status, found.headers["x-why"], found.body) == (404, "this", b"nothing")


async def test_a_whole_response_that_stops_is_a_timeout(client: UpstreamClient) -> None:
    async def stops(exchange: Exchange) -> None:
        await exchange.raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"a piece")
        await asyncio.sleep(5)

    async with serving(stops) as server:
        with pytest.raises(UpstreamError) as caught:
            await client.fetch(request(server.url), Timeouts(connect=5, first_byte=5, idle=0.1), DIRECT, limit=100)
    assert (caught.value.failure.kind, caught.value.failure.code) == ("timeout", "idle")


async def test_nothing_is_sent_that_was_not_asked_for(client: UpstreamClient) -> None:
    async with serving(ok) as server:
        headers = [("x-api-key", "key"), ("anthropic-beta", "one")]
        response = await client.open(request(f"{server.url}/v1/x%2Fy?a=b%20c", b'{"a":1}', headers), PATIENT, DIRECT)
        response.close()
        (exchange,) = server.exchanges
    assert (exchange.method, exchange.target, exchange.body) == ("POST", "/v1/x%2Fy?a=b%20c", b'{"a":1}')
    assert set(exchange.headers) - {"content-type"} == {"host", "x-api-key", "anthropic-beta", "content-length"}


async def test_what_was_peeked_at_is_read_again(client: UpstreamClient) -> None:
    async with serving(ok) as server:
        response = await opened(client, server.url)
        assert await response.peek() == b"fine"
        assert (response.read_now(), await response.read(100)) == (b"fine", b"")
        response.close()


async def test_a_get_has_no_body(client: UpstreamClient) -> None:
    async with serving(ok) as server:
        response = await client.open(UpstreamRequest("acme", "GET", server.url, []), PATIENT, DIRECT)
        response.close()
        assert "content-length" not in server.exchanges[0].headers


async def test_pieces_come_as_they_arrive(client: UpstreamClient) -> None:
    go_on = asyncio.Event()

    async def slowly(exchange: Exchange) -> None:
        await exchange.raw("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n", "5\r\nfirst\r\n")
        await go_on.wait()
        await exchange.raw("6\r\nsecond\r\n0\r\n\r\n")

    async with serving(slowly) as server:
        response = await opened(client, server.url)
        assert await response.read_some() == b"first"
        go_on.set()
        assert [await response.read_some(), await response.read_some()] == [b"second", b""]
        response.close()


@pytest.mark.parametrize(("encoding", "packed"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_answer_is_unpacked(client: UpstreamClient, encoding: str, packed: object) -> None:
    assert callable(packed)

    async def compressed(exchange: Exchange) -> None:
        await exchange.answer(200, packed(b"long" * 100), f"content-encoding: {encoding}")

    async with serving(compressed) as server:
        response = await opened(client, server.url)
        assert await response.read(1000) == b"long" * 100
        response.close()


async def test_broken_compression_is_a_failure(client: UpstreamClient) -> None:
    async def broken(exchange: Exchange) -> None:
        await exchange.answer(200, b"this is not gzip", "content-encoding: gzip")

    async with serving(broken) as server:
        assert (await failure_of(client, server.url)).kind in ("truncated", "connection")


async def test_an_answer_beyond_the_limit_is_refused(client: UpstreamClient) -> None:
    async with serving(ok) as server:
        response = await opened(client, server.url)
        with pytest.raises(UpstreamError) as caught:
            await response.read(3)
        assert caught.value.failure.kind == "malformed"
        response.close()


async def test_nothing_listens_on_the_port(client: UpstreamClient, free_port: int) -> None:
    failure = await failure_of(client, f"http://127.0.0.1:{free_port}")
    assert (failure.kind, failure.code) == ("connection", "connect") and "acme" in failure.message


async def test_a_name_that_does_not_exist(client: UpstreamClient) -> None:
    failure = await failure_of(client, "http://nowhere.invalid")
    assert (failure.kind, failure.code) == ("connection", "dns")


async def test_a_server_without_tls(client: UpstreamClient) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 X\r\n\r\n")

    async with listening(plain) as port:
        failure = await failure_of(client, f"https://127.0.0.1:{port}")
    assert (failure.kind, failure.code) == ("connection", "tls") and "acme" in failure.message


async def never(exchange: Exchange) -> None:
    await asyncio.Event().wait()


async def test_silence_before_the_head(client: UpstreamClient) -> None:
    async with serving(never) as server:
        failure = await failure_of(client, server.url, timeouts=Timeouts(first_byte=0.2))
    assert (failure.kind, failure.code) == ("timeout", "first_byte") and "0.2 s" in failure.message


async def test_first_byte_bounds_only_the_head(client: UpstreamClient) -> None:
    async def late_body(exchange: Exchange) -> None:
        await exchange.raw("HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\n")
        await asyncio.sleep(0.4)
        await exchange.raw("late")

    async with serving(late_body) as server:
        response = await opened(client, server.url, timeouts=Timeouts(first_byte=0.2))
        assert await response.read(10) == b"late"
        response.close()


async def test_cookies_are_not_kept(client: UpstreamClient) -> None:
    async def cookie(exchange: Exchange) -> None:
        await exchange.answer(200, b"", "set-cookie: session=of-another; Path=/")

    async with serving(cookie) as server:
        for _ in range(2):
            response = await opened(client, server.url)
            await response.read(10)
            response.close()
        assert ["cookie" in exchange.headers for exchange in server.exchanges] == [False, False]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(client: UpstreamClient, status: int) -> None:
    async def elsewhere(exchange: Exchange) -> None:
        await exchange.answer(status, b"", "location: /elsewhere")

    async with serving(elsewhere) as server:
        response = await opened(client, server.url)
        assert response.status == status and len(server.exchanges) == 1
        response.close()


async def test_a_body_that_drips_is_bounded_as_a_whole(client: UpstreamClient) -> None:
    async def drip(exchange: Exchange) -> None:
        await exchange.raw("HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(50):
            await exchange.raw(" ")
            await asyncio.sleep(0.05)

    async with serving(drip) as server:
        response = await opened(client, server.url)
        with pytest.raises(UpstreamError) as caught:
            await response.read(1 << 20, 5, whole=0.3)
        response.close()
    assert (caught.value.failure.kind, caught.value.failure.code) == ("timeout", "whole")


async def test_the_time_of_a_body_may_have_begun_before_it_is_read(client: UpstreamClient) -> None:
    async def half(exchange: Exchange) -> None:
        await exchange.raw("HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\n", "half")
        await asyncio.sleep(5)

    async with serving(half) as server:
        response = await opened(client, server.url)
        began = asyncio.get_running_loop().time() - 60
        with pytest.raises(UpstreamError, match="did not complete its response within 60 s"):
            await response.read(100, whole=60, since=began)
        response.close()


async def test_a_connection_is_closed_when_the_answer_was_not_read_to_its_end(client: UpstreamClient) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.raw("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n", "5\r\nfirst\r\n")
        await exchange.writer.wait_closed()

    async with serving(endless) as server:
        response = await opened(client, server.url)
        await response.read_some()
        response.close()
        await asyncio.wait_for(watch_close(server.exchanges[0]), 2)
        second = await opened(client, server.url)
        assert server.connections == 2
        second.close()


async def watch_close(exchange: Exchange) -> None:
    """Until the client has closed its end."""
    while not exchange.writer.transport.is_closing():
        exchange.writer.write(b"1\r\nx\r\n")
        await asyncio.sleep(0.01)


async def test_many_streams_at_once(client: UpstreamClient) -> None:
    go_on = asyncio.Event()

    async def held(exchange: Exchange) -> None:
        await exchange.raw("HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n")
        await go_on.wait()
        await exchange.raw("ok")

    async with serving(held) as server:
        responses = await asyncio.gather(*(opened(client, server.url) for _ in range(120)))
        assert server.connections == 120
        go_on.set()
        assert await asyncio.gather(*(response.read(10) for response in responses)) == [b"ok"] * 120
        for response in responses:
            response.close()


async def test_an_http_proxy(client: UpstreamClient) -> None:
    async with serving(ok) as server, http_proxy() as proxy:
        settings = UpstreamProxy(url=f"http://user:word@127.0.0.1:{proxy.port}")
        (await opened(client, server.url, settings)).close()
        assert proxy.targets == [], "this machine is reached directly"
        response = await opened(client, f"http://acme.invalid:{server.port}/v1", settings)
        assert await response.read(10) == b"fine"
        response.close()
        assert proxy.targets == [f"http://acme.invalid:{server.port}/v1"]
        assert "proxy-authorization" not in server.exchanges[1].headers


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
async def test_a_proxy_that_is_not_there(client: UpstreamClient, free_port: int, scheme: str) -> None:
    settings = UpstreamProxy(url=f"{scheme}://user:secret-word@127.0.0.1:{free_port}")
    failure = await failure_of(client, "http://192.0.2.1/", settings)
    assert (failure.kind, failure.code) == ("connection", "proxy")
    assert "secret-word" not in failure.message and "acme" in failure.message


async def test_a_socks_proxy_that_resolves_names(client: UpstreamClient) -> None:
    async with serving(ok) as server, socks_proxy() as proxy:
        settings = UpstreamProxy(url=f"socks5h://127.0.0.1:{proxy.port}")
        response = await opened(client, f"http://acme.invalid:{server.port}/v1", settings)
        assert await response.read(10) == b"fine"
        response.close()
        assert proxy.targets == [f"acme.invalid:{server.port}"]


async def test_a_socks_proxy_for_an_address(client: UpstreamClient) -> None:
    async with serving(ok) as server, socks_proxy() as proxy:
        settings = UpstreamProxy(url=f"socks5://127.0.0.1:{proxy.port}")
        response = await opened(client, f"http://192.0.2.1:{server.port}/v1", settings)
        assert await response.read(10) == b"fine"
        response.close()
        assert proxy.targets == [f"192.0.2.1:{server.port}"]


async def test_a_socks_proxy_that_refuses(client: UpstreamClient) -> None:
    async with socks_proxy(refuses=True) as proxy:
        settings = UpstreamProxy(url=f"socks5://127.0.0.1:{proxy.port}")
        failure = await failure_of(client, "http://192.0.2.1:9/", settings)
    assert (failure.kind, failure.code) == ("connection", "proxy")


@pytest.mark.parametrize("content", [None, "this is no certificate"])
async def test_a_ca_bundle_that_cannot_be_read(client: UpstreamClient, tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    failure = await failure_of(client, "https://192.0.2.1/", UpstreamProxy(ca_bundle=str(bundle)))
    assert failure.kind == "unavailable" and "ca_bundle" in failure.message and str(bundle) in failure.message
    with pytest.raises(ConfigError, match="ca_bundle"):
        tls_context(str(bundle))


async def test_a_closed_client_can_be_used_again(client: UpstreamClient) -> None:
    async with serving(ok) as server:
        (await opened(client, server.url)).close()
        await client.close()
        (await opened(client, server.url)).close()
        assert server.connections == 2
