"""Requests to other servers than the providers: media by URL, and token endpoints.

The URL of media comes from a client, and with agents often from a web page. Only public addresses are reached, whatever
names and redirects say, and size, time and type are bounded.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import urljoin

import aiohttp
import msgspec
from aiohttp.resolver import ThreadedResolver

from bm.accounts.google import Fetch, Fetched, FetchRequest
from bm.config.proxy import ProxyAddress
from bm.config.schema import Config, UpstreamProxy
from bm.errors import ConfigError, Failure
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest, socks_errors, through_socks, tls_context
from bm.upstream.endpoint import USER_AGENT
from bm.upstream.proxy import for_request, proxy_for
from bm.upstream.public import PublicOnly, public_url, refuse_private_name

MAX_BYTES = 20 * 1024 * 1024
SECONDS = 20.0
MAX_REDIRECTS = 3
_HEADERS = (("user-agent", USER_AGENT), ("accept", "*/*"))
_TYPES = ("image/", "audio/", "video/", "application/pdf", "text/plain")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

MAX_TOKEN_BYTES = 256 * 1024

_METADATA = ("http://169.254.169.254", "http://metadata.google.internal")
"""The metadata server of a cloud. It can only be reached from its own machine, so never through a proxy."""


class FetchedMedia(msgspec.Struct, frozen=True):
    """The media at a URL."""

    mime: str
    data: bytes


class NotFetched(Exception):
    """The URL was refused, or yielded no media within the bounds. The text says why."""


async def fetch_media(url: str, proxy: UpstreamProxy, *, public_only: bool = True) -> FetchedMedia:
    """The media at an http(s) URL.

    Tests turn `public_only` off: their servers are on this machine.

    Raises:
        NotFetched: the address is not public, the type is not media, or size, time or redirects exceed the bounds.
    """
    failures: tuple[type[Exception], ...] = (aiohttp.ClientError, ConfigError, OSError, ValueError, *socks_errors())
    try:
        async with asyncio.timeout(SECONDS):
            return await _fetch(url, proxy, public_only)
    except TimeoutError:
        raise NotFetched(f"it took longer than {SECONDS:g} s") from None
    except aiohttp.ClientHttpProxyError as error:
        raise NotFetched(f"the proxy answered {error.status}") from error
    except failures as error:
        raise NotFetched(str(error) or type(error).__name__) from error


async def _fetch(url: str, proxy: UpstreamProxy, public_only: bool) -> FetchedMedia:
    for _ in range(MAX_REDIRECTS + 1):
        address = public_url(url, public_only=public_only)
        through = proxy_for(str(address), proxy)
        if through and public_only:
            await refuse_private_name(address)
        headers, options = for_request(through, str(address))
        context = tls_context(proxy.ca_bundle)
        async with (
            aiohttp.ClientSession(
                connector=_connector(through, context, public_only), cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.get(address, headers=[*_HEADERS, *headers], allow_redirects=False, **options) as response,
        ):
            if response.status not in _REDIRECTS or "location" not in response.headers:
                return await _read(response)
            url = urljoin(str(address), response.headers["location"])
    raise NotFetched(f"it redirects more than {MAX_REDIRECTS} times")


def _connector(through: ProxyAddress | None, context: ssl.SSLContext, public_only: bool) -> aiohttp.TCPConnector:
    if through and through.is_socks:
        return through_socks(through, context)
    # The address of a proxy may be private.
    resolver = PublicOnly() if public_only and through is None else ThreadedResolver()
    return aiohttp.TCPConnector(resolver=resolver, ssl=context, use_dns_cache=False)


async def _read(response: aiohttp.ClientResponse) -> FetchedMedia:
    if response.status != 200:
        raise NotFetched(f"its server answered {response.status}")
    mime = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not mime.startswith(_TYPES):
        raise NotFetched(f"it is of type {mime or 'unknown'}, not an image, a PDF, audio or video")
    if (response.content_length or 0) > MAX_BYTES:
        raise NotFetched(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")
    data = bytearray()
    while piece := await response.content.readany():
        data += piece
        if len(data) > MAX_BYTES:
            raise NotFetched(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")
    return FetchedMedia(mime, bytes(data))


def token_fetcher(client: UpstreamClient, config: Callable[[], Config]) -> Fetch:
    """Sends requests for access tokens, with the proxy, trust and timeouts that `config` has for Gemini at the time."""

    async def fetch(request: FetchRequest) -> Fetched | Failure:
        current = config()
        proxy, timeouts = current.proxy_for("gemini"), current.timeouts_for("gemini").alone
        if request.url.startswith(_METADATA):
            proxy = UpstreamProxy(url="direct")
            timeouts = msgspec.structs.replace(timeouts, connect=1.0)
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        upstream = UpstreamRequest("Google's sign-in", request.method, request.url, headers, request.body)
        try:
            return await client.fetch(upstream, timeouts, proxy, limit=MAX_TOKEN_BYTES)
        except UpstreamError as error:
            return error.failure

    return fetch
