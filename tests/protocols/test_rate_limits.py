"""How long to wait, from wherever a service says it."""

from __future__ import annotations

import pytest

from bm.protocols.rate_limits import delay, delay_in_text, parse_duration, should_retry


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
