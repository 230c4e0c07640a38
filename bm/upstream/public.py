"""Which URLs lead to the public internet, judged by the host that is then connected to."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import unicodedata
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from bm.config.address import is_loopback

_DOTS: Final = str.maketrans("。．｡", "...")
"""Characters that separate labels like a full stop (RFC 3490, section 3.1)."""
_WRITTEN: Final = "".join(map(chr, range(0x21, 0x7F)))
"""Characters that stay as they are written."""
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PRIVATE_NAMES: Final = ("internal", "local", "localdomain", "lan", "home", "corp", "intranet", "private", "home.arpa")
"""Domains that exist in private networks only. A proxy could resolve them."""

_SPECIAL: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments, and Oracle Cloud's metadata
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # Azure's own services for a virtual machine (learn.microsoft.com, 2026-11)
        "64:ff9b:1::/48",  # NAT64 of a private network (RFC 8215)
        "::ffff:0:0:0/96",  # IPv4 translated (RFC 2765)
        "3fff::/20",  # documentation (RFC 9637)
        "5f00::/16",  # segment routing (RFC 9602)
    )
)
"""Networks that some versions of Python take for public, or that lead to one's own machine or cloud."""


class NotPublic(ValueError):
    """The URL does not lead to the public internet. The text says why."""


def is_public(address: str) -> bool:
    """Whether an IP address is a public one. Mapped and translated forms count as the address they contain."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id or ip.is_site_local:
            return False
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if ip in ipaddress.ip_network("64:ff9b::/96") or int(ip) >> 32 == 0:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _SPECIAL)


def public_url(url: str, *, public_only: bool = True) -> str:
    """The URL with its host as a connection reads it: mapped like a browser does, IPv4 addresses in four numbers.

    Raises:
        NotPublic: it is no http(s) URL, names a user, or with `public_only` its host is obviously not public.
    """
    try:
        parts = urlsplit(url)
        host, port = canonical_host(parts.hostname or ""), parts.port
    except ValueError:
        raise NotPublic("it is not a valid URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise NotPublic("only http and https URLs are fetched")
    if parts.username is not None or parts.password is not None:
        raise NotPublic("URLs with a user name are not fetched")
    if public_only and not _may_be_public(host):
        raise NotPublic(f"{host} is not a public address")
    place = f"[{host}]" if ":" in host else host
    path, query = quote(parts.path, safe=_WRITTEN), quote(parts.query, safe=_WRITTEN)
    return urlunsplit((parts.scheme, place if port is None else f"{place}:{port}", path, query, ""))


def canonical_host(host: str) -> str:
    """The host in ASCII and lower case (UTS 46); addresses in their usual form.

    Raises:
        ValueError: it is no host name and no address.
    """
    if ":" in host:
        return str(ipaddress.IPv6Address(host.strip("[]")))
    text = unicodedata.normalize("NFKC", host.translate(_DOTS)).translate(_DOTS).lower().rstrip(".")
    if not text.isascii():
        text = text.encode("idna").decode().lower()
    if re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)", text.rpartition(".")[2]):
        # The C library reads 0177.1 and 2130706433 as 127.0.0.1.
        try:
            return str(ipaddress.IPv4Address(socket.inet_aton(text)))
        except OSError:
            raise ValueError(f"{text} is not an address") from None
    if text and not _NAME.fullmatch(text):
        raise ValueError(f"{text} is not a host name")
    return text


def _may_be_public(host: str) -> bool:
    if ":" in host or host.replace(".", "").isdigit():
        return is_public(host)
    private = any(host.endswith(f".{name}") for name in _PRIVATE_NAMES)
    return "." in host and not private and not is_loopback(host)


async def refuse_private_name(host: str, port: int) -> None:
    """Refuse a name that resolves to a private address here, before a proxy is asked for it.

    A name that this machine cannot resolve is left to the proxy.

    Raises:
        NotPublic: at least one of its addresses is not public.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return
    if not all(is_public(str(address[0])) for *_, address in found):
        raise NotPublic(f"{host} is not a public address")
