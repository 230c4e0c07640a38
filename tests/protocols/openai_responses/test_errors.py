from __future__ import annotations

import json
from typing import Any

import pytest

from bm.errors import Failure
from bm.protocols.openai_responses.errors import decode_error, encode_error, failure_of, stream_error


def body(message: str = "said", **error: Any) -> bytes:
    return json.dumps({"error": {"message": message, "type": None, "param": None, "code": None, **error}}).encode()


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (400, body(), "bad_request"),
        (400, body(code="context_length_exceeded"), "context_too_long"),
        (400, body("Your input exceeds the context window of this model."), "context_too_long"),
        (400, body("This model's maximum context length is 8192 tokens."), "context_too_long"),
        (401, body(code="invalid_api_key"), "upstream_auth"),
        (401, body(type="invalid_request_error"), "upstream_auth"),
        (402, body(), "billing"),
        (403, body(), "permission"),
        (403, body(code="unsupported_country_region_territory"), "permission"),
        (404, body(code="model_not_found"), "not_found"),
        (408, body(), "timeout"),
        (409, body(), "bad_request"),
        (413, body(), "too_large"),
        (422, body(), "bad_request"),
        (429, body(code="rate_limit_exceeded", type="tokens"), "rate_limited"),
        (429, body("Limit 200 requests per day (RPD)", code="rate_limit_exceeded"), "quota_exhausted"),
        (429, body(code="insufficient_quota", type="insufficient_quota"), "billing"),
        (500, body(type="server_error"), "server"),
        (502, b"<html>Bad gateway</html>", "overloaded"),
        (503, body(code="slow_down"), "overloaded"),
        (503, body(type="server_error"), "overloaded"),
        (504, b"", "timeout"),
        (529, body(), "overloaded"),
        (418, b"\xff\xfe", "bad_request"),
        (599, b"[]", "server"),
    ],
)
def test_the_kind_of_an_error_answer(status: int, content: bytes, kind: str) -> None:
    failure = decode_error(status, {}, content)
    assert failure.kind == kind
    assert failure.upstream_status == status and failure.upstream_body == content
    assert failure.message


def test_an_error_answer_keeps_what_it_says() -> None:
    failure = decode_error(400, {}, body("no such field", code="unknown_parameter", param="tools[0].x"))
    assert (failure.message, failure.code, failure.param) == ("no such field", "unknown_parameter", "tools[0].x")


@pytest.mark.parametrize(
    ("headers", "message", "delay"),
    [
        ({"retry-after": "7"}, "said", 7.0),
        ({"retry-after-ms": "1500", "retry-after": "7"}, "said", 1.5),
        ({}, "Please try again in 1m2.5s.", 62.5),
        ({"retry-after": "3"}, "Please try again in 20s.", 3.0),
        ({}, "said", None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], message: str, delay: float | None) -> None:
    assert decode_error(429, headers, body(message)).retry_after == delay


def test_the_upstreams_word_on_retrying_is_kept() -> None:
    assert decode_error(500, {"x-should-retry": "false"}, body()).should_retry is False


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"error": "model is loading"}', "model is loading"),
        (b'[{"error": {"message": "in a list"}}]', "in a list"),
        (b"upstream connect error\nreset", "upstream connect error"),
        (b"<html><body>oops</body></html>", "the upstream answered 500"),
    ],
)
def test_other_shapes_of_errors_are_read(content: bytes, message: str) -> None:
    assert decode_error(500, {}, content).message == message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "rate_limit_exceeded", "message": "x"}, "rate_limited"),
        ({"code": "server_error", "message": "x"}, "server"),
        ({"code": "context_length_exceeded", "message": "x"}, "context_too_long"),
        ({"code": "invalid_prompt", "message": "x"}, "bad_request"),
        ({"type": "invalid_request_error", "message": "x"}, "bad_request"),
        ({"code": "insufficient_quota", "message": "x"}, "billing"),
        ({"message": "x"}, "server"),
    ],
)
def test_an_error_inside_a_stream_has_no_status(error: dict[str, str], kind: str) -> None:
    assert failure_of(error).kind == kind


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (
            Failure(kind="bad_request", message="x", code="previous_response_not_found"),
            400,
            "previous_response_not_found",
        ),
        (Failure(kind="bad_request", message="x"), 400, None),
        (Failure(kind="context_too_long", message="x"), 400, "context_length_exceeded"),
        (Failure(kind="unauthorized", message="x"), 401, "invalid_api_key"),
        (Failure(kind="upstream_auth", message="x"), 503, "server_error"),
        (Failure(kind="rate_limited", message="x"), 429, "rate_limit_exceeded"),
        (Failure(kind="unavailable", message="x"), 503, "server_error"),
        (Failure(kind="not_found", message="x"), 404, "model_not_found"),
        (Failure(kind="server", message="x", status=500), 500, "server_error"),
    ],
)
def test_what_a_client_is_told(failure: Failure, status: int, code: str | None) -> None:
    got, told = encode_error(failure, "req_1")
    assert got == status
    assert told["error"]["message"] == "x" and told["error"]["code"] == code
    assert set(told["error"]) == {"message", "type", "param", "code"}


def test_a_rate_limit_inside_a_stream_says_how_long_in_the_words_that_codex_reads() -> None:
    error = stream_error(Failure(kind="rate_limited", message="Slow down.", retry_after=2.5))
    assert error == {"code": "rate_limit_exceeded", "message": "Slow down. Please try again in 2.5s."}
    said = Failure(kind="rate_limited", message="try again in 3s", retry_after=3)
    assert stream_error(said)["message"] == "try again in 3s"
    assert stream_error(Failure(kind="truncated", message="cut"))["code"] == "server_error"
