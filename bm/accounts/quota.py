"""Usage of each model per minute and per day by accounts of one quota, and the known limits.

Limits are learned from responses. Where a service also reports what remains, its figure replaces bm's own count,
because the key may be in use elsewhere. Times are monotonic seconds, `wall` is Unix time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from typing import Literal, Protocol, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from bm.accounts.roster import Watched

Window = Literal["minute", "day"]
Unit = Literal["requests", "tokens"]

UNITS: tuple[Unit, ...] = get_args(Unit)
WINDOWS: tuple[Window, ...] = get_args(Window)

MINUTE = 60.0
QUARTER = 900.0
"""Days begin at a full quarter of an hour in every time zone in use."""
DAY = 86_400.0

NEARLY = 0.8
"""Share of a minute's limit from which on an account is tried after those with more left."""

LONGEST: Mapping[Window, float] = {"minute": 3600.0, "day": 25 * 3600.0}
"""Longest time in seconds until a window ends, whatever a service says or a clock was set to. Some services report when
a minute's limit is full again, and the day on which clocks are set back has 25 hours."""

MAX_GAUGES = 200
"""Gauges kept. Clients can invent model names."""

QUOTA_ZONE = "America/Los_Angeles"
"""Daily quotas of the Gemini API reset at midnight Pacific time (ai.google.dev/gemini-api/docs/rate-limits)."""


class Gauge(msgspec.Struct, kw_only=True):
    """The usage of one limit of a model until `ends`. `limit` is None until it is known."""

    model: str
    window: Window
    unit: Unit
    used: int = 0
    ends: float = float("-inf")
    limit: int | None = None


class Totals(Protocol):
    """The counts of several nodes together, for which each tells its own."""

    @property
    def nodes(self) -> int:
        """How many nodes there are."""

    def count(self, meter: Meter, model: str, amount: int, unit: Unit, day: float) -> None:
        """Count on all nodes, without waiting. The day ends in so many seconds."""

    def uncount(self, meter: Meter, model: str) -> None:
        """A counted request has used nothing."""

    def learn(self, meter: Meter, gauge: tuple[str, Window, Unit], limit: int, left: int | None, ends: float) -> None:
        """A service has reported a limit, how much of it is left, and in how many seconds its window ends."""

    def unconfirmed(self, meter: Meter, model: str) -> int:
        """Requests of this node that others cannot know of yet."""


class Meter(Watched):
    """The gauges of one account, or of accounts that share a quota. With `pacific`, days end at midnight Pacific time,
    else at midnight UTC. With `totals`, other nodes use the quota of that name too."""

    def __init__(self, *, pacific: bool = True, totals: Totals | None = None, quota: str = "") -> None:
        super().__init__()
        self.totals, self.quota = totals, quota
        self._pacific = pacific
        self._gauges: dict[tuple[str, Window, Unit], Gauge] = {}
        self._low: dict[str, float] = {}

    def count(self, model: str, amount: int, unit: Unit, *, now: float, wall: float) -> None:
        """Count requests, or the tokens they used."""
        if amount:
            for window in WINDOWS:
                self._gauge(model, window, unit, now, wall).used += amount
            self._update_low(model)
            if self.totals is not None:
                self.totals.count(self, model, amount, unit, self._day(wall))

    def admits(self, model: str, now: float) -> bool:
        """Whether this node may ask now: of what all nodes have left together, each takes its part at a time."""
        left = None if self.totals is None else self.left(model, now)
        if self.totals is None or left is None:
            return True
        return self.totals.unconfirmed(self, model) < max(1, left // self.totals.nodes)

    def is_spent(self, model: str, now: float) -> bool:
        """Whether a known limit of requests is used up, by all nodes together."""
        left = None if self.totals is None else self.left(model, now)
        return left is not None and left <= 0

    def left(self, model: str, now: float) -> int | None:
        """Requests that are left in the current windows; None where no limit is known."""
        gauges = (self._gauges.get((model, window, "requests")) for window in WINDOWS)
        known = (each.limit - each.used for each in gauges if each and each.limit is not None and now < each.ends)
        return min(known, default=None)

    def take_total(self, total: Gauge, now: float) -> None:
        """Take over what all nodes together have used, and the limit that one of them has learnt."""
        known = self._gauges.get((total.model, total.window, total.unit))
        if known is None:
            known = self._put((total.model, total.window, total.unit), total)
        known.limit = known.limit if total.limit is None else total.limit
        if now < total.ends:
            known.used, known.ends = total.used, total.ends
        self._update_low(total.model)

    def uncount(self, model: str, now: float) -> None:
        """A counted request was refused and used nothing. A limit that is used up stays so."""
        for window in WINDOWS:
            gauge = self._gauges.get((model, window, "requests"))
            if gauge is not None and now < gauge.ends and gauge.used and gauge.used != gauge.limit:
                gauge.used -= 1
        self._update_low(model)
        if self.totals is not None:
            self.totals.uncount(self, model)

    def learn(
        self,
        gauge: tuple[str, Window, Unit],
        limit: int,
        *,
        left: int | None,
        resets: float | None,
        now: float,
        wall: float,
    ) -> None:
        """Apply what a service reports: a limit, how much of it is `left`, and in how many seconds it `resets`."""
        found = self._gauge(*gauge, now, wall)
        found.limit = limit
        if left is not None:
            found.used = max(0, limit - left)
            found.ends = found.ends if resets is None else now + min(resets, LONGEST[found.window])
        self._update_low(found.model)
        if self.totals is not None:
            self.totals.learn(self, gauge, limit, left, found.ends - now)

    def low_until(self, model: str) -> float:
        """When the minute ends whose limit is nearly used up; -inf if none is."""
        return self._low.get(model, float("-inf"))

    def low(self, now: float) -> list[str]:
        """The models whose limit for this minute is nearly used up."""
        return [model for model, ends in self._low.items() if now < ends] if self._low else []

    def gauges(self, now: float) -> Iterator[Gauge]:
        """The gauges to show: those of current windows, and those with a known limit."""
        for gauge in self._gauges.values():
            if now < gauge.ends:
                yield msgspec.structs.replace(gauge)
            elif gauge.limit is not None:
                yield msgspec.structs.replace(gauge, used=0, ends=float("-inf"))

    def all(self) -> Iterator[Gauge]:
        yield from self._gauges.values()

    def merge(self, gauges: Iterable[Gauge]) -> None:
        """Add gauges of an earlier run or of another meter. Of two for the same limit, the one with more use stays."""
        for gauge in gauges:
            key = gauge.model, gauge.window, gauge.unit
            known = self._gauges.get(key)
            if known is None or (gauge.ends, gauge.used) > (known.ends, known.used):
                limit = gauge.limit if gauge.limit is not None else known.limit if known else None
                self._gauges[key] = msgspec.structs.replace(gauge, limit=limit)
                self._update_low(gauge.model)

    def age(self, seconds: float) -> None:
        for gauge in self._gauges.values():
            gauge.ends -= seconds
        self._low = {model: ends - seconds for model, ends in self._low.items()}
        self.changed()

    def _gauge(self, model: str, window: Window, unit: Unit, now: float, wall: float) -> Gauge:
        """The gauge, reset if its window has ended. A minute starts with its first request."""
        key = model, window, unit
        gauge = self._gauges.get(key)
        if gauge is None:
            gauge = self._put(key, Gauge(model=model, window=window, unit=unit))
        if now >= gauge.ends:
            gauge.used, gauge.ends = 0, now + (MINUTE if window == "minute" else self._day(wall))
        return gauge

    def _put(self, key: tuple[str, Window, Unit], gauge: Gauge) -> Gauge:
        if key not in self._gauges and len(self._gauges) >= MAX_GAUGES:
            del self._gauges[next(iter(self._gauges))]
        self._gauges[key] = gauge
        return gauge

    def _day(self, wall: float) -> float:
        return seconds_to_reset(wall) if self._pacific else DAY - wall % DAY

    def _update_low(self, model: str) -> None:
        until: float | None = None
        for unit in UNITS:
            gauge = self._gauges.get((model, "minute", unit))
            if gauge is not None and gauge.limit and gauge.used >= NEARLY * gauge.limit:
                until = gauge.ends if until is None else max(until, gauge.ends)
        if until == self._low.get(model):
            return
        if until is None:
            del self._low[model]
        else:
            self._low[model] = until
        self.changed()


def seconds_to_reset(wall: float) -> float:
    """Seconds from the Unix time `wall` to the next midnight Pacific time: more than 0, at most 25 hours."""
    return _midnight(wall // QUARTER) - wall


@lru_cache(maxsize=4)
def _midnight(quarter: float) -> float:
    """The Unix time of the next midnight Pacific time after the beginning of a quarter of an hour."""
    zone = _zone()
    here = datetime.fromtimestamp(quarter * QUARTER, zone)
    midnight = datetime(here.year, here.month, here.day, tzinfo=zone) + timedelta(days=1)
    return midnight.astimezone(UTC).timestamp()


def local_day(wall: float) -> str:
    """The local date, such as `2026-01-31`."""
    return _day_of(wall // QUARTER)


@lru_cache(maxsize=4)
def _day_of(quarter: float) -> str:
    return datetime.fromtimestamp(quarter * QUARTER).date().isoformat()


@cache
def _zone() -> tzinfo:
    try:
        return ZoneInfo(QUOTA_ZONE)
    except ZoneInfoNotFoundError:
        # Without a time zone database (Windows, small containers): standard time all year, so summer resets are late.
        return timezone(timedelta(hours=-8))
