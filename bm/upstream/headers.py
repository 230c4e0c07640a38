"""The headers that are forwarded, in each direction."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110, section 7.6.1. Headers named by `Connection` are treated alike."""

CREDENTIALS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "set-cookie"})

_BODY = frozenset({"host", "content-length", "content-encoding", "accept-encoding", "expect"})
"""They describe one connection's bytes. bm requests uncompressed responses, so that it can read them."""

_ABOUT_THE_CLIENT = frozenset({"origin", "referer", "forwarded", "via", "x-real-ip"})
_ABOUT_THE_CLIENT_PREFIXES = ("x-bm-", "x-forwarded-", "sec-", "cf-")

_TO_CLIENT = frozenset(
    {
        "content-type",
        "request-id",
        "x-request-id",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "x-gemini-service-tier",
    }
)
_TO_CLIENT_PREFIXES = ("anthropic-", "x-ratelimit-", "x-tokenlimit-", "openai-", "ratelimit-")

Headers = list[tuple[str, str]]
"""Header fields in order, names in lower case."""


def to_upstream(headers: Iterable[tuple[str, str]]) -> Headers:
    """The client's headers to forward to an upstream of the same protocol.

    Unknown headers are forwarded: a beta's header must accompany its body (Claude Code's gateway contract). Removed are
    credentials, cookies, hop-by-hop headers, headers about the client's network, and bm's own.
    """
    found = list(headers)
    nominated = {word.strip().lower() for name, value in found if name == "connection" for word in value.split(",")}
    return [(name, value) for name, value in found if _is_forwarded(name) and name not in nominated]


def with_own(client: Iterable[tuple[str, str]], own: Iterable[tuple[str, str]]) -> Headers:
    """The client's headers for a body that bm wrote, with that body's Anthropic version and the betas of both."""
    written = {name: value for name, value in own if name.startswith("anthropic-")}
    found = list(client)
    betas = [value for name, value in found if name == "anthropic-beta"]
    if betas and "anthropic-beta" in written:
        written["anthropic-beta"] = ",".join([*betas, written["anthropic-beta"]])
    return [*((name, value) for name, value in found if name not in written), *written.items()]


@lru_cache(maxsize=512)
def _is_forwarded(name: str) -> bool:
    if name in HOP_BY_HOP or name in CREDENTIALS or name in _BODY or name in _ABOUT_THE_CLIENT:
        return False
    return not name.startswith(_ABOUT_THE_CLIENT_PREFIXES)


def to_client(headers: Iterable[tuple[str, str]]) -> Headers:
    """The upstream's headers to return to a client: ids, delays and rate limits."""
    return [(name, value) for name, value in headers if name in _TO_CLIENT or name.startswith(_TO_CLIENT_PREFIXES)]
