"""What to do about a request that went wrong."""

from __future__ import annotations

from typing import Any

import pytest

from bm.ledger.advice import advice

GONE = {"provider": "gemini", "account": "main", "effect": "disabled"}
KEY = {"provider": "groq", "account": "key", "effect": "disabled"}


def told(kind: str = "", message: str = "no", *, stages: tuple[str, ...] = ("pool",), **more: Any) -> list[str]:
    failure = {"kind": kind, "message": message, "retry_after": 45.0} if kind else None
    targets = [{"stage": stage, "provider": "groq"} for stage in stages]
    found = {"attempts": [], "client_left": False, "failure": failure, "targets": targets}
    return list(advice(found | more))


def test_a_key_that_was_refused_is_to_be_seen_to_even_where_another_has_answered() -> None:
    first, second = told(attempts=[GONE, KEY, GONE])
    assert first.startswith("bm accounts verify main (") and second.startswith("bm providers key groq (")


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        (("pool",), "a fallback (bm providers mode NAME fallback)"),
        (("pool", "fallback"), "or add an account: bm accounts add NAME"),
        (("exclusive",), "bm providers mode groq pooled"),
    ],
)
def test_where_all_are_limited_it_says_when_to_come_back_and_who_could_serve(
    stages: tuple[str, ...], words: str
) -> None:
    (line,) = told("rate_limited", stages=stages)
    assert line.startswith("try again in 45 s, or") and line.endswith(words)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("bad_request", "no other account would take it"),
        ("context_too_long", "/compact"),
        ("truncated", "pool.rescue true"),
        ("connection", "bm doctor"),
        ("not_found", "bm models"),
    ],
)
def test_each_kind_of_failure_has_its_cure(kind: str, words: str) -> None:
    (line,) = told(kind)
    assert words in line


def test_nothing_is_said_where_nothing_is_to_be_done_or_the_message_says_it() -> None:
    assert told() == []
    assert told("timeout", client_left=True) == []
    assert told("connection", "the proxy refused (bm config edit)") == []
    assert told("unavailable") == []
