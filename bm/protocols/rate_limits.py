"""How long to wait, from wherever a service says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from bm.errors import Failure

_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = (
    r"(?:\d+(?:\.\d+)?\s?(?:ms|sec(?:ond)?s?|min(?:ute)?s?|h(?:ou)?rs?|days?|[dhms])(?![a-z])[\s,]{0,2}(?:and\s)?)+"
)
_IN_TEXT = re.compile(rf"(?:retry|try again|reset|wait)[^.\d]{{0,40}}?({_AMOUNT})", re.I)
_WORDS = (
    (r"and|,", ""),
    (r"\s?sec(?:ond)?s?", "s"),
    (r"\s?min(?:ute)?s?", "m"),
    (r"\s?h(?:ou)?rs?", "h"),
    (r"\s?days?", "d"),
    (r"\s+", ""),
)


FIRST_MOMENT = 1e9
"""A number from here on is no delay but a moment, in Unix seconds; from a thousand times that on, in milliseconds."""


def parse_duration(text: str) -> float | None:
    """Seconds in `20.04s`, `1h2m3s`, `250ms` or a bare number of seconds; None for anything else."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        return sum(float(number) * _SECONDS[unit] for number, unit in _PIECE.findall(text))
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def delay(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `retry-after`, which may be a date (counted from the `date` header).

    A moment in Unix time, which some services write there, needs a clock: see `with_delay`.
    """
    milliseconds = parse_duration(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = parse_duration(text)
    if seconds is not None or not text:
        return None if seconds is None or seconds >= FIRST_MOMENT else seconds
    try:
        until = parsedate_to_datetime(text)
        return max(0.0, (until - parsedate_to_datetime(headers.get("date", ""))).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def delay_in_text(message: str) -> float | None:
    """Seconds to wait by a sentence such as `Please retry in 20.04466179s.` or `try again in 2m59.56s`."""
    found = _IN_TEXT.search(message)
    if found is None:
        return None
    text = found.group(1).lower()
    for pattern, unit in _WORDS:
        text = re.sub(pattern, unit, text)
    return parse_duration(text)


def delay_in_details(details: Any) -> float | None:
    """Seconds to wait by the details of an error of Google's: `RetryInfo`, or the metadata of `ErrorInfo`."""
    for row in details if isinstance(details, list) else ():
        if not isinstance(row, dict):
            continue
        metadata = row.get("metadata")
        for text in (row.get("retryDelay"), metadata.get("quotaResetDelay") if isinstance(metadata, dict) else None):
            if isinstance(text, str) and (seconds := parse_duration(text)) is not None:
                return seconds
    return None


NOT_IN_TIER = "not_in_tier"
"""The `code` of a failure that says the model is outside the account's tier, for good."""

_TIERLESS = re.compile(r"limit:\s*0(?![\d.])")


def is_tierless(message: str) -> bool:
    """Whether Google's words for a 429 say that nothing at all is allowed of the model."""
    return _TIERLESS.search(message) is not None


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """What `x-should-retry` says; the official SDKs obey it before they look at the status."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", ""))


_LIMITS = (
    *(
        (f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset")
        for kind in ("requests", "tokens")
    ),
    *(
        (f"anthropic-ratelimit-{kind}-tokens-remaining", f"anthropic-ratelimit-{kind}-tokens-reset")
        for kind in ("input", "output")
    ),
    *((f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}") for kind in ("requests", "tokens")),
    *(
        (f"x-ratelimit-remaining-{kind}-{window}", f"x-ratelimit-reset-{kind}-{window}")
        for kind in ("requests", "tokens")
        for window in ("minute", "hour", "day")
    ),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("x-tokenlimit-remaining", "x-tokenlimit-reset"),
    ("ratelimitbysize-remaining", "ratelimitbysize-reset"),
)
"""The headers of Anthropic, of OpenAI and Groq, of Cerebras, of Together and OpenRouter, and of Mistral: what is left,
and when there is more."""


def used_up(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until more is allowed, by the headers of an answer that used up a limit; None while something is left.

    `now` is in Unix seconds; it counts where the answer has no `date`.
    """
    waits = [
        until(headers.get(reset, ""), headers, now)
        for remaining, reset in _LIMITS
        if parse_duration(headers.get(remaining, "")) == 0
    ]
    return max((wait for wait in waits if wait is not None), default=None)


MINUTE = 60.0


def with_delay(failure: Failure, headers: Mapping[str, str], now: float) -> Failure:
    """The failure with the delay that the headers tell, where it names none itself.

    A limit of the minute is asked again after a minute at most: some services say when all is allowed again, not some.
    """
    if failure.kind not in ("rate_limited", "quota_exhausted") or failure.retry_after is not None:
        return failure
    wait = until(headers.get("retry-after", ""), headers, now)
    if wait is None and (wait := used_up(headers, now)) is not None and failure.kind == "rate_limited":
        wait = min(wait, MINUTE)
    return msgspec.structs.replace(failure, retry_after=wait)


def until(text: str, headers: Mapping[str, str], now: float) -> float | None:
    """A delay (`6m0s`, seconds) or a moment (RFC 3339, an HTTP date, Unix time) as a delay."""
    seconds = parse_duration(text)
    if not text or (seconds is not None and seconds < FIRST_MOMENT):
        return seconds
    moment = _moment(text) if seconds is None else seconds / (1000 if seconds >= FIRST_MOMENT * 1000 else 1)
    if moment is None:
        return None
    with suppress(ValueError, TypeError, OverflowError):
        now = parsedate_to_datetime(headers.get("date", "")).timestamp()
    return max(0.0, moment - now)


def _moment(text: str) -> float | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError, TypeError, OverflowError):
            return read(text).timestamp()
    return None


_CONTEXT = re.compile(
    r"> (\d[\d,]*) maximum|tokens allowed \(?(\d[\d,]*)|maximum context length (?:is|of) (\d[\d,]*)"
    r"|context (?:window|length|size)[^\d]{0,30}(\d[\d,]*)",
    re.I,
)


def context_in_text(message: str) -> int | None:
    """The most tokens a model takes, by the words in which it refused more."""
    found = _CONTEXT.search(message)
    if found is None:
        return None
    tokens = int(next(group for group in found.groups() if group).replace(",", ""))
    return tokens if tokens >= _LEAST_CONTEXT else None


_LEAST_CONTEXT = 512
"""No model takes fewer tokens; a smaller number means something else."""
