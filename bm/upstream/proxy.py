"""The proxy to use for a URL."""

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
    """The proxy for `url`; empty for none.

    The configured proxy takes precedence over the environment's `HTTPS_PROXY` family, which is read as `urllib` does.
    Loopback addresses are never proxied.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if settings.url == "direct" or is_loopback(host) or _bypassed(host, settings.no_proxy):
        return ""
    if settings.url:
        return settings.url
    proxies = environment if environment is not None else _environment_proxies(int(time.monotonic()))
    if _bypassed(host, [entry.strip() for entry in proxies.get("no", "").split(",")]):
        return ""
    return proxies.get(parts.scheme, "") or proxies.get("all", "")


@lru_cache(maxsize=1)
def _environment_proxies(second: int) -> Mapping[str, str]:
    """The proxies of the environment, cached for a second: on some systems they can change at any time."""
    return urllib.request.getproxies()


def _bypassed(host: str, patterns: Sequence[str]) -> bool:
    return any(_matches(host, pattern.lower()) for pattern in patterns if pattern)


def _matches(host: str, pattern: str) -> bool:
    """Match `*`, a network such as 10.0.0.0/8, a name, or a domain with or without a leading dot."""
    if pattern == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        domain = pattern.removeprefix("*").removeprefix(".")
        return host == domain or host.endswith(f".{domain}")
