"""Failures as Messages clients receive them."""

from __future__ import annotations

import pytest

from bm.errors import STATUS, Failure, FailureKind
from bm.protocols.anthropic.errors import encode_error


@pytest.mark.parametrize("kind", STATUS)
def test_every_failure_can_be_written(kind: FailureKind) -> None:
    status, body = encode_error(Failure(kind=kind, message="m"), "req_1")
    assert status == STATUS[kind]
    assert body["type"] == "error" and body["request_id"] == "req_1"
    assert body["error"]["type"].endswith("_error") or body["error"]["type"] == "request_too_large"
    assert status != 401 or kind == "unauthorized"


def test_a_full_context_is_worded_as_clients_expect() -> None:
    said = "prompt is too long: 5 tokens > 4 maximum"
    assert encode_error(Failure(kind="context_too_long", message=said), "")[1]["error"]["message"] == said
    body = encode_error(Failure(kind="context_too_long", message="context length exceeded"), "")[1]
    assert body == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: context length exceeded"},
    }


def test_a_code_is_passed_on_unless_it_is_the_type() -> None:
    reported = [encode_error(Failure(kind="server", message="m", code=code), "")[1] for code in ("E1", "api_error")]
    assert [body["error"].get("details") for body in reported] == [{"error_code": "E1"}, None]
