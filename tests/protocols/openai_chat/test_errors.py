from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from bm.chat.parts import Json
from bm.errors import Failure, FailureKind
from bm.protocols.openai_chat.errors import decode_error, encode_error, in_band


def error(message: str = "no", **members: Any) -> Json:
    return {"error": {"message": message, **members}}


def decoded(status: int, document: Any, **headers: str) -> Failure:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (400, error(type="invalid_request_error"), "bad_request"),
        (422, error(), "bad_request"),
        (400, error(code="context_length_exceeded"), "context_too_long"),
        (400, error("This model's maximum context length is 8192 tokens. However, …"), "context_too_long"),
        (400, error("prompt too long; exceeded max context length by 9 tokens"), "context_too_long"),
        (400, error("The total length of all messages is too long."), "context_too_long"),
        (400, error("Please reduce the length of the messages or completion."), "context_too_long"),
        (413, error("Request too large for model"), "too_large"),
        (401, error(code="invalid_api_key"), "upstream_auth"),
        (400, error("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT"), "upstream_auth"),
        (402, error("Insufficient Balance"), "billing"),
        (429, error(code="insufficient_quota"), "billing"),
        (403, error(), "permission"),
        (403, error("Input was flagged", metadata={"reasons": ["violence"]}), "bad_request"),
        (403, error(code="model_not_found"), "not_found"),
        (404, error(code="model_not_found"), "not_found"),
        (429, error(code="rate_limit_exceeded", type="tokens"), "rate_limited"),
        (429, error("Rate limit reached on tokens per day (TPD): Limit 100000"), "quota_exhausted"),
        (400, error(code="tool_use_failed", failed_generation="{"), "malformed"),
        (408, error(), "timeout"),
        (498, error("flex tier at capacity"), "overloaded"),
        (500, error(), "server"),
        (502, b"<html>Bad Gateway</html>", "overloaded"),
        (503, error(), "overloaded"),
        (504, b"", "timeout"),
        (524, b"", "timeout"),
        (520, b"", "overloaded"),
        (529, error(), "overloaded"),
    ],
)
def test_what_an_upstreams_error_means(status: int, document: Any, kind: FailureKind) -> None:
    failure = decoded(status, document)
    assert failure.kind == kind
    assert failure.upstream_status == status


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (error("plain"), "plain"),
        ([error("in a list")], "in a list"),
        ({"error": "bare"}, "bare"),
        ({"object": "error", "message": "flat"}, "flat"),
        ({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs"}]}, "body.seed: Extra inputs"),
        ({"object": "error", "message": {"detail": [{"loc": ["body"], "msg": "m"}]}}, "body: m"),
        ({"message": {"reason": "odd"}}, '{"reason":"odd"}'),
        (b"<html>", "the upstream answered with status 400 and no explanation"),
    ],
)
def test_the_upstreams_words_are_found_in_every_shape(document: Any, message: str) -> None:
    assert decoded(400, document).message == message


def test_facts_are_kept() -> None:
    failure = decoded(422, error("bad", type="t", code="c", param="messages[0]"), x_should_retry="false")
    assert (failure.code, failure.param, failure.http_status) == ("c", "messages[0]", 422)
    assert failure.should_retry is False
    assert json.loads(failure.upstream_body) == error("bad", type="t", code="c", param="messages[0]")


@pytest.mark.parametrize(
    ("message", "details", "headers", "seconds"),
    [
        ("slow down", None, {"retry_after": "7"}, 7.0),
        ("slow down", None, {"retry_after_ms": "300", "retry_after": "7"}, 0.3),
        ("Please try again in 2m59.56s.", None, {}, 179.56),
        ("slow down", [{"@type": "x"}, {"retryDelay": "20.5s"}], {}, 20.5),
        ("slow down", None, {}, None),
    ],
)
def test_the_delay_is_found_wherever_it_is_said(
    message: str, details: Any, headers: dict[str, str], seconds: float | None
) -> None:
    assert decoded(429, error(message, details=details), **headers).retry_after == seconds


@pytest.mark.parametrize(
    ("document", "kind", "status"),
    [
        (error(code=429), "rate_limited", 429),
        (error(code="503"), "overloaded", 503),
        (error(type="rate_limit_error"), "rate_limited", 429),
        (error(code="context_length_exceeded", type="invalid_request_error"), "context_too_long", 400),
        (error(code="tool_use_failed", status_code=400), "malformed", 400),
        (error(), "server", 0),
    ],
)
def test_an_error_inside_an_answer_is_judged_by_what_it_says(document: Json, kind: str, status: int) -> None:
    failure = in_band(document)
    assert (failure.kind, failure.upstream_status) == (kind, status)


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_every_failure_can_be_told(kind: FailureKind) -> None:
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
        (Failure(kind="upstream_auth", message="m"), 503, "server_error", "upstream_auth"),
        (Failure(kind="not_found", message="m"), 404, "invalid_request_error", "model_not_found"),
        (Failure(kind="rate_limited", message="m"), 429, "rate_limit_error", "rate_limit_exceeded"),
    ],
)
def test_clients_find_the_codes_they_look_for(failure: Failure, status: int, kind: str, code: str | None) -> None:
    given, body = encode_error(failure, "req_1")
    assert (given, body["error"]["type"], body["error"]["code"]) == (status, kind, code)


def test_a_model_outside_the_tier_of_a_google_account() -> None:
    failure = decoded(429, error("Quota exceeded for metric: x, limit: 0, model: m", code=429))
    assert (failure.kind, failure.code) == ("quota_exhausted", "not_in_tier")
