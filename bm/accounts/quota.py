"""What accounts of one quota have used of each model in this minute and this day, and how much of it they may.

Limits are learnt from what services say; where they also say what is left, their word replaces bm's own count, since
others may be using the key too. Times are monotonic seconds, `wall` is Unix time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, get_args

import msgspec

from bm.accounts.daily import seconds_to_reset

Window = Literal["minute", "day"]
Unit = Literal["requests", "tokens"]

UNITS: tuple[Unit, ...] = get_args(Unit)
WINDOWS: tuple[Window, ...] = get_args(Window)

MINUTE = 60.0
DAY = 86_400.0

NEARLY = 0.8
"""From this part of a minute's limit on, an account is asked after those that have more left."""

LONGEST: Mapping[Window, float] = {"minute": 3600.0, "day": 25 * 3600.0}
"""Seconds after which a window has ended, whatever a service says and however the clock was set meanwhile. Some tell by
the minute when all is allowed again, and the day on which clocks are set back has 25 hours."""

MOST = 200
"""Gauges that are kept: clients may make up names of models."""


class Gauge(msgspec.Struct, kw_only=True):
    """One limit of one model: `used` until `ends`, of `limit`, which is None until it is known."""

    model: str
    window: Window
    unit: Unit
    used: int = 0
    ends: float = float("-inf")
    limit: int | None = None


class Meter:
    """The gauges of one account, or of accounts that share their quota. `pacific`: its days end as Google's do."""

    def __init__(self, *, pacific: bool = True) -> None:
        self._pacific = pacific
        self._gauges: dict[tuple[str, Window, Unit], Gauge] = {}
        self._low: dict[str, float] = {}

    def count(self, model: str, now: float, wall: float, *, tokens: int = 0) -> None:
        """A request goes out, or, with `tokens`, so many were read by the model."""
        unit: Unit = "tokens" if tokens else "requests"
        for window in WINDOWS:
            self._gauge(model, window, unit, now, wall).used += tokens or 1
        self._judge(model)

    def take_back(self, model: str, now: float) -> None:
        """A request that was counted was refused: it used nothing, but what is used up remains so."""
        for window in WINDOWS:
            gauge = self._gauges.get((model, window, "requests"))
            if gauge is not None and now < gauge.ends and gauge.used and gauge.used != gauge.limit:
                gauge.used -= 1
        self._judge(model)

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
        """Take a service's word for a limit, for what is `left` of it and for the seconds after which it `resets`."""
        found = self._gauge(*gauge, now, wall)
        found.limit = limit
        if left is not None:
            found.used = max(0, limit - left)
            found.ends = found.ends if resets is None else now + min(resets, LONGEST[found.window])
        self._judge(found.model)

    def low(self, now: float) -> list[str]:
        """The models of which little is left for this minute."""
        return [model for model, ends in self._low.items() if now < ends] if self._low else []

    def gauges(self, now: float) -> Iterator[Gauge]:
        """What there is to be told: the use of windows that last, and limits that are known."""
        for gauge in self._gauges.values():
            if now < gauge.ends:
                yield msgspec.structs.replace(gauge)
            elif gauge.limit is not None:
                yield msgspec.structs.replace(gauge, used=0, ends=float("-inf"))

    def every(self) -> Iterator[Gauge]:
        """All gauges, as they stand."""
        yield from self._gauges.values()

    def adopt(self, gauges: Iterable[Gauge]) -> None:
        """Take over gauges of an earlier run or of another meter; of two for one limit the fuller counts."""
        for gauge in gauges:
            key = gauge.model, gauge.window, gauge.unit
            known = self._gauges.get(key)
            if known is None or (gauge.ends, gauge.used) > (known.ends, known.used):
                limit = gauge.limit if gauge.limit is not None else known.limit if known else None
                self._gauges[key] = msgspec.structs.replace(gauge, limit=limit)
                self._judge(gauge.model)

    def grow_older(self, seconds: float) -> None:
        """Move every window into the past."""
        for gauge in self._gauges.values():
            gauge.ends -= seconds
        self._low = {model: ends - seconds for model, ends in self._low.items()}

    def _gauge(self, model: str, window: Window, unit: Unit, now: float, wall: float) -> Gauge:
        """The gauge, begun anew if its window has ended. A minute begins with the first request in it."""
        key = model, window, unit
        gauge = self._gauges.get(key)
        if gauge is None:
            if len(self._gauges) >= MOST:
                del self._gauges[next(iter(self._gauges))]
            gauge = self._gauges[key] = Gauge(model=model, window=window, unit=unit)
        if now >= gauge.ends:
            gauge.used, gauge.ends = 0, now + (MINUTE if window == "minute" else self._day(wall))
        return gauge

    def _day(self, wall: float) -> float:
        return seconds_to_reset(wall) if self._pacific else DAY - wall % DAY

    def _judge(self, model: str) -> None:
        """Note until when little is left of a minute's limit."""
        minute = [gauge for unit in UNITS if (gauge := self._gauges.get((model, "minute", unit)))]
        ends = [gauge.ends for gauge in minute if gauge.limit and gauge.used >= NEARLY * gauge.limit]
        if ends:
            self._low[model] = max(ends)
        elif model in self._low:
            del self._low[model]
