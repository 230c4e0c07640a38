"""How long to wait, from wherever a service says it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bm.protocols.rate_limits import context_in_text, delay, delay_in_text, parse_duration, should_retry, used_up


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
        ("Rate limit of 30 requests per minute", None),
        ("Please retry later", None),
    ],
)
def test_the_delay_in_a_sentence(message: str, seconds: float | None) -> None:
    assert delay_in_text(message) == pytest.approx(seconds)


@pytest.mark.parametrize(("value", "told"), [("true", True), ("false", False), ("yes", None)])
def test_whether_to_retry(value: str, told: bool | None) -> None:
    assert should_retry({"x-should-retry": value}) is told
    assert should_retry({}) is None


NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"}, 62.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "250ms"}, 0.25),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"}, 3.0),
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
