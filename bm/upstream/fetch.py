"""Fetches media by URL for models that cannot, without becoming a way into the user's network.

A URL comes from a client, and with agents often from a web page: only public addresses are reached, whatever names and
redirects say, and size, time and type are bounded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from bm.config.address import is_address
from bm.config.schema import UpstreamProxy
from bm.upstream.client import tls_context
from bm.upstream.endpoint import USER_AGENT
from bm.upstream.proxy import proxy_url

MAX_BYTES = 20 * 1024 * 1024
SECONDS = 20.0
MAX_REDIRECTS = 3
_TYPES = ("image/", "audio/", "video/", "application/pdf", "text/plain")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Fetched(msgspec.Struct, frozen=True):
    """What a URL held."""

    mime: str
    data: bytes


class NotFetched(Exception):
    """The URL was refused, or did not give media within the bounds. The text says why."""


class _PublicOnly(AbstractResolver):
    """Resolves names to public addresses alone, at the moment of connecting: a name cannot change in between."""

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
        """Let go of the resolver."""
        await self._resolver.close()


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet at large; mapped and translated forms count as what they hold."""
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


async def fetch(url: str, proxy: UpstreamProxy, *, public_only: bool = True) -> Fetched:
    """The media at an http(s) URL.

    `public_only` off is for tests, whose servers are on this machine.

    Raises:
        NotFetched: the address is not public, the type no media, or size, time or redirects exceed the bounds.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await _fetch(url, proxy, public_only)
    except TimeoutError:
        raise NotFetched(f"it took longer than {SECONDS:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NotFetched(str(error) or type(error).__name__) from error


async def _fetch(url: str, proxy: UpstreamProxy, public_only: bool) -> Fetched:
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


async def _read(response: aiohttp.ClientResponse) -> Fetched:
    if response.status != 200:
        raise NotFetched(f"its server answered {response.status}")
    mime = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not mime.startswith(_TYPES):
        raise NotFetched(f"it is of type {mime or 'unknown'}, not an image, a PDF, sound or film")
    if (response.content_length or 0) > MAX_BYTES:
        raise NotFetched(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")
    data = await response.content.read(MAX_BYTES + 1)
    pieces = [data]
    while data and sum(map(len, pieces)) <= MAX_BYTES:
        data = await response.content.read(MAX_BYTES + 1)
        pieces.append(data)
    whole = b"".join(pieces)
    if len(whole) > MAX_BYTES:
        raise NotFetched(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")
    return Fetched(mime, whole)
