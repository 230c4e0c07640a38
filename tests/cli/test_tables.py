"""Cells of the tables of accounts, providers and requests."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bm.cli import tables
from tests.cli.live import AT, account, live, node, request


def test_the_longest_cooldown() -> None:
    assert tables.longest_cooldown([]) == (0.0, "")
    cooldowns: list[dict[str, Any]] = [
        {"model": "m", "seconds": 90.0},
        {"model": None, "seconds": 200.0},
        {"model": "x", "seconds": 0.0},
    ]
    assert tables.longest_cooldown(cooldowns) == (200.0, "all models (+1)")


def test_use_is_shown_with_the_known_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    noon = 1_775_044_800
    quotas = [
        {"model": "m", "window": "minute", "unit": "requests", "used": 12, "limit": 15, "resets": noon + 30},
        {"model": "m", "window": "day", "unit": "requests", "used": 230, "limit": 250, "resets": noon + 3600},
        {"model": "m", "window": "minute", "unit": "tokens", "used": 31_400, "limit": 250_000, "resets": noon},
        {"model": "n", "window": "minute", "unit": "requests", "used": 2, "limit": None, "resets": noon},
        {"model": "o", "window": "day", "unit": "requests", "used": 0, "limit": 9, "resets": None},
    ]
    assert tables.quota_rows({"name": "a", "quotas": quotas}) == [
        ("a", "m", "12/15 per minute, 230/250 per day, 31k/250k tokens per minute", "2026-04-01 13:00"),
        ("a", "n", "2 this minute", "2026-04-01 12:00"),
        ("a", "o", "0/9 per day", "-"),
    ]


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ({"kind": "api_key", "key_hint": "AIza…1234"}, "AIza…1234"),
        ({"kind": "api_key", "key_hint": "AIza…1234", "project": "p"}, "AIza…1234, p"),
        ({"kind": "google_oauth", "key_hint": "x.apps", "project": "p", "location": "eu"}, "sign-in, p, eu"),
        ({"kind": "service_account", "key_hint": "r@p.iam.gserviceaccount.com", "project": "p"}, "r@p"),
        ({"kind": "service_account", "key_hint": "", "project": "p", "location": "eu"}, "key file, p, eu"),
        ({"kind": "adc", "key_hint": ""}, "ADC"),
    ],
)
def test_how_an_account_authenticates(members: dict[str, str], shown: str) -> None:
    assert tables.credential({"project": "", "location": ""} | members) == shown


def test_an_account_shows_the_limit_closest_to_its_end() -> None:
    quota = {"model": "flash", "unit": "requests", "resets": None}
    quotas = [
        quota | {"window": "minute", "used": 3, "limit": 15},
        quota | {"window": "day", "used": 200, "limit": 250},
        quota | {"window": "day", "used": 999, "limit": None},
    ]
    (row,) = tables.live_accounts(live(accounts=[account(quotas=quotas)])).rows
    assert row == ("main", "gemini", "usable", "200/250 per day flash", "3", "1", "5 s ago", "")
    (row,) = tables.live_accounts(live(accounts=[account(last_used=None, last_error="no")])).rows
    assert row[3:] == ("", "3", "1", "never", "no")


def test_providers() -> None:
    row = {"name": "groq", "state": "in use", "mode": "fallback", "health": "ok", "accounts": 1}
    assert tables.live_providers(live(providers=[row])).rows == [("groq", "in use", "fallback", "ok", "1")]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "stop"),
        ({"finish": ""}, "complete"),
        ({"attempts": 3}, "stop, 3 attempts"),
        ({"under_way": True}, "answering"),
        ({"under_way": True, "first_content": None, "attempts": 2}, "waiting, 2 attempts"),
        ({"finish": "client_left"}, "client left"),
        ({"status": 429, "failure": "rate_limited", "attempts": 2}, "429 rate_limited, 2 attempts"),
    ],
)
def test_how_a_request_ended(fields: dict[str, Any], words: str) -> None:
    assert tables.requests([request(**fields)]).rows[0][-1] == words


def test_what_a_request_used() -> None:
    def cells(**fields: Any) -> tuple[str, ...]:
        return tables.requests([request(**fields)]).rows[0][3:8]

    assert cells() == ("gemini/main gemini-3.1-pro", "0.50 s", "2.00 s", "1,000 > 50", "$0.25")
    assert cells(cost=None)[-1] == "-"
    nothing = dict.fromkeys(("input", "cache_read", "output"), 0)
    assert cells(provider="", first_content=None, **nothing) == ("-", "", "2.00 s", "", "")


def test_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: AT + 70)
    rows = node("a"), node("b", here=False, seen=14.2, clock=-1.25)
    assert list(tables.nodes({"nodes": rows}).rows) == [
        ("a", "there", "http://a:8094", "1.2.3", "1 min", "2", "9", "1", "+0.0s"),
        ("b", "gone 14 s", "http://b:8094", "1.2.3", "-", "-", "9", "1", "-1.2s"),
    ]


def test_empty_tables_say_what_to_do() -> None:
    assert "bm env" in tables.requests([]).empty
    assert "bm accounts add" in tables.live_accounts(live(accounts=[])).empty
