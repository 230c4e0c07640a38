from __future__ import annotations

import json

import pytest

from bm.errors import STATUS, Failure, FailureKind
from bm.protocols.anthropic.errors import decode_error, encode_error, read_error


def error(kind: str, message: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}).encode()


@pytest.mark.parametrize(
    ("status", "native", "message", "kind"),
    [
        (400, "invalid_request_error", "messages.0.content: Input should be a valid list", "bad_request"),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "context_too_long"),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            "context_too_long",
        ),
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", "billing"),
        (400, "invalid_request_error", "You have reached your specified API usage limits.", "quota_exhausted"),
        (401, "authentication_error", "invalid x-api-key", "upstream_auth"),
        (402, "billing_error", "no", "billing"),
        (403, "permission_error", "no", "permission"),
        (404, "not_found_error", "model: x", "not_found"),
        (413, "request_too_large", "too large", "too_large"),
        (429, "rate_limit_error", "slow down", "rate_limited"),
        (500, "api_error", "oh", "server"),
        (504, "timeout_error", "late", "timeout"),
        (529, "overloaded_error", "Overloaded", "overloaded"),
        (409, "conflict_error", "no", "bad_request"),
    ],
)
def test_an_error_is_read(status: int, native: str, message: str, kind: FailureKind) -> None:
    body = error(native, message)
    failure = decode_error(status, {}, body)
    assert (failure.kind, failure.message, failure.upstream_status) == (kind, message, status)
    assert failure.upstream_body == body


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (502, b"<html><head><title>502 Bad Gateway</title></head></html>", "overloaded", "HTTP 502: 502 Bad Gateway"),
        (503, b"<html></html>", "overloaded", "HTTP 503 without a readable reason"),
        (500, b"", "server", "HTTP 500 without a readable reason"),
        (429, b"slow down", "rate_limited", "HTTP 429: slow down"),
        (408, b"\xff", "timeout", "HTTP 408: \ufffd"),
        (418, b'["tea"]', "bad_request", 'HTTP 418: ["tea"]'),
    ],
)
def test_garbage_is_judged_by_its_status(status: int, body: bytes, kind: FailureKind, message: str) -> None:
    failure = decode_error(status, {}, body)
    assert (failure.kind, failure.message) == (kind, message)


def test_the_wait_and_the_place_are_read() -> None:
    headers = {"retry-after": "7", "x-should-retry": "false"}
    failure = decode_error(429, headers, error("rate_limit_error", "slow down"))
    assert (failure.retry_after, failure.should_retry) == (7.0, False)
    assert decode_error(400, {}, error("invalid_request_error", "tools.0.name: no")).param == "tools.0.name"


def test_an_error_inside_a_stream_has_no_status() -> None:
    failure = read_error({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    assert failure == Failure(kind="overloaded", message="Overloaded", code="overloaded_error")
    assert read_error({"type": "message"}) is None


@pytest.mark.parametrize("kind", STATUS)
def test_every_failure_can_be_told(kind: FailureKind) -> None:
    status, body = encode_error(Failure(kind=kind, message="m"), "req_1")
    assert status == STATUS[kind]
    assert body["type"] == "error" and body["request_id"] == "req_1"
    assert body["error"]["type"].endswith("_error") or body["error"]["type"] == "request_too_large"
    assert status != 401 or kind == "unauthorized"


def test_a_full_context_is_told_in_the_words_that_clients_know() -> None:
    said = "prompt is too long: 5 tokens > 4 maximum"
    assert encode_error(Failure(kind="context_too_long", message=said), "")[1]["error"]["message"] == said
    body = encode_error(Failure(kind="context_too_long", message="context length exceeded"), "")[1]
    assert body == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: context length exceeded"},
    }


def test_a_code_is_passed_on_unless_it_is_the_type() -> None:
    told = [encode_error(Failure(kind="server", message="m", code=code), "")[1] for code in ("E1", "api_error")]
    assert [body["error"].get("details") for body in told] == [{"error_code": "E1"}, None]
