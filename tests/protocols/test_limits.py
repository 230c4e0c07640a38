"""Delays and allowances, from wherever a service says them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from bm.errors import Failure, FailureKind
from bm.protocols.limits import (
    Allowance,
    allowances_in_body,
    allowances_in_headers,
    delay_in_details,
    delay_in_headers,
    delay_in_text,
    names_limits,
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
    assert delay_in_headers(headers) == seconds


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


SPENT = {"x-ratelimit-remaining": "0"}


@pytest.mark.parametrize(
    ("kind", "reported", "headers", "seconds"),
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
    kind: FailureKind, reported: float | None, headers: dict[str, str], seconds: float | None
) -> None:
    failure = Failure(kind=kind, message="", retry_after=reported)
    assert with_delay(failure, headers, NOW).retry_after == seconds


@pytest.mark.parametrize(("value", "reported"), [("true", True), ("false", False), ("yes", None)])
def test_whether_to_retry(value: str, reported: bool | None) -> None:
    assert should_retry({"x-should-retry": value}) is reported
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


WHEN = "Mon, 02 Jan 2034 15:00:00 GMT"


def allowance(reported: tuple[Any, ...]) -> Allowance:
    window, unit, limit, left, resets = reported
    return Allowance(window=window, unit=unit, limit=limit, left=left, resets=resets)


@pytest.mark.parametrize(
    ("provider", "headers", "reported"),
    [
        (
            "anthropic",
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-requests-reset": "2034-01-02T15:00:30Z",
                "date": WHEN,
            },
            [("minute", "requests", 50, 49, 30.0)],
        ),
        (
            "groq",
            {
                "x-ratelimit-limit-requests": "14400",
                "x-ratelimit-remaining-requests": "14370",
                "x-ratelimit-reset-requests": "2m59.56s",
                "x-ratelimit-limit-tokens": "6000",
            },
            [("day", "requests", 14400, 14370, 179.56), ("minute", "tokens", 6000, None, None)],
        ),
        ("openai", {"x-ratelimit-limit-requests": "60"}, [("minute", "requests", 60, None, None)]),
        (
            "mistral",
            {
                "x-ratelimit-limit-req-minute": "120",
                "x-ratelimit-remaining-req-minute": "97",
                "x-ratelimit-limit-tokens-minute": "200000",
                "x-ratelimit-remaining-tokens-minute": "199743",
            },
            [("minute", "requests", 120, 97, None), ("minute", "tokens", 200000, 199743, None)],
        ),
        (
            "anthropic",
            {"anthropic-ratelimit-tokens-limit": "90", "anthropic-ratelimit-input-tokens-limit": "80"},
            [("minute", "tokens", 90, None, None), ("minute", "tokens", 80, None, None)],
        ),
        ("cerebras", {"x-ratelimit-limit-requests-day": "900"}, [("day", "requests", 900, None, None)]),
        ("anthropic", {"anthropic-ratelimit-requests-limit": "many"}, []),
        ("anthropic", {"anthropic-ratelimit-requests-remaining": "3"}, []),
    ],
)
def test_allowances_in_headers(provider: str, headers: dict[str, str], reported: list[tuple[Any, ...]]) -> None:
    assert list(allowances_in_headers(headers, 0.0, provider)) == [allowance(each) for each in reported]


def refusal(*violations: dict[str, str], message: str = "You exceeded your current quota.") -> bytes:
    details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}]
    return msgspec.json.encode({"error": {"code": 429, "message": message, "details": details}})


MINUTE = {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "15"}
DAY = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "250"}
TOKENS = {"quotaId": "GenerateContentInputTokensPerModelPerMinute-FreeTier", "quotaValue": "250000"}


@pytest.mark.parametrize(
    ("body", "reported"),
    [
        (refusal(MINUTE, DAY), [("minute", "requests", 15, 0, None), ("day", "requests", 250, 0, None)]),
        (refusal(TOKENS), [("minute", "tokens", 250000, 0, None)]),
        (
            refusal({"quotaId": MINUTE["quotaId"]}, message="Quota exceeded, limit: 10, model: m"),
            [("minute", "requests", 10, 0, None)],
        ),
        (
            refusal(
                {
                    "quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_model_per_day",
                    "quotaValue": "25",
                }
            ),
            [("day", "requests", 25, 0, None)],
        ),
        (b"[" + refusal(DAY) + b"]", [("day", "requests", 250, 0, None)]),
        (refusal({"quotaId": MINUTE["quotaId"], "quotaValue": "0"}), []),
        (refusal({"quotaId": "Something", "quotaValue": "9"}), []),
        (b'{"error": {"details": {"violations": 5}}}', []),
        (b'{"error": "no"}', []),
        (b"[]", []),
        (b"<html>", []),
        (b"\xff", []),
    ],
)
def test_details_of_a_429(body: bytes, reported: list[tuple[Any, ...]]) -> None:
    assert list(allowances_in_body(body)) == [allowance(each) for each in reported]


@pytest.mark.parametrize(
    ("unit", "left", "size", "spent"),
    [
        ("requests", 0, 10_000_000, True),
        ("requests", 1, 10, False),
        ("requests", None, 10, False),
        ("tokens", 0, 1999, True),
        ("tokens", 0, 2000, False),
        ("tokens", 5, 10, False),
    ],
)
def test_a_limit_is_used_up_by_others_unless_the_request_alone_is_too_large(
    unit: Any, left: int | None, size: int, spent: bool
) -> None:
    assert Allowance(window="minute", unit=unit, limit=1000, left=left).is_spent(size) is spent


@pytest.mark.parametrize(
    ("unit", "size", "hardly"), [("requests", 10_000_000, True), ("tokens", 199, True), ("tokens", 200, False)]
)
def test_a_small_request_hardly_touches_a_limit(unit: Any, size: int, hardly: bool) -> None:
    assert Allowance(window="minute", unit=unit, limit=1000, left=0).is_hardly_touched(size) is hardly


def test_the_delay_of_a_429_is_when_a_minutes_limit_resets() -> None:
    assert [each.resets for each in allowances_in_body(refusal(MINUTE, DAY), 20.0)] == [20.0, None]


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("anthropic-ratelimit-requests-reset", True),
        ("x-ratelimit-remaining-tokens", True),
        ("x-tokenlimit-limit", True),
        ("x-ratelimit-source", False),
        ("content-type", False),
    ],
)
def test_headers_name_limits_if_one_of_them_is_known(header: str, named: bool) -> None:
    assert names_limits({"date": "Sat, 31 Jan 2026 12:00:00 GMT", header: "1"}) is named
