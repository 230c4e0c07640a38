"""Advice about a failed request."""

from __future__ import annotations

from typing import Any

import pytest

from bm.ledger.advice import advice

GONE = {"provider": "gemini", "account": "main", "effect": "disabled"}
KEY = {"provider": "groq", "account": "key", "effect": "disabled"}


def advise(kind: str = "", message: str = "no", *, stages: tuple[str, ...] = ("pool",), **more: Any) -> list[str]:
    failure = {"kind": kind, "message": message, "retry_after": 45.0} if kind else None
    targets = [{"stage": stage, "provider": "groq"} for stage in stages]
    found = {"attempts": [], "client_left": False, "failure": failure, "targets": targets}
    return list(advice(found | more))


def test_a_refused_key_is_named_even_if_another_account_answered() -> None:
    first, second = advise(attempts=[GONE, KEY, GONE])
    assert first.startswith("bm accounts verify main (") and second.startswith("bm providers key groq (")


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        (("pool",), "a fallback (bm providers mode NAME fallback)"),
        (("pool", "fallback"), "the fallback groq is at its limit too: it serves again when that ends)"),
        (("exclusive",), "bm providers mode groq pooled"),
    ],
)
def test_when_all_are_rate_limited_the_advice_names_the_delay_and_an_alternative(
    stages: tuple[str, ...], words: str
) -> None:
    (line,) = advise("rate_limited", stages=stages)
    assert line.startswith("try again in 45 s, or") and line.endswith(words)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("bad_request", "every account would refuse it"),
        ("context_too_long", "/compact"),
        ("truncated", "pool.rescue"),
        ("connection", "bm doctor"),
        ("not_found", "bm models"),
    ],
)
def test_each_kind_of_failure_has_a_remedy(kind: str, words: str) -> None:
    (line,) = advise(kind)
    assert words in line


def test_there_is_no_advice_when_none_is_needed_or_the_message_contains_it() -> None:
    assert advise() == []
    assert advise("timeout", client_left=True) == []
    assert advise("connection", "the proxy refused (bm config edit)") == []
    assert advise("unavailable") == []
