"""Failures as OpenAI clients receive them."""

from __future__ import annotations

from typing import get_args

import pytest

from bm.errors import Failure, FailureKind
from bm.protocols.openai.errors import encode_error


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_every_failure_can_be_written(kind: FailureKind) -> None:
    status, body = encode_error(Failure(kind=kind, message="words", param="n"), "req_1")
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert (body["error"]["message"], body["error"]["param"]) == ("words", "n")
    assert status >= 400


@pytest.mark.parametrize(
    ("failure", "status", "kind", "code"),
    [
        (Failure(kind="bad_request", message="m", code="invalid_type"), 400, "invalid_request_error", "invalid_type"),
        (Failure(kind="bad_request", message="m", status=422), 422, "invalid_request_error", None),
        (Failure(kind="context_too_long", message="m"), 400, "invalid_request_error", "context_length_exceeded"),
        (Failure(kind="unauthorized", message="m"), 401, "invalid_request_error", "invalid_api_key"),
        (Failure(kind="upstream_auth", message="m"), 400, "invalid_request_error", "upstream_auth"),
        (Failure(kind="not_found", message="m"), 404, "invalid_request_error", "model_not_found"),
        (Failure(kind="not_found", message="m", param="path"), 404, "invalid_request_error", "unknown_url"),
        (Failure(kind="rate_limited", message="m"), 429, "rate_limit_error", "rate_limit_exceeded"),
    ],
)
def test_clients_find_the_codes_they_look_for(failure: Failure, status: int, kind: str, code: str | None) -> None:
    given, body = encode_error(failure, "req_1")
    assert (given, body["error"]["type"], body["error"]["code"]) == (status, kind, code)
