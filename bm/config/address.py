"""Network addresses: which ones are local, which URLs point back at bm, and how to reach a local server."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from bm.config.schema import Server

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without a port, is reachable from this machine only.

    Names are not resolved: only `localhost` and its subdomains count.
    """
    address = _address(host)
    if address is None:
        name = host.lower().rstrip(".")
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback


def is_address(host: str) -> bool:
    return _address(host) is not None


def points_at(url: str, server: Server) -> bool:
    """Whether a request to `url` would reach `server`. Port 0, which is not known yet, never matches."""
    host, port = _place(url)
    if host and (host, port) == _place(server.url):
        return True
    if not host or port != server.port:
        return False
    return is_loopback(host) or is_unspecified(host) or host == server.host.lower().strip("[]")


def _place(url: str) -> tuple[str, int | None]:
    """Host and port of a URL; no host if it cannot be read."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "", None


def origin_of(server: Server, running: str) -> str:
    """The address that tools are given, without a trailing slash. `running` is that of the daemon, if one runs.

    It is empty where the port is chosen at the next start.
    """
    if server.url or running:
        return server.url.rstrip("/") or running
    return url_of(server.host, server.port, tls=bool(server.tls_cert)) if server.port else ""


def reachable(host: str) -> str:
    """The host to connect to for a server that listens on `host`: loopback if it listens on every interface."""
    bare = host.strip("[]")
    return _ANY.get(bare, bare)


def url_of(host: str, port: int, *, tls: bool = False) -> str:
    """The base URL of a server on this machine, without a trailing slash."""
    name, scheme = reachable(host), "https" if tls else "http"
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


def is_unspecified(host: str) -> bool:
    """Whether who listens on `host` does so on every interface."""
    address = _address(host)
    return address is not None and address.is_unspecified


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
