"""The rules that a type cannot say: several keys together, URLs, names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import urlsplit

from bm.config.address import is_loopback, points_at
from bm.config.keys import Key
from bm.config.problem import Problem, nearest
from bm.config.schema import Config, ProviderConfig, Server, UpstreamProxy

_PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


def broken_rules(config: Config, known: Collection[str]) -> Iterator[Problem]:
    """Every rule that `config` breaks; `known` are the provider names the catalog has a row for."""
    yield from _server(config.server)
    yield from _upstream(("gemini",), config.gemini.base_url, config.gemini.headers, config.server)
    yield from _proxy(("upstream_proxy",), config.upstream_proxy)
    yield from _proxy(("gemini", "proxy"), config.gemini.proxy)
    if not config.gemini.base_url:
        yield Problem(("gemini", "base_url"), "is empty", "remove the line to get the default")
    for name, provider in config.providers.items():
        key = ("providers", name)
        yield from _provider(key, name, provider, known)
        yield from _upstream(key, provider.base_url, provider.headers, config.server)
        yield from _proxy((*key, "proxy"), provider.proxy)
    for alias, model in config.aliases.items():
        if not model:
            yield Problem(("aliases", alias), "names no model")


def _server(server: Server) -> Iterator[Problem]:
    if not server.host:
        yield Problem(("server", "host"), "is empty", 'write "127.0.0.1", or "0.0.0.0" for every network')
    elif server.auth == "none" and not is_loopback(server.host):
        message = f'"none" is refused while host "{server.host}" lets other machines in'
        yield Problem(("server", "auth"), message, 'write auth = "key" or host = "127.0.0.1"')


def _provider(key: Key, name: str, provider: ProviderConfig, known: Collection[str]) -> Iterator[Problem]:
    if name == "gemini":
        yield Problem(key, "the Gemini API has a section of its own", "write [gemini]")
    elif not _PROVIDER_NAME.fullmatch(name):
        yield Problem(key, "a provider's name is made of a-z, 0-9, - and _")
    elif name not in known:
        cure = nearest(name, sorted(known)) or f'bm has no provider "{name}" of its own'
        if not provider.protocol:
            yield Problem((*key, "protocol"), "is missing", cure)
        if not provider.base_url:
            yield Problem((*key, "base_url"), "is missing", cure)


def _upstream(key: Key, base_url: str, headers: Mapping[str, str], server: Server) -> Iterator[Problem]:
    if base_url and not _is_url(base_url, ("http", "https")):
        yield Problem((*key, "base_url"), "is not an http or https URL")
    elif points_at(base_url, server):
        yield Problem((*key, "base_url"), "points at bm itself", "write the address of the provider")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            yield Problem((*key, "headers", name), "is not the name of a header")
        elif not value.isprintable():
            yield Problem((*key, "headers", name), "a header's value holds no line breaks or control characters")


def _proxy(key: Key, proxy: UpstreamProxy | None) -> Iterator[Problem]:
    if proxy and proxy.url not in ("", "direct") and not _is_url(proxy.url, _PROXY_SCHEMES):
        yield Problem((*key, "url"), "is not the URL of an http, https or socks5 proxy", 'such as "http://proxy:3128"')


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and url.isprintable() and " " not in url
