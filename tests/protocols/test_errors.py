"""What upstreams' errors mean: one table for all services, in answers and in streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.chat.events import Failed
from bm.chat.parts import Json
from bm.errors import Failure, FailureKind
from bm.protocols.errors import decode_error, in_band
from tests.protocols.pair import CLIENTS, reported


def error(message: str = "no", **members: Any) -> Json:
    return {"error": {"message": message, **members}}


def anthropic(kind: str, message: str) -> Json:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def decoded(status: int, document: Any, **headers: str) -> Failure:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (400, error(type=INVALID), "bad_request"),
        (418, error(), "bad_request"),
        (422, error(), "bad_request"),
        (400, error(code="context_length_exceeded"), "context_too_long"),
        (400, error("This model's maximum context length is 8192 tokens. However, …"), "context_too_long"),
        (400, error("Your input exceeds the context window of this model."), "context_too_long"),
        (400, error("prompt too long; exceeded max context length by 9 tokens"), "context_too_long"),
        (400, error("The total length of all messages is too long."), "context_too_long"),
        (400, error("Please reduce the length of the messages or completion."), "context_too_long"),
        (400, anthropic(INVALID, "prompt is too long: 210000 tokens > 200000 maximum"), "context_too_long"),
        (400, anthropic(INVALID, "input length and `max_tokens` exceed context limit: 3 + 2 > 2"), "context_too_long"),
        (400, anthropic(INVALID, "input length and `max_tokens` exceed context limit: 1 + 2 > 2"), "bad_request"),
        (400, error("maximum context length is 9 tokens and your request has 5 input tokens"), "bad_request"),
        (400, error("`max_completion_tokens` must be at most `9`, less than the `context_window`"), "bad_request"),
        (400, error("maximum context length is 9 tokens and your request has 15 input tokens"), "context_too_long"),
        (400, error("Input length 300000 exceeds the maximum length 262144."), "context_too_long"),
        (400, error("The model `m` has been decommissioned and is no longer supported."), "not_found"),
        (400, error("registry.ollama.ai/library/gemma3:4b does not support tools"), "declined"),
        (404, error('No endpoints found that support tool use. Try disabling "a".'), "declined"),
        (400, error("Unknown Model, please check the model code."), "not_found"),
        (400, error("google/gemini-2.0-pro-exp-02-05:free is not a valid model ID"), "not_found"),
        (400, error("The provided model identifier is invalid."), "not_found"),
        (400, error("Invalid model configuration of the request"), "bad_request"),
        (410, error("gone"), "not_found"),
        (402, error("You requested up to 65536 tokens, but can only afford 41216."), "declined"),
        (402, error("You requested up to 65536 tokens, but can only afford 12."), "declined"),
        (402, error("You requested up to 9 tokens, but can only afford 0."), "billing"),
        (402, error("requires more credits, or fewer max_tokens. You can only afford 0. See"), "billing"),
        (402, error("requires more credits, or fewer max_tokens. You can only afford 90. See"), "declined"),
        (403, error("Key limit exceeded (daily limit). Manage it using …", code=403), "quota_exhausted"),
        (403, error("Key limit exceeded (monthly limit). Manage it using …", code=403), "quota_exhausted"),
        (403, error("Key limit exceeded (total limit). Manage it using …", code=403), "billing"),
        (403, error("You've reached your usage limit for this billing cycle."), "quota_exhausted"),
        (429, {"error": "you have reached your weekly usage limit, upgrade for higher limits"}, "quota_exhausted"),
        (429, {"message": "a Trial key, which is limited to 1000 API calls / month."}, "quota_exhausted"),
        (413, error("Request too large for model", code="rate_limit_exceeded", type="tokens"), "too_large"),
        (413, error("Request too large for model `m` on tokens per minute (TPM): Limit 8, Requested 9"), "declined"),
        (429, error("Request too large for m in organization o on tokens per min (TPM): Limit 8"), "declined"),
        (429, error("Rate limit reached for m in organization o on tokens per min (TPM): Limit 8"), "rate_limited"),
        (429, anthropic("rate_limit_error", "Extra usage is required for long context requests."), "declined"),
        (413, anthropic("request_too_large", "too large"), "too_large"),
        (401, error(code="invalid_api_key"), "upstream_auth"),
        (401, error(type=INVALID), "upstream_auth"),
        (401, anthropic("authentication_error", "invalid x-api-key"), "upstream_auth"),
        (400, anthropic("authentication_error", "invalid x-api-key"), "upstream_auth"),
        (400, error("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT"), "upstream_auth"),
        (400, {"code": "invalid argument", "error": "Incorrect API key provided: xa***yz."}, "upstream_auth"),
        (402, error("Insufficient Balance"), "billing"),
        (429, error(code="insufficient_quota", type="insufficient_quota"), "billing"),
        (400, anthropic(INVALID, "Your credit balance is too low to access the Anthropic API."), "billing"),
        (429, error("Your prepayment credits are depleted.", status="RESOURCE_EXHAUSTED"), "billing"),
        (429, {"code": "c", "error": "Your team t has either used all available credits or reached its"}, "billing"),
        (429, error("Insufficient balance or no resource package. Please recharge.", code="1113"), "billing"),
        (429, error("Your account o is suspended, please check your plan and billing details"), "billing"),
        (412, error("Account a is suspended, possibly due to reaching the monthly spending limit"), "billing"),
        (429, error("Allocated quota exceeded, please increase it.", code="insufficient_quota"), "rate_limited"),
        (429, error("You exceeded your current quota. See aliyun.com", code="insufficient_quota"), "rate_limited"),
        (429, error("You exceeded your current quota. See openai.com", code="insufficient_quota"), "billing"),
        (400, anthropic(INVALID, "This organization has been disabled."), "permission"),
        (400, error("Organization has been restricted.", code="organization_restricted"), "permission"),
        (400, {"code": "Arrearage", "message": "Access denied"}, "permission"),
        (403, {"error": {"type": "forbidden", "message": "Request not allowed"}}, "blocked"),
        (400, {"status": 400, "detail": "Function 'f': DEGRADED function cannot be invoked"}, "overloaded"),
        (403, error(), "permission"),
        (403, error(code="unsupported_country_region_territory"), "blocked"),
        (400, anthropic("permission_error", "no"), "permission"),
        (403, error("Input was flagged", metadata={"reasons": ["violence"]}), "declined"),
        (403, error("Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"), "declined"),
        (403, {"message": "Forbidden"}, "blocked"),
        (403, {"error": "Access denied by the company's proxy"}, "blocked"),
        (403, {"message": "this key has no access to the model"}, "permission"),
        (403, error(code="model_not_found"), "not_found"),
        (404, error(code="model_not_found"), "not_found"),
        (404, anthropic("not_found_error", "model: x"), "not_found"),
        (503, error(code="model_not_found"), "overloaded"),
        (405, error(), "method"),
        (408, error(), "timeout"),
        (409, anthropic("conflict_error", "no"), "server"),
        (425, error(), "server"),
        (429, error(code="rate_limit_exceeded", type="tokens"), "rate_limited"),
        (429, anthropic("rate_limit_error", "slow down"), "rate_limited"),
        (400, anthropic("rate_limit_error", "slow down"), "rate_limited"),
        (429, error("Rate limit reached on tokens per day (TPD): Limit 100000"), "quota_exhausted"),
        (400, anthropic(INVALID, "You have reached your specified API usage limits."), "quota_exhausted"),
        (400, error(code="tool_use_failed", failed_generation="{"), "malformed"),
        (498, error("flex tier at capacity"), "overloaded"),
        (500, error(), "server"),
        (500, anthropic("api_error", "oh"), "server"),
        (502, b"<html>Bad Gateway</html>", "overloaded"),
        (503, error(type="server_error"), "overloaded"),
        (503, error(code="slow_down"), "overloaded"),
        (504, b"", "timeout"),
        (504, anthropic("timeout_error", "late"), "timeout"),
        (520, {}, "overloaded"),
        (524, b"", "timeout"),
        (529, anthropic("overloaded_error", "Overloaded"), "overloaded"),
        (302, b"", "blocked"),
        (307, error("moved"), "blocked"),
        (600, b"{}", "server"),
        (599, b"[]", "server"),
    ],
)
def test_what_an_upstreams_error_means(status: int, document: Any, kind: FailureKind) -> None:
    failure = decoded(status, document)
    assert (failure.kind, failure.upstream_status) == (kind, status)
    assert failure.message


def test_a_free_quota_of_one_model_is_not_that_of_the_account() -> None:
    code = "AllocationQuota.FreeTierOnly"
    failure = decoded(403, error("The free quota has been exhausted.", code=code, type=code))
    assert (failure.kind, failure.code) == ("quota_exhausted", "not_in_tier")


PAGES = [
    (b"<html><title>Just a moment...</title></html>", ": Just a moment..."),
    (b"<!DOCTYPE html><body><h1> Blocked </h1>by your company", ": Blocked by your company"),
    (b"error code: 1020", ": error code: 1020"),
    (b"<html>", ""),
    (b"{}", ": {}"),
    (b"", ""),
    (b"\xff\xfe", ": \ufffd\ufffd"),
]


@pytest.mark.parametrize("status", [302, 401, 402, 403, 407, 409, 421, 449, 451])
@pytest.mark.parametrize(("body", "said"), PAGES)
def test_a_page_is_not_the_services_word_about_a_key_or_request(status: int, body: bytes, said: str) -> None:
    failure = decode_error(status, {}, body)
    assert failure.kind == "blocked"
    assert failure.message == f"the upstream answered {status} with a page that is not the API's{said}"


@pytest.mark.parametrize(("status", "kind"), [(413, "too_large"), (429, "rate_limited"), (503, "overloaded")])
@pytest.mark.parametrize(("body", "said"), PAGES)
def test_any_other_page_is_judged_by_its_status(status: int, kind: FailureKind, body: bytes, said: str) -> None:
    failure = decode_error(status, {"retry-after": "7"}, body)
    assert (failure.kind, failure.message) == (kind, f"the upstream answered {status}{said}")
    assert failure.retry_after == 7.0


@pytest.mark.parametrize("status", [400, 404, 405, 410, 422])
def test_only_a_web_page_hides_what_a_status_says_of_the_request(status: int) -> None:
    assert decode_error(status, {"content-type": "text/html; charset=utf-8"}, b"no such page").kind == "blocked"
    assert decode_error(status, {"content-type": "text/plain"}, b"<html><title>404</title></html>").kind == "blocked"
    assert decode_error(status, {"content-type": "text/plain"}, b"404 page not found").kind != "blocked"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (error("plain"), "plain"),
        ([error("in a list")], "in a list"),
        ({"error": "bare"}, "bare"),
        ({"object": "error", "message": "flat"}, "flat"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"code": 1234, "msg": "Wrong thing"}, "Wrong thing"),
        ({"error": {"code": 1, "error_msg": "Wrong thing"}}, "Wrong thing"),
        ({"errors": [{"message": "One"}, {"message": "Two"}]}, "One; Two"),
        ({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs"}]}, "body.seed: Extra inputs"),
        ({"object": "error", "message": {"detail": [{"loc": ["body"], "msg": "m"}]}}, "body: m"),
        ({"message": {"reason": "odd"}}, '{"reason":"odd"}'),
        ({"error": {"type": "made_up"}}, "made_up"),
        ({"error": {}}, "the upstream answered 400 and gave no reason"),
    ],
)
def test_the_upstreams_words_are_found_in_every_shape(document: Any, message: str) -> None:
    assert decoded(400, document).message == message


def test_facts_are_kept() -> None:
    said = error("bad", type="t", code="c", param="messages[0]")
    failure = decoded(422, said, x_should_retry="false")
    assert (failure.code, failure.param, failure.should_retry) == ("c", "messages[0]", False)
    assert json.loads(failure.upstream_body) == said
    assert decoded(400, anthropic(INVALID, "tools.0.name: no")).param == "tools.0.name"
    exact = {"error": {"type": "api_error", "message": "m", "details": {"error_code": "E1"}}}
    assert (decoded(500, exact).code, decoded(500, error(type="api_error")).code) == ("E1", "api_error")


@pytest.mark.parametrize(
    ("message", "details", "headers", "seconds"),
    [
        ("slow down", None, {"retry_after": "7"}, 7.0),
        ("slow down", None, {"retry_after_ms": "300", "retry_after": "7"}, 0.3),
        ("Please try again in 2m59.56s.", None, {}, 179.56),
        ("Please try again in 20s.", None, {"retry_after": "3"}, 3.0),
        ("slow down", [{"@type": "x"}, {"retryDelay": "20.5s"}], {}, 20.5),
        ("slow down", None, {}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_delay_is_found_wherever_it_is_said(
    status: int, message: str, details: Any, headers: dict[str, str], seconds: float | None
) -> None:
    assert decoded(status, error(message, details=details), **headers).retry_after == seconds


IN_BAND = [
    (error(code=429), "rate_limited", 429),
    (error(code="503"), "overloaded", 503),
    (error(type="rate_limit_error"), "rate_limited", 429),
    (error(code="rate_limit_exceeded", type=INVALID), "rate_limited", 429),
    (error(code="context_length_exceeded", type=INVALID), "context_too_long", 400),
    (error(type=INVALID), "bad_request", 400),
    (error(code="invalid_prompt"), "bad_request", 0),
    (error(code="insufficient_quota"), "billing", 0),
    (error(code="server_error"), "server", 500),
    (error(type="overloaded_error"), "overloaded", 503),
    (error(code=400, status="INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}]), "upstream_auth", 400),
    (error(code="tool_use_failed", status_code=400), "malformed", 400),
    (error("Incorrect API key provided", code=400), "upstream_auth", 400),
    (error("Please reduce the length of the messages", code=400), "context_too_long", 400),
    (error("flagged", code=403, metadata={"flagged_input": "x"}), "declined", 403),
    (error(code=498), "overloaded", 498),
    (error(code=520), "overloaded", 520),
    (error(), "server", 0),
]


@pytest.mark.parametrize(("document", "kind", "status"), IN_BAND)
def test_an_error_inside_an_answer_is_judged_by_what_it_says(document: Json, kind: str, status: int) -> None:
    failure = in_band(document)
    assert (failure.kind, failure.upstream_status, failure.upstream_body) == (kind, status, b"")


@pytest.mark.parametrize("protocol", CLIENTS)
@pytest.mark.parametrize(("document", "kind", "status"), IN_BAND)
def test_an_error_inside_a_stream_means_the_same_in_every_protocol(
    protocol: Any, document: Json, kind: str, status: int
) -> None:
    failed = [
        event.failure for event in reported(protocol, [{"type": "error", **document}]) if isinstance(event, Failed)
    ]
    assert [(failure.kind, failure.upstream_status) for failure in failed] == [(kind, status)]


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20.04s"}
MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"


def quota(*ids: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": i} for i in ids]}


def google(code: int, status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message, "details": list(details)}}


LIMITED = "RESOURCE_EXHAUSTED"
INFO = "type.googleapis.com/google.rpc.ErrorInfo"
GOOGLES: list[tuple[str, int, Any, str, float | None, str]] = [
    (
        "a minute's limit",
        429,
        google(429, LIMITED, "Quota exceeded", quota(MINUTE), RETRY),
        "rate_limited",
        20.04,
        LIMITED,
    ),
    (
        "a day's quota, whatever delay it names",
        429,
        google(429, LIMITED, "Quota exceeded", quota(MINUTE, DAY), RETRY),
        "quota_exhausted",
        None,
        LIMITED,
    ),
    (
        "a day's quota by its metric alone",
        429,
        google(
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
        google(
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
        google(429, LIMITED, "Quota exceeded for x.googleapis.com/requests_per_day_per_project with model: m."),
        "quota_exhausted",
        None,
        LIMITED,
    ),
    (
        "a model outside the tier",
        429,
        google(
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
        "a project that has no quota",
        429,
        google(
            429,
            LIMITED,
            "Quota exceeded for quota metric 'Generate Content API requests per minute'",
            {"@type": INFO, "metadata": {"quota_limit_value": "0", "quota_limit": "RequestsPerMinutePerRegion"}},
        ),
        "quota_exhausted",
        None,
        "not_in_tier",
    ),
    (
        "a limit that begins with 0 only in words",
        429,
        google(429, LIMITED, "Quota exceeded, limit: 1000. Please retry in 20.5s."),
        "rate_limited",
        20.5,
        LIMITED,
    ),
    (
        "a busy service",
        429,
        google(429, LIMITED, "Resource exhausted. Please try again later."),
        "rate_limited",
        None,
        LIMITED,
    ),
    ("a list of one", 429, [google(429, LIMITED, "Quota exceeded", RETRY)], "rate_limited", 20.04, LIMITED),
    (
        "a delay in the metadata",
        429,
        google(429, LIMITED, "x", {"@type": INFO, "metadata": {"quotaResetDelay": "1h2m3s"}}),
        "rate_limited",
        3723.0,
        LIMITED,
    ),
    (
        "a wrong key",
        400,
        google(400, "INVALID_ARGUMENT", "API key not valid.", {"@type": INFO, "reason": "API_KEY_INVALID"}),
        "upstream_auth",
        None,
        "INVALID_ARGUMENT",
    ),
    (
        "an expired token",
        401,
        google(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        "upstream_auth",
        None,
        "UNAUTHENTICATED",
    ),
    (
        "a leaked key",
        403,
        google(403, "PERMISSION_DENIED", "Your API key was reported as leaked."),
        "upstream_auth",
        None,
        "PERMISSION_DENIED",
    ),
    (
        "a forbidden project",
        403,
        google(403, "PERMISSION_DENIED", "Permission denied on resource project x."),
        "permission",
        None,
        "PERMISSION_DENIED",
    ),
    (
        "a wrong country",
        400,
        google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        "blocked",
        None,
        "FAILED_PRECONDITION",
    ),
    (
        "no billing",
        400,
        google(400, "FAILED_PRECONDITION", "Please enable billing on project x."),
        "billing",
        None,
        "FAILED_PRECONDITION",
    ),
    (
        "too long a prompt",
        400,
        google(
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
        google(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
        "too_large",
        None,
        "INVALID_ARGUMENT",
    ),
    (
        "a bad request",
        400,
        google(400, "INVALID_ARGUMENT", "Please use a valid role: user, model."),
        "bad_request",
        None,
        "INVALID_ARGUMENT",
    ),
    ("an unknown model", 404, google(404, "NOT_FOUND", "models/x is not found"), "not_found", None, "NOT_FOUND"),
    ("a fault", 500, google(500, "INTERNAL", "An internal error has occurred."), "server", None, "INTERNAL"),
    ("an overload", 503, google(503, "UNAVAILABLE", "The model is overloaded."), "overloaded", None, "UNAVAILABLE"),
    (
        "a deadline",
        504,
        google(504, "DEADLINE_EXCEEDED", "The request timed out."),
        "timeout",
        None,
        "DEADLINE_EXCEEDED",
    ),
    ("no details at all", 500, {"error": "oops"}, "server", None, ""),
]


@pytest.mark.parametrize(
    ("status", "body", "kind", "delay", "code"), [row[1:] for row in GOOGLES], ids=[row[0] for row in GOOGLES]
)
def test_what_an_error_of_googles_means(status: int, body: Any, kind: str, delay: float | None, code: str) -> None:
    failure = decoded(status, body)
    assert (failure.kind, failure.retry_after, failure.code) == (kind, delay, code)
    inner = body[0]["error"] if isinstance(body, list) else body["error"]
    assert failure.message == (inner["message"] if isinstance(inner, dict) else inner)


def test_a_header_shortens_a_limit_of_googles_but_no_days_quota() -> None:
    assert decoded(429, google(429, LIMITED, "x", RETRY), retry_after="7").retry_after == 7
    assert decoded(429, google(429, LIMITED, "Quota exceeded", quota(DAY)), retry_after="7").retry_after is None


def behind_openrouter(raw: Any) -> Failure:
    metadata = {"raw": raw, "provider_name": "Novita"}
    return decoded(400, error("Provider returned error", code=400, metadata=metadata))


@pytest.mark.parametrize(
    ("raw", "kind", "quoted"),
    [
        (json.dumps(error("Input length 300000 exceeds the maximum length 262144.")), "context_too_long", "262144."),
        (json.dumps(error("no", code="context_length_exceeded")), "context_too_long", "no"),
        (error("prompt is too long: 9 tokens > 8 maximum"), "context_too_long", "8 maximum"),
        ("upstream connect error", "bad_request", "upstream connect error"),
        # The key and the credit are those of the gateway.
        (json.dumps(error("Incorrect API key provided", code="invalid_api_key")), "bad_request", "provided"),
        (json.dumps(error("no credit", code="insufficient_quota")), "bad_request", "no credit"),
        (None, "bad_request", "Provider returned error"),
    ],
)
def test_a_gateways_error_is_read_by_what_it_quotes(raw: Any, kind: FailureKind, quoted: str) -> None:
    failure = behind_openrouter(raw)
    assert failure.kind == kind
    assert failure.message.startswith("Provider returned error") and failure.message.endswith(quoted)


def test_half_of_a_pair_in_an_error_costs_nothing() -> None:
    failure = decode_error(400, {}, rb'{"error": {"message": "bad \ud83d in the prompt", "code": 400}}')
    assert failure.message == "bad \ufffd in the prompt"
