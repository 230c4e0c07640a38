"""The proxy to use for a URL."""

from __future__ import annotations

import base64
import ipaddress
import re
import time
import urllib.request
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from bm.config.address import is_loopback
from bm.config.proxy import ProxyAddress, read_proxy
from bm.config.schema import UpstreamProxy
from bm.errors import ConfigError
from bm.upstream.headers import Headers

_DEFAULT_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, settings: UpstreamProxy, environment: Mapping[str, str] | None = None) -> ProxyAddress | None:
    """The proxy for `url`; None for a direct connection.

    The configured proxy takes precedence over the environment's `HTTPS_PROXY` family. Loopback addresses are never
    proxied.

    Raises:
        ConfigError: the address of the proxy cannot be read. Its key is the setting or the variable.
    """
    if environment is None:
        return _proxy_now(url, settings.url, settings.no_proxy, int(time.monotonic()))
    return _find(url, settings.url, settings.no_proxy, environment)


@lru_cache(maxsize=1024)
def _proxy_now(url: str, configured: str, no_proxy: tuple[str, ...], second: int) -> ProxyAddress | None:
    """The proxy by the present environment, cached because it is the same for every request to a target."""
    return _find(url, configured, no_proxy, _environment_proxies(second))


def _find(url: str, configured: str, no_proxy: tuple[str, ...], environment: Mapping[str, str]) -> ProxyAddress | None:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    if configured == "direct" or is_loopback(host) or _bypassed(host, port, no_proxy):
        return None
    if configured:
        return _read(configured, "upstream_proxy.url")
    if _bypassed(host, port, re.split(r"[,\s]+", environment.get("no", ""))):
        return None
    for name in (parts.scheme, "all"):
        if found := environment.get(name, ""):
            return _read(found, f"{name.upper()}_PROXY")
    return None


def credentials(through: ProxyAddress) -> Headers:
    """The header that authenticates at an HTTP proxy, if it takes any."""
    if not through.user and not through.password:
        return []
    token = base64.b64encode(f"{through.user}:{through.password}".encode()).decode()
    return [("proxy-authorization", f"Basic {token}")]


def _read(text: str, key: str) -> ProxyAddress:
    try:
        return read_proxy(text)
    except ValueError as error:
        raise ConfigError(str(error), key=key) from None


@lru_cache(maxsize=1)
def _environment_proxies(second: int) -> Mapping[str, str]:
    """The proxies of the environment, cached for a second: on some systems they can change at any time."""
    return urllib.request.getproxies()


def _bypassed(host: str, port: int, patterns: Iterable[str]) -> bool:
    return any(_matches(host, port, pattern.strip().lower()) for pattern in patterns if pattern.strip())


def _matches(host: str, port: int, pattern: str) -> bool:
    """Match `*`, a network such as 10.0.0.0/8, a name, or a domain with or without a leading dot.

    A name or an address may end in a port, which is then compared too.
    """
    if pattern == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern.strip("[]"), strict=False)
    except ValueError:
        pass
    if with_port := re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:]*):(\d+)", pattern):
        return int(with_port[2]) == port and (not with_port[1] or _matches(host, port, with_port[1]))
    domain = pattern.removeprefix("*").removeprefix(".")
    return host == domain or host.endswith(f".{domain}")
