"""Errors under status 200."""

from __future__ import annotations

import pytest

from bm.chat.parts import Json
from bm.protocols.openai_chat.errors import failed_choice, is_error


def test_a_choice_that_failed_says_why_or_does_not() -> None:
    said = failed_choice({"finish_reason": "error", "error": {"code": 429, "message": "slow down"}})
    assert said is not None
    assert (said.kind, said.message) == ("rate_limited", "slow down")
    unexplained = failed_choice({"finish_reason": "error"})
    assert unexplained is not None
    assert unexplained.kind == "truncated"
    assert failed_choice({"finish_reason": "stop"}) is None


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"error": {"message": "no"}}, True),
        ({"error": "no"}, True),
        ({"object": "error", "message": "no"}, True),
        ({"code": 429, "msg": "slow down", "success": False}, True),
        ({"detail": "no"}, True),
        ({"choices": [], "message": "a note"}, False),
        ({"usage": {"prompt_tokens": 1}}, False),
        ({"error": None, "message": None}, False),
    ],
)
def test_an_error_says_so_or_has_a_text_and_no_choices(document: Json, error: bool) -> None:
    assert is_error(document) is error
