"""Failures of single choices."""

from __future__ import annotations

from bm.protocols.openai_chat.errors import failed_choice


def test_a_choice_that_failed_says_why_or_does_not() -> None:
    said = failed_choice({"finish_reason": "error", "error": {"code": 429, "message": "slow down"}})
    assert said is not None
    assert (said.kind, said.message) == ("rate_limited", "slow down")
    unexplained = failed_choice({"finish_reason": "error"})
    assert unexplained is not None
    assert unexplained.kind == "truncated"
    assert failed_choice({"finish_reason": "stop"}) is None
