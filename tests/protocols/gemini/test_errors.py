"""Failures as Gemini clients receive them."""

from __future__ import annotations

import pytest

from bm.errors import Failure
from bm.protocols.gemini.codec import CODEC


@pytest.mark.parametrize(
    ("failure", "status", "word"),
    [
        (Failure(kind="bad_request", message="m"), 400, "INVALID_ARGUMENT"),
        (Failure(kind="unauthorized", message="m"), 401, "UNAUTHENTICATED"),
        (Failure(kind="upstream_auth", message="m"), 400, "INVALID_ARGUMENT"),
        (Failure(kind="not_found", message="m"), 404, "NOT_FOUND"),
        (Failure(kind="rate_limited", message="m"), 429, "RESOURCE_EXHAUSTED"),
        (Failure(kind="server", message="m"), 502, "INTERNAL"),
        (Failure(kind="timeout", message="m"), 504, "DEADLINE_EXCEEDED"),
        (Failure(kind="bad_request", message="m", status=422), 422, "INVALID_ARGUMENT"),
    ],
)
def test_a_client_receives_googles_words(failure: Failure, status: int, word: str) -> None:
    assert CODEC.encode_error(failure, "") == (status, {"error": {"code": status, "message": "m", "status": word}})


def test_a_client_receives_the_delay_and_the_field_at_fault() -> None:
    failure = Failure(kind="rate_limited", message="m", retry_after=1.2, param="contents")
    _, body = CODEC.encode_error(failure, "req_1")
    assert [row["@type"].rpartition(".")[2] for row in body["error"]["details"]] == [
        "RetryInfo",
        "BadRequest",
        "RequestInfo",
    ]
    assert body["error"]["details"][0]["retryDelay"] == "2s"


def test_too_long_a_prompt_has_the_wording_that_clients_match() -> None:
    _, body = CODEC.encode_error(Failure(kind="context_too_long", message="prompt is too long"), "")
    assert body["error"]["message"].startswith("The input token count exceeds the maximum number of tokens allowed")
