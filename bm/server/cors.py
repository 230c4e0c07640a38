"""Web pages that may call the model APIs from a browser: those of the origins that the user has allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bm.config.schema import Server
from bm.upstream.headers import Headers

_MAX_AGE = "600"
"""Seconds for which a browser may remember a preflight."""


def is_allowed(server: Server, origin: str) -> bool:
    """Whether `[server] allowed_origins` names the origin."""
    return bool(origin) and origin.lower() in (each.rstrip("/").lower() for each in server.allowed_origins)


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser asks before it sends the request itself. Such a question never carries a key."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def headers_for(server: Server, headers: Sequence[tuple[str, str]]) -> Headers:
    """The headers that let a page of an allowed origin read a response; none for other requests."""
    if not server.allowed_origins:
        return []
    origin = next((value for name, value in headers if name == "origin"), "")
    if not is_allowed(server, origin):
        return [("vary", "origin")]
    return [("access-control-allow-origin", origin), ("access-control-expose-headers", "*"), ("vary", "origin")]


def preflight(headers: Mapping[str, str]) -> Headers:
    """The answer to a preflight of an allowed origin: what it asked for."""
    found = [
        ("access-control-allow-methods", headers["access-control-request-method"]),
        ("access-control-max-age", _MAX_AGE),
    ]
    if asked := headers.get("access-control-request-headers"):
        found.append(("access-control-allow-headers", asked))
    if headers.get("access-control-request-private-network") == "true":
        found.append(("access-control-allow-private-network", "true"))
    return found
