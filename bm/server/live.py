"""What passes through, in steps of a few seconds: the curve of the dashboard and the rates of `bm top`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from bm.chat.parts import Json
from bm.gateway.record import Record, row_of
from bm.gateway.services import Services
from bm.ledger.entry import COLUMNS
from bm.ledger.reader import LedgerError, midnight, usage

STEP: Final = 10.0
"""Seconds of a step."""

STEPS: Final = 90
"""How many are remembered."""

RECENT: Final = 6
"""Whole steps that rates are taken from, besides the one that has begun."""


class Step(msgspec.Struct):
    """What ended within one step. Tokens count where the answer ends: `input` with what was cached."""

    requests: int = 0
    failures: int = 0
    input: int = 0
    output: int = 0


class Traffic:
    """Counts calls as they end. A step that nothing happens in costs nothing until somebody asks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._current = 0
        self._steps: deque[Step] = deque([Step()], maxlen=STEPS)

    def observe(self, record: Record) -> None:
        """Count a call that is over. A client that hangs up is no failure."""
        step = self._now()
        step.requests += 1
        step.failures += record.failure is not None and not record.client_left
        if record.usage is not None:
            step.input += record.usage.prompt or 0
            step.output += record.usage.output

    def to_json(self) -> Json:
        """The steps, the newest last, and the sums of the latest minute with the seconds they were counted in."""
        self._now()
        steps = [*([Step()] * (STEPS - len(self._steps))), *self._steps]
        recent = list(self._steps)[-RECENT - 1 :]
        since_start = self._clock() - self._began
        return {
            "step": STEP,
            **{name: [getattr(step, name) for step in steps] for name in Step.__struct_fields__},
            "recent": {
                "seconds": min(since_start, RECENT * STEP + since_start % STEP),
                **{name: sum(getattr(step, name) for step in recent) for name in Step.__struct_fields__},
            },
        }

    def _now(self) -> Step:
        """The step that time has come to."""
        current = int((self._clock() - self._began) // STEP)
        self._steps.extend(Step() for _ in range(min(current - self._current, STEPS)))
        self._current = current
        return self._steps[-1]


LASTS: Final = 5.0
"""Seconds for which a sum counts: adding it up reads every request of the day."""


class DailyTotals:
    """The last line of `bm usage --days 1`."""

    def __init__(self, ledger: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger, self._clock = ledger, clock
        self._sum: Json | None = None
        self._of: tuple[int, float] | None = None
        self._again = float("-inf")

    async def to_json(self, written: int) -> Json | None:
        """The sum, a few seconds old at most; None while the ledger cannot be read.

        `written` counts what this run has entered in the ledger. What waits to be entered is no reason to add up: it
        would be missing, and then nothing would tell that it is.
        """
        of = written, midnight(1, datetime.now())
        if of != self._of and self._clock() >= self._again:
            self._of, self._again = of, self._clock() + LASTS
            self._sum = await asyncio.to_thread(self._read, of[1])
        return self._sum

    def _read(self, since: float) -> Json | None:
        try:
            total: Json = usage(self._ledger, since=since, by="day")["total"]
        except LedgerError:
            return None
        return total


class Live:
    """The changing part of `/admin/live`: requests, traffic and the totals of the day."""

    def __init__(self, services: Services, ledger: Path) -> None:
        self._services = services
        self._ended = 0
        self._traffic = Traffic()
        self._totals = DailyTotals(ledger)

    def observe(self, record: Record) -> None:
        """Count a request that has ended."""
        self._ended += 1
        self._traffic.observe(record)

    async def to_json(self, after: int) -> Json:
        """Requests in progress and those that ended since number `after`, newest first, as far as they are in memory.

        `ended` is the number of requests that have ended since the daemon started.
        """
        services, ended = self._services, self._ended
        fresh = list(services.calls.recent)[-max(ended - after, 0) :] if after < ended else []
        under_way = list(services.calls.under_way.values())
        return {
            "ended": ended,
            "under_way": await asyncio.to_thread(_rows, under_way, time.time()),
            "requests": await asyncio.to_thread(_rows, fresh[::-1]),
            "traffic": self._traffic.to_json(),
            "today": await self._totals.to_json(services.ledger.written if services.ledger else 0),
        }


def _rows(records: Sequence[Record], now: float | None = None) -> list[Json]:
    """As `/admin/requests` tells them. `now`: they are under way, and have taken until then. Blocks."""
    rows = []
    for record in records:
        entry = row_of(record)
        row = {name: getattr(entry, name) for name in COLUMNS}
        rows.append(row if now is None else row | {"took": max(now - entry.at, entry.first_content or 0.0)})
    return rows
