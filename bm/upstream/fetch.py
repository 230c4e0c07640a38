"""Requests to other servers than the providers: media by URL, and token endpoints.

The URL of media comes from a client, and with agents often from a web page. Only public addresses are reached, whatever
names and redirects say, and size, time and type are bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urljoin

import msgspec

from bm.accounts.google import Fetch, Fetched, FetchRequest
from bm.config.schema import Config, Timeouts, UpstreamProxy
from bm.errors import ConfigError, Failure
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest, UpstreamResponse
from bm.upstream.endpoint import USER_AGENT
from bm.upstream.headers import Headers
from bm.upstream.origin import locate
from bm.upstream.proxy import proxy_for
from bm.upstream.public import public_url, refuse_private_name

MAX_BYTES = 20 * 1024 * 1024
SECONDS = 20.0
MAX_REDIRECTS = 3
_TIMEOUTS = Timeouts(connect=SECONDS, first_byte=SECONDS)
_HEADERS: Headers = [("user-agent", USER_AGENT), ("accept", "*/*")]
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
    client = UpstreamClient(public_only=public_only)
    try:
        async with asyncio.timeout(SECONDS):
            return await _fetch(client, url, proxy, public_only)
    except TimeoutError:
        raise NotFetched(f"it took longer than {SECONDS:g} s") from None
    except (ConfigError, ValueError) as error:
        raise NotFetched(str(error)) from error
    except UpstreamError as error:
        raise NotFetched(error.failure.message) from error
    finally:
        await client.close()


async def _fetch(client: UpstreamClient, url: str, proxy: UpstreamProxy, public_only: bool) -> FetchedMedia:
    for _ in range(MAX_REDIRECTS + 1):
        address = public_url(url, public_only=public_only)
        if public_only and proxy_for(address, proxy):
            origin = locate(address).origin
            await refuse_private_name(origin.host, origin.port)
        response = await client.open(UpstreamRequest("its server", "GET", address, _HEADERS), _TIMEOUTS, proxy)
        try:
            location = response.header("location")
            if response.status not in _REDIRECTS or not location:
                return await _read(response)
        finally:
            response.close()
        url = urljoin(address, location)
    raise NotFetched(f"it redirects more than {MAX_REDIRECTS} times")


async def _read(response: UpstreamResponse) -> FetchedMedia:
    if response.status != 200:
        raise NotFetched(f"its server answered {response.status}")
    mime = response.header("content-type").partition(";")[0].strip().lower()
    if not mime.startswith(_TYPES):
        raise NotFetched(f"it is of type {mime or 'unknown'}, not an image, a PDF, audio or video")
    declared = response.header("content-length")
    data = bytearray()
    if not declared or int(declared) <= MAX_BYTES:
        while (piece := await response.read_some()) and len(data) <= MAX_BYTES:
            data += piece
        if len(data) <= MAX_BYTES:
            return FetchedMedia(mime, bytes(data))
    raise NotFetched(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")


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
