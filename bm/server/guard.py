"""Who may talk to the daemon: the local key, and no web page by way of a browser."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

from bm.config.address import is_address, is_loopback
from bm.config.schema import Server
from bm.errors import Failure


class Guard:
    """The checks that every request passes before anything else is done with it."""

    def __init__(self, server: Server, local_key: str) -> None:
        self._open = server.auth == "none"
        self._digest = hashlib.sha256(local_key.encode()).digest()
        self._names = frozenset(name.lower() for name in (server.host, *server.allowed_hosts))
        self._any_address = not is_loopback(server.host)

    @property
    def open(self) -> bool:
        """Whether no key is asked for."""
        return self._open

    def foreign(self, headers: Mapping[str, str]) -> Failure | None:
        """Why a request comes from a place that has no business here; None when it may go on.

        A browser can be led to send requests to a loopback address under a foreign name (DNS rebinding) or from a
        foreign page; both show in `Host` and `Origin`.
        """
        host = headers.get("host", "")
        if not self._known(_name_in(f"//{host}")):
            message = f"the Host header names {host!r}; add it to [server] allowed_hosts if it is this machine"
            return Failure(kind="forbidden", message=message)
        origin = headers.get("origin")
        if origin is not None and not self._known(_name_in(origin)):
            return Failure(kind="forbidden", message=f"requests from the web origin {origin!r} are not accepted")
        return None

    def _known(self, name: str) -> bool:
        if is_loopback(name) or name in self._names:
            return True
        return self._any_address and is_address(name)

    def admits(self, headers: Mapping[str, str], query: str = "") -> bool:
        """Whether a request carries the local key, in any of the places where a tool may put it."""
        return self._open or any(self._matches(key) for key in keys_in(headers, query))

    def _matches(self, key: str) -> bool:
        return hmac.compare_digest(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest(), self._digest)


def keys_in(headers: Mapping[str, str], query: str) -> Collection[str]:
    """The keys a request carries: `x-api-key`, a bearer token, `x-goog-api-key`, and `key` in the query."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    found = [headers.get("x-api-key", ""), headers.get("x-goog-api-key", "")]
    if scheme.lower() == "bearer":
        found.append(token.strip())
    if "key=" in query:
        found += parse_qs(query).get("key", [])
    return [key for key in found if key]


@lru_cache(maxsize=256)
def _name_in(url: str) -> str:
    """The host's name in a URL, without the port and an IPv6 address' brackets; empty when it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
