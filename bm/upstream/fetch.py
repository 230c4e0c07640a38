"""Requests to other servers than the providers: media by URL, and token endpoints.

The URL of media comes from a client, and with agents often from a web page. Only public addresses are reached, whatever
names and redirects say, and size, time and type are bounded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from bm.accounts.google import Fetch, Fetched, FetchRequest
from bm.config.address import is_address
from bm.config.schema import Config, UpstreamProxy
from bm.errors import ConfigError, Failure
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest, tls_context
from bm.upstream.endpoint import USER_AGENT
from bm.upstream.proxy import proxy_url

MAX_BYTES = 20 * 1024 * 1024
SECONDS = 20.0
MAX_REDIRECTS = 3
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


class _PublicOnly(AbstractResolver):
    """Resolves names to public addresses only. It runs when connecting, so a name cannot change in between."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of `host`.

        Raises:
            OSError: it has none.
        """
        found = await self._resolver.resolve(host, port, family)
        public = [each for each in found if is_public(each["host"])]
        if not public:
            raise OSError(f"{host} is not a public address")
        return public

    async def close(self) -> None:
        await self._resolver.close()


def is_public(address: str) -> bool:
    """Whether an IP address is a public one. Mapped and translated forms count as the address they contain."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


async def fetch_media(url: str, proxy: UpstreamProxy, *, public_only: bool = True) -> FetchedMedia:
    """The media at an http(s) URL.

    Tests turn `public_only` off: their servers are on this machine.

    Raises:
        NotFetched: the address is not public, the type is not media, or size, time or redirects exceed the bounds.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await _fetch(url, proxy, public_only)
    except TimeoutError:
        raise NotFetched(f"it took longer than {SECONDS:g} s") from None
    except (aiohttp.ClientError, ConfigError, OSError, ValueError) as error:
        raise NotFetched(str(error) or type(error).__name__) from error


async def _fetch(url: str, proxy: UpstreamProxy, public_only: bool) -> FetchedMedia:
    resolver = _PublicOnly() if public_only else ThreadedResolver()
    connector = aiohttp.TCPConnector(resolver=resolver, ssl=tls_context(proxy.ca_bundle), use_dns_cache=False)
    headers = {"user-agent": USER_AGENT, "accept": "*/*"}
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=headers
    ) as session:
        for _ in range(MAX_REDIRECTS + 1):
            _check(url, public_only)
            through = proxy_url(url, proxy)
            options: dict[str, Any] = {"proxy": through} if through.startswith("http") else {}
            async with session.get(url, allow_redirects=False, **options) as response:
                if response.status in _REDIRECTS and "location" in response.headers:
                    url = urljoin(url, response.headers["location"])
                    continue
                return await _read(response)
    raise NotFetched(f"it redirects more than {MAX_REDIRECTS} times")


def _check(url: str, public_only: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotFetched("only http and https URLs are fetched")
    if parts.username or parts.password:
        raise NotFetched("URLs with a user name are not fetched")
    if public_only and is_address(parts.hostname) and not is_public(parts.hostname):
        raise NotFetched(f"{parts.hostname} is not a public address")


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
        proxy, timeouts = current.proxy_for("gemini"), current.timeouts_for("gemini")
        if request.url.startswith(_METADATA):
            proxy = UpstreamProxy(url="direct")
            timeouts = msgspec.structs.replace(timeouts, connect=1.0)
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        upstream = UpstreamRequest("Google's sign-in", request.method, request.url, headers, request.body)
        try:
            response = await client.open(upstream, timeouts, proxy)
            try:
                body = await response.read(MAX_TOKEN_BYTES)
            finally:
                response.close()
        except UpstreamError as error:
            return error.failure
        except ConfigError as error:
            return Failure(kind="connection", message=str(error))
        return Fetched(status=response.status, headers=dict(response.headers), body=body)

    return fetch
