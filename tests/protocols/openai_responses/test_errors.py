"""Errors inside a Responses stream."""

from __future__ import annotations

import pytest

from bm.errors import Failure, FailureKind
from bm.protocols.openai_responses.errors import stream_error


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("bad_request", "invalid_prompt"),
        ("context_too_long", "context_length_exceeded"),
        ("not_found", "model_not_found"),
        ("overloaded", "server_is_overloaded"),
        ("truncated", "server_error"),
        ("upstream_auth", "invalid_prompt"),
        ("billing", "invalid_prompt"),
        ("unavailable", "invalid_prompt"),
    ],
)
def test_the_code_is_one_that_the_api_has(kind: FailureKind, code: str) -> None:
    assert stream_error(Failure(kind=kind, message="x")) == {"code": code, "message": "x"}


def test_a_rate_limit_inside_a_stream_says_how_long_in_the_words_that_codex_reads() -> None:
    error = stream_error(Failure(kind="rate_limited", message="Slow down.", retry_after=2.5))
    assert error == {"code": "rate_limit_exceeded", "message": "Slow down. Please try again in 2.5s."}
    said = Failure(kind="rate_limited", message="try again in 3s", retry_after=3)
    assert stream_error(said)["message"] == "try again in 3s"
    assert stream_error(Failure(kind="truncated", message="cut"))["code"] == "server_error"
