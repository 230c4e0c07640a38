"""Whether and through what a URL is reached."""

from __future__ import annotations

import ipaddress
import time
import urllib.request
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from bm.config.address import is_loopback
from bm.config.schema import UpstreamProxy


def proxy_url(url: str, settings: UpstreamProxy, environment: Mapping[str, str] | None = None) -> str:
    """The proxy to reach `url` through, empty for none.

    The configuration's proxy comes first, then the environment's `HTTPS_PROXY` family, as `urllib` reads it. Loopback
    addresses are never proxied.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if settings.url == "direct" or is_loopback(host) or _bypassed(host, settings.no_proxy):
        return ""
    if settings.url:
        return settings.url
    proxies = environment if environment is not None else _environments(int(time.monotonic()))
    if _bypassed(host, [entry.strip() for entry in proxies.get("no", "").split(",")]):
        return ""
    return proxies.get(parts.scheme, "") or proxies.get("all", "")


@lru_cache(maxsize=1)
def _environments(second: int) -> Mapping[str, str]:
    """The environment's proxies; on some systems a person may change them at any time, so they last a second."""
    return urllib.request.getproxies()


def _bypassed(host: str, patterns: Sequence[str]) -> bool:
    return any(_matches(host, pattern.lower()) for pattern in patterns if pattern)


def _matches(host: str, pattern: str) -> bool:
    """`*`, a network such as 10.0.0.0/8, a name, or a domain with or without its leading dot."""
    if pattern == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        domain = pattern.removeprefix("*").removeprefix(".")
        return host == domain or host.endswith(f".{domain}")
