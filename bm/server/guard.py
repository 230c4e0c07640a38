"""Which requests are accepted: those with a key of bm, from this machine's names, and not from foreign web pages."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

from bm.config.address import is_address, is_loopback
from bm.config.schema import Server
from bm.errors import Failure
from bm.gateway.settings import Settings
from bm.keys.key import MAIN, NO_KEYS, Key, Keys, digest
from bm.server.cors import is_allowed


class Guard:
    """The checks on every request before it is processed."""

    def __init__(self, server: Server, local_key: str, keys: Keys = NO_KEYS) -> None:
        self._server, self._keys = server, keys
        self._open = server.auth == "none"
        self._digest = digest(local_key)
        self._names = frozenset(
            name.lower() for name in (server.host, _name_in(server.url), *server.allowed_hosts) if name
        )
        self._any_address = not is_loopback(server.host)

    @property
    def open(self) -> bool:
        """Whether no key is required."""
        return self._open

    def foreign(self, headers: Mapping[str, str], *, api: bool = False) -> Failure | None:
        """The failure for a request with a foreign `Host` or `Origin`; None if both are accepted.

        The model APIs are also open to `allowed_origins`; administration is not.

        A browser can be made to send requests to a loopback address under a foreign name (DNS rebinding) or from a
        foreign page.
        """
        host = headers.get("host", "")
        if not self._known(_name_in(f"//{host}")):
            message = f"the Host header names {host!r}; add it to [server] allowed_hosts if it is this machine"
            return Failure(kind="forbidden", message=message)
        origin = headers.get("origin")
        if origin is None or self._known(_name_in(origin)) or (api and is_allowed(self._server, origin)):
            return None
        return Failure(kind="forbidden", message=f"requests from the web origin {origin!r} are not accepted")

    def _known(self, name: str) -> bool:
        if is_loopback(name) or name in self._names:
            return True
        return self._any_address and is_address(name)

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether a request may administer bm: it contains bm's own key in one of the places that tools use."""
        return self._open or self._key_of(headers, "") is MAIN

    def caller(self, headers: Mapping[str, str], query: str = "") -> Key | None:
        """The key of a request to a model API. Where none is required, a request without one is bm's own."""
        found = self._key_of(headers, query) if len(self._keys) or not self._open else None
        return MAIN if found is None and self._open else found

    def _key_of(self, headers: Mapping[str, str], query: str) -> Key | None:
        """The first of a request's keys that is known."""
        for given in keys_in(headers, query):
            found = digest(given)
            if hmac.compare_digest(found, self._digest):
                return MAIN
            if (key := self._keys.by_digest(found)) is not None:
                return key
        return None


_cached = lru_cache(maxsize=1)(Guard)


def guard_of(settings: Settings) -> Guard:
    """The guard for the settings in force."""
    return _cached(settings.config.server, settings.local_key, settings.keys)


def keys_in(headers: Mapping[str, str], query: str) -> Collection[str]:
    """The keys in a request: `x-api-key`, a bearer token, `x-goog-api-key`, and `key` in the query."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    found = [headers.get("x-api-key", ""), headers.get("x-goog-api-key", "")]
    if scheme.lower() == "bearer":
        found.append(token.strip())
    if "key=" in query:
        found += parse_qs(query).get("key", [])
    return [key for key in found if key]


@lru_cache(maxsize=256)
def _name_in(url: str) -> str:
    """The host of a URL, without port and IPv6 brackets; empty if it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
