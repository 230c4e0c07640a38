"""Media by URL, without reaching the user's own network; token endpoints, through the configured proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bm.accounts.google import Fetched, FetchRequest
from bm.config.schema import Config, Timeouts, UpstreamProxy
from bm.errors import Failure
from bm.simulator import OAuth, Simulator
from bm.upstream import fetch as fetch_module
from bm.upstream.client import UpstreamClient, UpstreamRequest, UpstreamResponse
from bm.upstream.fetch import FetchedMedia, NotFetched, fetch_media, token_fetcher
from tests.upstream.wire import Exchange, http_proxy, serving, socks_proxy

DIRECT = UpstreamProxy()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x.png",
        "http://localhost/x.png",
        "http://[::1]/x.png",
        "http://169.254.169.254/latest/meta-data",
        "http://2130706433/x.png",
        "http://[::ffff:127.0.0.1]/x.png",
        "http://user:word@93.184.216.34/x.png",
        "file:///etc/passwd",
        "ftp://93.184.216.34/x.png",
        "gopher://93.184.216.34/",
        "http://",
        "not a url",
    ],
)
async def test_refused_urls(url: str) -> None:
    with pytest.raises(NotFetched):
        await fetch_media(url, DIRECT)


async def image(exchange: Exchange) -> None:
    await exchange.answer(200, b"pixels", "content-type: image/png; charset=x")


async def test_media_is_fetched_without_cookies_or_keys() -> None:
    async with serving(image) as server:
        found = await fetch_media(f"{server.url}/x.png", DIRECT, public_only=False)
        assert found == FetchedMedia("image/png", b"pixels")
        (exchange,) = server.exchanges
        assert not {"cookie", "authorization", "x-api-key", "referer"} & exchange.headers.keys()


async def test_a_redirect_is_followed_only_to_public_addresses() -> None:
    async def away(exchange: Exchange) -> None:
        if exchange.target == "/x.png":
            await exchange.answer(200, b"pixels", "content-type: image/png")
        else:
            await exchange.answer(
                302, b"", f"location: {'/x.png' if exchange.target == '/a' else 'file:///etc/passwd'}"
            )

    async with serving(away) as server:
        assert (await fetch_media(f"{server.url}/a", DIRECT, public_only=False)).data == b"pixels"
        with pytest.raises(NotFetched, match="only http"):
            await fetch_media(f"{server.url}/b", DIRECT, public_only=False)


async def test_redirects_end() -> None:
    async def around(exchange: Exchange) -> None:
        await exchange.answer(302, b"", "location: /again")

    async with serving(around) as server:
        with pytest.raises(NotFetched, match="redirects more than"):
            await fetch_media(server.url, DIRECT, public_only=False)


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [(404, "image/png", "404"), (200, "text/html", "text/html"), (200, "application/json", "application/json")],
)
async def test_responses_that_are_not_media(status: int, kind: str, word: str) -> None:
    async def answers(exchange: Exchange) -> None:
        await exchange.answer(status, b"x", f"content-type: {kind}")

    async with serving(answers) as server:
        with pytest.raises(NotFetched, match=word):
            await fetch_media(server.url, DIRECT, public_only=False)


@pytest.mark.parametrize("declared", [True, False])
async def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch, declared: bool) -> None:
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 1024)

    async def large(exchange: Exchange) -> None:
        if declared:
            await exchange.answer(200, b"x" * 1025, "content-type: image/png")
        else:
            await exchange.raw("HTTP/1.1 200 X\r\ncontent-type: image/png\r\nconnection: close\r\n\r\n", b"x" * 5000)
            exchange.writer.close()

    async with serving(large) as server:
        with pytest.raises(NotFetched, match="larger than"):
            await fetch_media(server.url, DIRECT, public_only=False)


async def test_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "SECONDS", 0.2)

    async def never(exchange: Exchange) -> None:
        await exchange.raw("HTTP/1.1 200 X\r\n")

    async with serving(never) as server:
        with pytest.raises(NotFetched, match="longer than"):
            await fetch_media(server.url, DIRECT, public_only=False)


@pytest.fixture
async def client() -> AsyncIterator[UpstreamClient]:
    made = UpstreamClient()
    yield made
    await made.close()


def request(url: str) -> FetchRequest:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return FetchRequest(method="POST", url=url, headers=headers, body=b"grant_type=x")


async def test_an_answer_of_any_status(client: UpstreamClient) -> None:
    with Simulator() as sim:
        found = await token_fetcher(client, Config)(request(f"{sim.url}/oauth/token"))
    assert isinstance(found, Fetched)
    assert found.status == 400 and b"unsupported_grant_type" in found.body and found.headers["date"]


async def test_a_missing_response_is_a_value(client: UpstreamClient) -> None:
    with Simulator() as sim:
        sim.script(oauth=OAuth(fault="down"))
        found = await token_fetcher(client, Config)(request(f"{sim.url}/oauth/token"))
    assert isinstance(found, Failure) and found.kind == "connection"


async def test_a_bundle_that_cannot_be_read_is_no_crash(client: UpstreamClient, tmp_path: object) -> None:
    config = Config(upstream_proxy=UpstreamProxy(ca_bundle=f"{tmp_path}/none.pem"))
    found = await token_fetcher(client, lambda: config)(request("https://example.invalid/token"))
    assert isinstance(found, Failure) and "none.pem" in found.message


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://oauth2.googleapis.com/token", "http://proxy.invalid:1"),
        ("http://169.254.169.254/computeMetadata/v1/", "direct"),
        ("http://metadata.google.internal/computeMetadata/v1/", "direct"),
    ],
)
async def test_the_metadata_server_is_never_proxied(
    client: UpstreamClient, monkeypatch: pytest.MonkeyPatch, url: str, proxy: str
) -> None:
    seen: list[str] = []

    async def refuse(sent: UpstreamRequest, timeouts: Timeouts, through: UpstreamProxy) -> UpstreamResponse:
        seen.append(through.url)
        raise OSError

    monkeypatch.setattr(client, "open", refuse)
    config = Config(upstream_proxy=UpstreamProxy(url="http://proxy.invalid:1"))
    with pytest.raises(OSError):
        await token_fetcher(client, lambda: config)(request(url))
    assert seen == [proxy]


async def test_media_goes_through_a_socks_proxy() -> None:
    async with serving(image) as server, socks_proxy() as proxy:
        settings = UpstreamProxy(url=f"socks5h://127.0.0.1:{proxy.port}")
        url = f"http://pictures.invalid:{server.port}/x.png"
        assert (await fetch_media(url, settings)).data == b"pixels"
        assert proxy.targets == [f"pictures.invalid:{server.port}"]


async def test_a_socks_proxy_that_hangs_up_is_reported() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(3)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as proxy:
        settings = UpstreamProxy(url=f"socks5h://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        with pytest.raises(NotFetched):
            await fetch_media("http://pictures.invalid/x.png", settings)


async def test_a_redirect_behind_a_proxy_is_checked_before_the_proxy_is_asked() -> None:
    async def away(exchange: Exchange) -> None:
        await exchange.answer(302, b"", "location: http://127\u30020\u30020\u30021/secret.png")

    async with serving(away) as server, http_proxy() as proxy:
        settings = UpstreamProxy(url=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(NotFetched, match="not a public address"):
            await fetch_media(f"http://pictures.invalid:{server.port}/x.png", settings)
        assert len(proxy.targets) == 1
