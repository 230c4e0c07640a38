"""How much a service allows in a minute or a day, from wherever it says so: headers of answers, details of a 429."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from bm.protocols.rate_limits import until

Window = Literal["minute", "day"]
Unit = Literal["requests", "tokens"]


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """One limit. `left` is what remains of it, `resets` the seconds until all of it is there again; None = unsaid."""

    window: Window
    unit: Unit
    limit: int
    left: int | None = None
    resets: float | None = None

    def is_spent(self, size: int) -> bool:
        """Whether it is used up, and would have allowed a request of `size` bytes before: so that is not the cause."""
        return self.left == 0 and (self.unit == "requests" or size // LEAST_BYTES_PER_TOKEN < self.limit)

    def is_hardly_touched(self, size: int) -> bool:
        """Whether a request of `size` bytes is so small a part of the limit that others cannot be much smaller."""
        return self.unit == "requests" or size // LEAST_BYTES_PER_TOKEN < self.limit / 10


LEAST_BYTES_PER_TOKEN = 2
"""Of a request in text, whatever its language."""

_DAILY_REQUESTS = frozenset({"groq"})
"""Providers whose `x-ratelimit-*-requests` count a day (console.groq.com/docs/rate-limits); others' count a minute."""

_ROWS: tuple[tuple[Unit, Window | None, str], ...] = (
    ("requests", "minute", "anthropic-ratelimit-requests-{}"),
    ("tokens", "minute", "anthropic-ratelimit-tokens-{}"),
    ("tokens", "minute", "anthropic-ratelimit-input-tokens-{}"),
    ("requests", None, "x-ratelimit-{}-requests"),
    ("tokens", "minute", "x-ratelimit-{}-tokens"),
    ("requests", "minute", "x-ratelimit-{}-req-minute"),
    ("requests", "minute", "x-ratelimit-{}-requests-minute"),
    ("requests", "day", "x-ratelimit-{}-requests-day"),
    ("tokens", "minute", "x-ratelimit-{}-tokens-minute"),
    ("tokens", "day", "x-ratelimit-{}-tokens-day"),
)
"""Unit, window (None: the provider's own) and the headers that tell the `limit`, what is `remaining` and the `reset`:
those of Anthropic, of OpenAI and Groq, of Mistral, and of Cerebras, which put the window in their names. Of two for one
limit the latter is the more exact."""

_COUNT = re.compile(r"\d{1,15}")
_IN_WORDS = re.compile(r"\blimit: (\d{1,15})\b")


def in_headers(headers: Mapping[str, str], now: float, provider: str) -> tuple[Allowance, ...]:
    """The limits that an answer tells. `now` is in Unix seconds; it counts where the answer has no `date`."""
    found: list[Allowance] = []
    for unit, window, name in _ROWS:
        if (most := _count(headers.get(name.format("limit")))) is None:
            continue
        span: Window = window or ("day" if provider in _DAILY_REQUESTS else "minute")
        left = _count(headers.get(name.format("remaining")))
        resets = until(headers.get(name.format("reset"), ""), headers, now)
        found.append(Allowance(window=span, unit=unit, limit=most, left=left, resets=resets))
    return tuple(found)


def in_body(body: bytes, wait: float | None = None) -> tuple[Allowance, ...]:
    """The limits that a 429 of the Gemini API names as used up: `quotaId` tells which they are, `quotaValue` how much.

    Where the value is absent the words have it: `limit: 15`. `wait` are the seconds after which the service wants to be
    asked again; that of a minute's limit is when it resets.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
    error = document[0] if isinstance(document, list) and document else document
    error = error.get("error") if isinstance(error, dict) else None
    if not isinstance(error, dict):
        return ()
    words = _IN_WORDS.findall(str(error.get("message") or ""))
    violations = list(_violations(error.get("details")))
    found = (_violated(each, words if len(violations) == 1 else ()) for each in violations)
    return tuple(
        msgspec.structs.replace(each, resets=wait) if each.window == "minute" else each for each in found if each
    )


def _violations(details: Any) -> Iterator[dict[str, Any]]:
    for row in details if isinstance(details, list) else ():
        told = row.get("violations") if isinstance(row, dict) else None
        yield from (each for each in (told if isinstance(told, list) else ()) if isinstance(each, dict))


def _violated(violation: dict[str, Any], words: list[str] | tuple[()]) -> Allowance | None:
    quota = str(violation.get("quotaId") or violation.get("quotaMetric") or "").replace("_", "").lower()
    window: Window | None = "day" if "perday" in quota else "minute" if "perminute" in quota else None
    limit = _count(str(violation.get("quotaValue", ""))) or (_count(words[0]) if words else None)
    if window is None or not limit:
        return None
    return Allowance(window=window, unit="tokens" if "token" in quota else "requests", limit=limit, left=0)


def _count(text: str | None) -> int | None:
    return int(text) if text and _COUNT.fullmatch(text) else None
