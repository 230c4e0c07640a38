"""Delays and allowances that a service names in headers, error details or words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

from bm.chat.parts import Json
from bm.errors import Failure
from bm.protocols.reading import json_of, object_of, objects_of, string_of

Window = Literal["minute", "day"]
Unit = Literal["requests", "tokens"]

_HEADERS: tuple[tuple[Unit | None, Window | None, str], ...] = (
    # Anthropic
    ("requests", "minute", "anthropic-ratelimit-requests-{}"),
    ("tokens", "minute", "anthropic-ratelimit-tokens-{}"),
    ("tokens", "minute", "anthropic-ratelimit-input-tokens-{}"),
    (None, "minute", "anthropic-ratelimit-output-tokens-{}"),
    # OpenAI and Groq
    ("requests", None, "x-ratelimit-{}-requests"),
    ("tokens", "minute", "x-ratelimit-{}-tokens"),
    # Mistral
    ("requests", "minute", "x-ratelimit-{}-req-minute"),
    (None, None, "ratelimitbysize-{}"),
    # Cerebras
    ("requests", "minute", "x-ratelimit-{}-requests-minute"),
    ("tokens", "minute", "x-ratelimit-{}-tokens-minute"),
    (None, None, "x-ratelimit-{}-requests-hour"),
    (None, None, "x-ratelimit-{}-tokens-hour"),
    ("requests", "day", "x-ratelimit-{}-requests-day"),
    ("tokens", "day", "x-ratelimit-{}-tokens-day"),
    # Together and OpenRouter
    (None, None, "x-ratelimit-{}"),
    (None, None, "x-tokenlimit-{}"),
)
"""Unit (None: not counted by bm), window (None: the provider's own) and the headers that hold the `limit`, what is
`remaining` and the `reset`. Of two rows for one limit the latter is the more exact."""


class _Row(msgspec.Struct, frozen=True):
    """A row of the table, with the full name of each header."""

    unit: Unit | None
    window: Window | None
    limit: str
    remaining: str
    reset: str


_ROWS = tuple(
    _Row(unit, window, name.format("limit"), name.format("remaining"), name.format("reset"))
    for unit, window, name in _HEADERS
)
_ROW_OF = {name: number for number, row in enumerate(_ROWS) for name in (row.limit, row.remaining, row.reset)}
"""The number of its row by the name of a header."""

_DAILY_REQUESTS = frozenset({"groq"})
"""Providers whose `x-ratelimit-*-requests` count a day (console.groq.com/docs/rate-limits); others' count a minute."""

FIRST_MOMENT = 1e9
"""From here on a number is a moment in Unix seconds and not a delay; from a thousand times that, in milliseconds."""
MINUTE = 60.0
LEAST_BYTES_PER_TOKEN = 2
"""For a request in text, in any language."""

_LONGEST = 64
"""Characters of a duration or a moment; a service that sends more has none in mind."""
_KEPT = 256
"""Texts whose meaning is kept: the headers of answers within the same second have them in common."""
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
_COUNT = re.compile(r"\d{1,15}")
_LIMIT_IN_TEXT = re.compile(r"\blimit: (\d{1,15})\b")


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """One limit. `left` is what remains of it, `resets` the seconds until it is full again; None where not given."""

    window: Window
    unit: Unit
    limit: int
    left: int | None = None
    resets: float | None = None

    def is_spent(self, size: int) -> bool:
        """Whether it is used up, and a request of `size` bytes alone cannot be the cause."""
        return self.left == 0 and (self.unit == "requests" or size // LEAST_BYTES_PER_TOKEN < self.limit)

    def is_hardly_touched(self, size: int) -> bool:
        """Whether a request of `size` bytes is under a tenth of the limit, so that few smaller ones fit."""
        return self.unit == "requests" or size // LEAST_BYTES_PER_TOKEN < self.limit / 10


def parse_duration(text: str) -> float | None:
    """Seconds in `20.04s`, `1h2m3s`, `250ms` or a bare number of seconds; None for anything else."""
    text = text.strip()
    return _duration(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=_KEPT)
def _duration(text: str) -> float | None:
    if _DURATION.fullmatch(text):
        return sum(float(number) * _SECONDS[unit] for number, unit in _PIECE.findall(text))
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def until(text: str, headers: Mapping[str, str], now: float | None = None) -> float | None:
    """The seconds of a delay (`6m0s`, seconds) or until a moment (RFC 3339, an HTTP date, Unix time).

    `now` is in Unix seconds. It is used when the response has no `date`; without both, a moment is None.
    """
    if not text:
        return None
    seconds = parse_duration(text)
    if seconds is not None and seconds < FIRST_MOMENT:
        return seconds
    moment = _moment(text) if seconds is None else seconds / (1000 if seconds >= FIRST_MOMENT * 1000 else 1)
    if (date := _moment(headers.get("date", ""))) is not None:
        now = date
    return None if moment is None or now is None else max(0.0, moment - now)


def _moment(text: str) -> float | None:
    return _unix_time(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=_KEPT)
def _unix_time(text: str) -> float | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError, TypeError, OverflowError):
            return read(text).timestamp()
    return None


def delay_in_headers(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `retry-after`.

    A moment in a response without a `date` needs a clock: see `with_delay`.
    """
    milliseconds = parse_duration(headers.get("retry-after-ms", ""))
    return until(headers.get("retry-after", ""), headers) if milliseconds is None else milliseconds / 1000


def delay_in_text(message: str) -> float | None:
    """Seconds to wait in a sentence such as `Please retry in 20.04466179s.` or `try again in 2m59.56s`."""
    found = _IN_TEXT.search(message)
    if found is None:
        return None
    text = found.group(1).lower()
    for pattern, unit in _WORDS:
        text = re.sub(pattern, unit, text)
    return parse_duration(text)


def delay_in_details(details: Any) -> float | None:
    """Seconds to wait in the details of a Google error: `RetryInfo`, or the metadata of `ErrorInfo`."""
    for row in objects_of(details):
        for value in (row.get("retryDelay"), object_of(row.get("metadata")).get("quotaResetDelay")):
            if (seconds := parse_duration(string_of(value))) is not None:
                return seconds
    return None


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """The value of `x-should-retry`, which the official SDKs obey before they look at the status."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", ""))


def names_limits(headers: Mapping[str, str]) -> bool:
    """Whether a response says anything of limits in its headers."""
    return not _ROW_OF.keys().isdisjoint(headers)


def _rows_in(headers: Mapping[str, str]) -> list[_Row]:
    """The rows of which a response has headers, in the order of the table."""
    found = _ROW_OF.keys() & headers.keys()
    return [_ROWS[number] for number in sorted({_ROW_OF[name] for name in found})]


def used_up(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until more is allowed, from the headers of a response; None while no limit is used up."""
    waits = [
        until(headers.get(row.reset, ""), headers, now)
        for row in _rows_in(headers)
        if parse_duration(headers.get(row.remaining, "")) == 0
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def with_delay(failure: Failure, headers: Mapping[str, str], now: float) -> Failure:
    """The failure with the delay from the headers, if it has none itself.

    A limit per minute gets a minute at most, because some services name the moment when all of it is allowed again.
    """
    if failure.kind not in ("rate_limited", "quota_exhausted") or failure.retry_after is not None:
        return failure
    wait = until(headers.get("retry-after", ""), headers, now)
    if wait is None and (wait := used_up(headers, now)) is not None and failure.kind == "rate_limited":
        wait = min(wait, MINUTE)
    return msgspec.structs.replace(failure, retry_after=wait)


def allowances_in_headers(headers: Mapping[str, str], now: float, provider: str) -> tuple[Allowance, ...]:
    """The limits in the headers of a response. `now` is in Unix seconds, for a response without a `date`."""
    found: list[Allowance] = []
    for row in _rows_in(headers):
        if row.unit is None or (most := _count(headers.get(row.limit))) is None:
            continue
        window: Window = row.window or ("day" if provider in _DAILY_REQUESTS else "minute")
        left, resets = _count(headers.get(row.remaining)), until(headers.get(row.reset, ""), headers, now)
        found.append(Allowance(window=window, unit=row.unit, limit=most, left=left, resets=resets))
    return tuple(found)


def allowances_in_body(body: bytes, wait: float | None = None) -> tuple[Allowance, ...]:
    """The limits that a 429 of the Gemini API names as used up, by their `quotaId` and `quotaValue`.

    Without a value the message has it: `limit: 15`. `wait` is the delay in seconds that the service asks for, after
    which a limit per minute resets.
    """
    document = json_of(body)
    error = object_of(object_of(document[0] if isinstance(document, list) and document else document).get("error"))
    words = _LIMIT_IN_TEXT.findall(string_of(error.get("message")))
    violations = list(quota_violations(error.get("details")))
    found = (_violated(each, words[0] if words and len(violations) == 1 else None) for each in violations)
    return tuple(
        msgspec.structs.replace(each, resets=wait) if each.window == "minute" else each for each in found if each
    )


def quota_of(violation: Json) -> str:
    """The name of a quota that is used up."""
    return str(violation.get("quotaId") or violation.get("quotaMetric") or "")


def quota_violations(details: Any) -> Iterator[Json]:
    """The quotas that the details of a Google error name as used up."""
    for row in objects_of(details):
        yield from objects_of(row.get("violations"))


def _violated(violation: Json, said: str | None) -> Allowance | None:
    quota = quota_of(violation).replace("_", "").lower()
    window: Window | None = "day" if "perday" in quota else "minute" if "perminute" in quota else None
    limit = _count(str(violation.get("quotaValue", ""))) or _count(said)
    if window is None or not limit:
        return None
    return Allowance(window=window, unit="tokens" if "token" in quota else "requests", limit=limit, left=0)


def _count(text: str | None) -> int | None:
    return int(text) if text and _COUNT.fullmatch(text) else None
