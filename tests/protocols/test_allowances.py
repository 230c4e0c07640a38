"""What services allow, from wherever they say it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.protocols.allowances import Allowance, in_body, in_headers

WHEN = "Mon, 02 Jan 2034 15:00:00 GMT"


def allowance(told: tuple[Any, ...]) -> Allowance:
    window, unit, limit, left, resets = told
    return Allowance(window=window, unit=unit, limit=limit, left=left, resets=resets)


@pytest.mark.parametrize(
    ("provider", "headers", "told"),
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
def test_headers(provider: str, headers: dict[str, str], told: list[tuple[Any, ...]]) -> None:
    assert list(in_headers(headers, 0.0, provider)) == [allowance(each) for each in told]


def refusal(*violations: dict[str, str], message: str = "You exceeded your current quota.") -> bytes:
    details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}]
    return msgspec.json.encode({"error": {"code": 429, "message": message, "details": details}})


MINUTE = {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "15"}
DAY = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "250"}
TOKENS = {"quotaId": "GenerateContentInputTokensPerModelPerMinute-FreeTier", "quotaValue": "250000"}


@pytest.mark.parametrize(
    ("body", "told"),
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
def test_details_of_a_429(body: bytes, told: list[tuple[Any, ...]]) -> None:
    assert list(in_body(body)) == [allowance(each) for each in told]


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
    assert [each.resets for each in in_body(refusal(MINUTE, DAY), 20.0)] == [20.0, None]
