"""How long to wait, from wherever a service says it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bm.errors import Failure, FailureKind
from bm.protocols.rate_limits import (
    context_in_text,
    delay,
    delay_in_details,
    delay_in_text,
    is_tierless,
    parse_duration,
    should_retry,
    used_up,
    with_delay,
)

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20.04466179s", 20.04466179),
        ("1h2m3s", 3723.0),
        ("250ms", 0.25),
        ("2d", 172800.0),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("inf", None),
        ("nan", None),
        ("3s later", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "30"}, 30.0),
        ({"retry-after-ms": "1500", "retry-after": "30"}, 1.5),
        ({"retry-after": "Mon, 02 Jan 2034 15:00:30 GMT", "date": "Mon, 02 Jan 2034 15:00:00 GMT"}, 30.0),
        ({"retry-after": "Mon, 02 Jan 2034 14:00:00 GMT", "date": "Mon, 02 Jan 2034 15:00:00 GMT"}, 0.0),
        ({"retry-after": "Mon, 02 Jan 2034 15:00:30 GMT"}, None),
        ({"retry-after": "a while"}, None),
        ({"retry-after": "1769860817"}, None),
        ({}, None),
    ],
)
def test_the_delay_in_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert delay(headers) == seconds


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please retry in 20.04466179s.", 20.04466179),
        ("Rate limit reached. Please try again in 2m59.56s. Visit the console.", 179.56),
        ("try again in 250ms", 0.25),
        ("Please wait 3 minutes and try again", 180.0),
        ("Your quota will reset after 1 hour", 3600.0),
        ("Please retry after 30 secs", 30.0),
        ("Try again in 1 hr 5 mins.", 3900.0),
        ("try again in 2 hours and 5 minutes", 7500.0),
        ("The limit resets in 1 day, 3 hours", 97_200.0),
        ("Rate limit of 30 requests per minute", None),
        ("try again in 3 months", None),
        ("Please retry later", None),
    ],
)
def test_the_delay_in_a_sentence(message: str, seconds: float | None) -> None:
    assert delay_in_text(message) == pytest.approx(seconds)


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "20.04s"}


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([{"@type": "x"}, RETRY_INFO], 20.04),
        ([{"metadata": {"quotaResetDelay": "1h2m3s"}}], 3723.0),
        ([{"metadata": 5, "retryDelay": 5}, "text"], None),
        ({"retryDelay": "5s"}, None),
        (None, None),
    ],
)
def test_the_delay_in_the_details_of_an_error_of_googles(details: Any, seconds: float | None) -> None:
    assert delay_in_details(details) == seconds


@pytest.mark.parametrize(
    ("message", "tierless"), [("limit: 0, model: m", True), ("limit: 0.5", False), ("limit: 05", False), ("0", False)]
)
def test_a_limit_of_nothing(message: str, tierless: bool) -> None:
    assert is_tierless(message) is tierless


SPENT = {"x-ratelimit-remaining": "0"}


@pytest.mark.parametrize(
    ("kind", "told", "headers", "seconds"),
    [
        ("rate_limited", 5.0, SPENT | {"x-ratelimit-reset": "20"}, 5.0),
        ("rate_limited", None, SPENT | {"x-ratelimit-reset": "20"}, 20.0),
        ("rate_limited", None, SPENT | {"x-ratelimit-reset": "6m0s"}, 60.0),
        ("rate_limited", None, {"x-ratelimit-remaining": "1", "x-ratelimit-reset": "20"}, None),
        ("rate_limited", None, {"retry-after": "Sat, 31 Jan 2026 12:00:30 GMT"}, 30.0),
        ("rate_limited", None, {"retry-after": "1769860817"}, 17.0),
        ("quota_exhausted", None, SPENT | {"x-ratelimit-reset": "1769904000000"}, 43_200.0),
        ("server", None, SPENT | {"x-ratelimit-reset": "20"}, None),
    ],
)
def test_a_refusal_that_names_no_delay_has_that_of_the_limit_that_is_used_up(
    kind: FailureKind, told: float | None, headers: dict[str, str], seconds: float | None
) -> None:
    failure = Failure(kind=kind, message="", retry_after=told)
    assert with_delay(failure, headers, NOW).retry_after == seconds


@pytest.mark.parametrize(("value", "told"), [("true", True), ("false", False), ("yes", None)])
def test_whether_to_retry(value: str, told: bool | None) -> None:
    assert should_retry({"x-should-retry": value}) is told
    assert should_retry({}) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"}, 62.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "250ms"}, 0.25),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"}, 3.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1769860817"}, 17.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1769860817000"}, 17.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "Sat, 31 Jan 2026 12:00:17 GMT"}, 17.0),
        ({"x-tokenlimit-remaining": "0", "x-tokenlimit-reset": "2"}, 2.0),
        ({"ratelimitbysize-remaining": "0", "ratelimitbysize-reset": "39"}, 39.0),
        ({"x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "12.5"}, 12.5),
        ({"x-ratelimit-remaining-requests-day": "0", "x-ratelimit-reset-requests-day": "900"}, 900.0),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, None),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-01-31T12:00:07Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-01-31T12:00:11Z",
                "anthropic-ratelimit-output-tokens-remaining": "900",
                "anthropic-ratelimit-output-tokens-reset": "2026-01-31T12:01:00Z",
            },
            11.0,
        ),
        (
            {
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-01-31T13:00:07Z",
                "date": "Sat, 31 Jan 2026 13:00:00 GMT",
            },
            7.0,
        ),
        (
            {"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2026-01-31T11:00:00Z"},
            0.0,
        ),
    ],
)
def test_a_limit_that_is_used_up_says_when_there_is_more(headers: dict[str, str], seconds: float | None) -> None:
    assert used_up(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        ("prompt is too long: 250000 tokens > 200000 maximum", 200_000),
        ("The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).", 1_048_576),
        ("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.", 8192),
        ("maximum context length is 128,000 tokens", 128_000),
        ("the request exceeds the available context size (4096 tokens)", 4096),
        ("prompt is too long", None),
        ("the maximum context length is 1", None),
    ],
)
def test_a_refusal_tells_how_many_tokens_a_model_takes(message: str, tokens: int | None) -> None:
    assert context_in_text(message) == tokens
