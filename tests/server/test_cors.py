"""Origins of web pages: what a browser gets to know."""

from __future__ import annotations

import pytest

from bm.config.schema import Server
from bm.server.cors import headers_for, is_allowed, is_preflight, preflight
from bm.server.guard import Guard

SERVER = Server(allowed_origins=("https://chat.example:5173/", "app://obsidian.md"))
ASKS = {"origin": "https://chat.example:5173", "access-control-request-method": "POST"}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://chat.example:5173", True),
        ("https://CHAT.example:5173", True),
        ("app://obsidian.md", True),
        ("https://chat.example", False),
        ("http://chat.example:5173", False),
        ("https://chat.example:5173.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_which_origins_are_allowed(origin: str, allowed: bool) -> None:
    assert is_allowed(SERVER, origin) is allowed
    headers = dict(headers_for(SERVER, [("origin", origin)]))
    assert headers.get("access-control-allow-origin") == (origin if allowed else None)
    assert headers["vary"] == "origin"
    guard = Guard(SERVER, "key")
    assert (guard.foreign({"host": "localhost", "origin": origin}, api=True) is None) is allowed
    assert guard.foreign({"host": "localhost", "origin": origin}) is not None


def test_nothing_is_said_by_default() -> None:
    assert headers_for(Server(), [("origin", "https://chat.example:5173")]) == []


def test_a_preflight_gets_what_it_asks_for() -> None:
    assert is_preflight("OPTIONS", ASKS)
    assert not is_preflight("POST", ASKS)
    assert not is_preflight("OPTIONS", {"origin": "https://chat.example:5173"})
    found = dict(preflight({**ASKS, "access-control-request-headers": "x-api-key"}))
    assert found["access-control-allow-methods"] == "POST"
    assert found["access-control-allow-headers"] == "x-api-key"
    assert "access-control-allow-private-network" not in found
    assert dict(preflight({**ASKS, "access-control-request-private-network": "true"}))[
        "access-control-allow-private-network"
    ]
