"""Google's errors, read and written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.errors import Failure
from bm.protocols.gemini.codec import CODEC

RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20.04s"}
MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"


def quota(*ids: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": i} for i in ids]}


def error(code: int, status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message, "details": list(details)}}


def read(status: int, body: Any, headers: dict[str, str] | None = None) -> Failure:
    return CODEC.decode_error(status, headers or {}, json.dumps(body).encode())


LIMITED = "RESOURCE_EXHAUSTED"
INFO = "type.googleapis.com/google.rpc.ErrorInfo"
KINDS: list[tuple[str, int, Any, str, float | None, str]] = [
    (
        "a minute's limit",
        429,
        error(429, LIMITED, "Quota exceeded", quota(MINUTE), RETRY),
        "rate_limited",
        20.04,
        LIMITED,
    ),
    (
        "a day's quota, whatever delay it names",
        429,
        error(429, LIMITED, "Quota exceeded", quota(MINUTE, DAY), RETRY),
        "quota_exhausted",
        None,
        LIMITED,
    ),
    (
        "a day's quota by its metric alone",
        429,
        error(
            429,
            LIMITED,
            "Quota exceeded",
            {"violations": [{"quotaMetric": "x.googleapis.com/generate_requests_per_model_per_day"}]},
            RETRY,
        ),
        "quota_exhausted",
        None,
        LIMITED,
    ),
    (
        "a day's quota in the metadata",
        429,
        error(
            429,
            LIMITED,
            "Quota exceeded for quota metric 'Generate requests'",
            {"@type": INFO, "reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": "RequestsPerDayPerProject"}},
        ),
        "quota_exhausted",
        None,
        LIMITED,
    ),
    (
        "a day's quota in the words",
        429,
        error(429, LIMITED, "Quota exceeded for x.googleapis.com/requests_per_day_per_project with model: m."),
        "quota_exhausted",
        None,
        LIMITED,
    ),
    (
        "a model outside the tier",
        429,
        error(
            429,
            LIMITED,
            "Quota exceeded for metric: x, limit: 0, model: gemini-3-pro\nPlease retry in 5s.",
            quota(MINUTE),
            RETRY,
        ),
        "quota_exhausted",
        None,
        "not_in_tier",
    ),
    (
        "a limit that begins with 0 only in words",
        429,
        error(429, LIMITED, "Quota exceeded, limit: 1000. Please retry in 20.5s."),
        "rate_limited",
        20.5,
        LIMITED,
    ),
    (
        "a busy service",
        429,
        error(429, LIMITED, "Resource exhausted. Please try again later."),
        "rate_limited",
        None,
        "shared_capacity",
    ),
    ("a list of one", 429, [error(429, LIMITED, "Quota exceeded", RETRY)], "rate_limited", 20.04, LIMITED),
    (
        "a delay in the metadata",
        429,
        error(429, LIMITED, "x", {"@type": INFO, "metadata": {"quotaResetDelay": "1h2m3s"}}),
        "rate_limited",
        3723.0,
        LIMITED,
    ),
    (
        "a wrong key",
        400,
        error(400, "INVALID_ARGUMENT", "API key not valid.", {"@type": INFO, "reason": "API_KEY_INVALID"}),
        "upstream_auth",
        None,
        "INVALID_ARGUMENT",
    ),
    (
        "an expired token",
        401,
        error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        "upstream_auth",
        None,
        "UNAUTHENTICATED",
    ),
    (
        "a leaked key",
        403,
        error(403, "PERMISSION_DENIED", "Your API key was reported as leaked."),
        "upstream_auth",
        None,
        "PERMISSION_DENIED",
    ),
    (
        "a forbidden project",
        403,
        error(403, "PERMISSION_DENIED", "Permission denied on resource project x."),
        "permission",
        None,
        "PERMISSION_DENIED",
    ),
    (
        "a wrong country",
        400,
        error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        "permission",
        None,
        "FAILED_PRECONDITION",
    ),
    (
        "no billing",
        400,
        error(400, "FAILED_PRECONDITION", "Please enable billing on project x."),
        "billing",
        None,
        "FAILED_PRECONDITION",
    ),
    (
        "too long a prompt",
        400,
        error(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).",
        ),
        "context_too_long",
        None,
        "INVALID_ARGUMENT",
    ),
    (
        "too large a body",
        400,
        error(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
        "too_large",
        None,
        "INVALID_ARGUMENT",
    ),
    (
        "a bad request",
        400,
        error(400, "INVALID_ARGUMENT", "Please use a valid role: user, model."),
        "bad_request",
        None,
        "INVALID_ARGUMENT",
    ),
    ("an unknown model", 404, error(404, "NOT_FOUND", "models/x is not found"), "not_found", None, "NOT_FOUND"),
    ("a fault", 500, error(500, "INTERNAL", "An internal error has occurred."), "server", None, "INTERNAL"),
    ("an overload", 503, error(503, "UNAVAILABLE", "The model is overloaded."), "overloaded", None, "UNAVAILABLE"),
    (
        "a deadline",
        504,
        error(504, "DEADLINE_EXCEEDED", "The request timed out."),
        "timeout",
        None,
        "DEADLINE_EXCEEDED",
    ),
    ("no details at all", 500, {"error": "oops"}, "server", None, ""),
]


@pytest.mark.parametrize(
    ("status", "body", "kind", "delay", "code"), [row[1:] for row in KINDS], ids=[row[0] for row in KINDS]
)
def test_an_error_is_of_its_kind(status: int, body: Any, kind: str, delay: float | None, code: str) -> None:
    failure = read(status, body)
    assert (failure.kind, failure.retry_after, failure.code) == (kind, delay, code)
    assert failure.upstream_status == status
    assert failure.upstream_body == json.dumps(body).encode()
    inner = body[0]["error"] if isinstance(body, list) else body["error"]
    assert failure.message == (inner["message"] if isinstance(inner, dict) else inner)


def test_the_header_tells_the_delay_of_a_limit() -> None:
    assert read(429, error(429, LIMITED, "x", RETRY), {"retry-after": "7"}).retry_after == 7


def test_the_header_does_not_shorten_a_days_quota() -> None:
    assert read(429, error(429, LIMITED, "Quota exceeded", quota(DAY)), {"retry-after": "7"}).retry_after is None


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (502, b"<html><head><title>502 Bad Gateway</title></head></html>", "overloaded", "502 Bad Gateway"),
        (503, b"<html><body><h1>Busy</h1></body></html>", "overloaded", "Busy"),
        (500, b"", "server", "the upstream answered 500"),
        (500, b"\xff\xfe", "server", "��"),
        (418, b"[]", "bad_request", "[]"),
    ],
)
def test_garbage_is_a_failure_by_its_status(status: int, body: bytes, kind: str, message: str) -> None:
    failure = CODEC.decode_error(status, {}, body)
    assert (failure.kind, failure.message) == (kind, message)


@pytest.mark.parametrize(
    ("failure", "status", "word"),
    [
        (Failure(kind="bad_request", message="m"), 400, "INVALID_ARGUMENT"),
        (Failure(kind="unauthorized", message="m"), 401, "UNAUTHENTICATED"),
        (Failure(kind="upstream_auth", message="m"), 503, "UNAVAILABLE"),
        (Failure(kind="not_found", message="m"), 404, "NOT_FOUND"),
        (Failure(kind="rate_limited", message="m"), 429, "RESOURCE_EXHAUSTED"),
        (Failure(kind="server", message="m"), 502, "INTERNAL"),
        (Failure(kind="timeout", message="m"), 504, "DEADLINE_EXCEEDED"),
        (Failure(kind="bad_request", message="m", status=422), 422, "INVALID_ARGUMENT"),
    ],
)
def test_a_client_is_told_in_googles_words(failure: Failure, status: int, word: str) -> None:
    assert CODEC.encode_error(failure, "") == (status, {"error": {"code": status, "message": "m", "status": word}})


def test_a_client_is_told_when_to_come_back_and_what_was_wrong() -> None:
    failure = Failure(kind="rate_limited", message="m", retry_after=1.2, param="contents")
    _, body = CODEC.encode_error(failure, "req_1")
    assert [row["@type"].rpartition(".")[2] for row in body["error"]["details"]] == [
        "RetryInfo",
        "BadRequest",
        "RequestInfo",
    ]
    assert body["error"]["details"][0]["retryDelay"] == "2s"


def test_too_long_a_prompt_is_told_in_the_wording_that_clients_match() -> None:
    _, body = CODEC.encode_error(Failure(kind="context_too_long", message="prompt is too long"), "")
    assert body["error"]["message"].startswith("The input token count exceeds the maximum number of tokens allowed")
