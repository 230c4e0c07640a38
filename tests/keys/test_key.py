"""What a key allows, until when, and what cannot be one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from bm.errors import AccountError
from bm.keys.key import MAIN, NO_KEYS, Key, Keys, check, digest, read_expiry

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("patterns", "model", "named"),
    [
        ((), "anything", True),
        (("claude-haiku-*",), "claude-haiku-4-5", True),
        (("claude-haiku-*",), "Claude-Haiku-4-5", True),
        (("claude-haiku-*",), "anthropic:claude-haiku-4-5", True),
        (("claude-haiku-*",), "claude-opus-5", False),
        (("claude-haiku-*",), "claude-haiku-4-5[1m]", True),
        (("gemini-3*",), "models/gemini-3-flash", True),
        (("groq:*",), "groq:openai/gpt-oss-120b", True),
        (("groq:*",), "gpt-oss-120b", False),
        (("fast", "opus"), "fast", True),
        (("fast", "opus"), "faster", False),
        (("opus",), "", False),
    ],
)
def test_the_models_that_a_request_may_name(patterns: tuple[str, ...], model: str, named: bool) -> None:
    assert Key(name="ci", models=patterns).names(model) is named


def test_the_list_shows_what_a_key_may_use() -> None:
    key = Key(name="ci", models=("gemini-*", "groq:*", "fast"), providers=("gemini",))
    shown = [("gemini", "gemini-3-flash"), ("groq", "groq:llama"), ("alias", "fast"), ("alias", "slow")]
    assert [each for each in shown if key.lists(*each)] == [("gemini", "gemini-3-flash"), ("alias", "fast")]


def test_a_key_expires_to_the_second_and_says_so() -> None:
    key = Key(name="ci", expires_at=NOW)
    assert key.expired(NOW.timestamp() - 0.001) is None
    failure = key.expired(NOW.timestamp())
    assert failure is not None
    assert (failure.http_status, failure.should_retry) == (401, False)
    assert "2026-11-30 12:00 UTC" in failure.message
    assert "bm keys change ci" in failure.message
    assert MAIN.expired(1e12) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("45m", NOW + timedelta(minutes=45)),
        ("12h", NOW + timedelta(hours=12)),
        ("30d", NOW + timedelta(days=30)),
        ("2 w", NOW + timedelta(days=14)),
        ("2027-01-31", datetime(2027, 2, 1).astimezone()),
        ("2027-01-31T18:00", datetime(2027, 1, 31, 18).astimezone()),
        ("2027-01-31T18:00+05:00", datetime(2027, 1, 31, 18, tzinfo=timezone(timedelta(hours=5)))),
    ],
)
def test_when_a_key_expires(text: str, at: datetime) -> None:
    assert read_expiry(text, NOW) == at


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("soon", "write a date"),
        ("2026-13-01", "write a date"),
        ("2026-11-29", "past"),
        ("0d", "past"),
        ("9" * 20 + "w", "too long"),
    ],
)
def test_no_time(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_expiry(text, NOW)


GOOD: dict[str, Any] = {"name": "ci", "sha256": digest("x").hex()}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": ""}, "cannot be a name"),
        ({"name": "a b"}, "cannot be a name"),
        ({"name": "-x"}, "cannot be a name"),
        ({"name": "a\nb"}, "cannot be a name"),
        ({"name": "é"}, "cannot be a name"),
        ({"name": "x" * 65}, "cannot be a name"),
        ({"name": "Main"}, "bm's own key"),
        ({"sha256": ""}, "hexadecimal"),
        ({"sha256": "Z" * 64}, "hexadecimal"),
        ({"rpm": -1}, "at least 0"),
        ({"budgets": ("20",)}, "not a budget"),
        ({"expires_at": datetime(2027, 1, 1)}, "time zone"),
    ],
)
def test_what_cannot_be_a_key(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(AccountError, match=problem):
        check(Key(**(GOOD | fields)))


def test_keys_are_found_by_digest_and_by_name() -> None:
    key = Key(**GOOD)
    keys = Keys([key])
    check(key)
    assert keys.by_digest(digest("x")) is key and keys.by_digest(digest("y")) is None
    assert (keys.named("ci"), keys.named("main"), keys.named("gone")) == (key, MAIN, None)
    assert (list(keys), len(NO_KEYS)) == ([key], 0)
