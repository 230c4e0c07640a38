"""The live view of the dashboard and `bm top`: requests, traffic over time and the totals of the day."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from bm.accounts.report import billed
from bm.chat.parts import Json
from bm.gateway.record import Record, row_of
from bm.gateway.services import Services
from bm.ledger.entry import COLUMNS
from bm.ledger.reader import midnight, usage
from bm.ledger.source import LedgerError, Where

STEP: Final = 10.0
"""The length of a step in seconds."""

STEPS: Final = 90
"""The number of steps kept."""

RECENT: Final = 6
"""Complete steps that rates are computed from, besides the current one."""

TOTALS_LAST: Final = 5.0
"""Seconds for which the totals of the day are reused: computing them reads every request of the day."""


class Step(msgspec.Struct):
    """Requests that ended within one step. `input` includes cached tokens."""

    requests: int = 0
    failures: int = 0
    input: int = 0
    output: int = 0


class Traffic:
    """Counts requests as they end. Steps without requests are added only when the counts are read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._current = 0
        self._steps: deque[Step] = deque([Step()], maxlen=STEPS)

    def observe(self, record: Record) -> None:
        """Count a request that has ended. A client that disconnects is not a failure."""
        step = self._advance()
        step.requests += 1
        step.failures += record.failure is not None and not record.client_left
        if record.usage is not None:
            step.input += record.usage.prompt or 0
            step.output += record.usage.output

    def to_json(self) -> Json:
        """The steps, newest last, and the sums of the latest minute with the seconds they cover."""
        self._advance()
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

    def _advance(self) -> Step:
        """Add the steps up to the present one and return it."""
        current = int((self._clock() - self._began) // STEP)
        self._steps.extend(Step() for _ in range(min(current - self._current, STEPS)))
        self._current = current
        return self._steps[-1]


class DailyTotals:
    """The totals of today, as in the last line of `bm usage --days 1`."""

    def __init__(
        self,
        ledger: Where,
        clock: Callable[[], float] = time.monotonic,
        billed: Callable[[], list[str]] = list,
    ) -> None:
        self._ledger, self._clock, self._billed = ledger, clock, billed
        self._totals: Json | None = None
        self._version: tuple[int, float] | None = None
        self._expires = float("-inf")

    async def to_json(self, written: int) -> Json | None:
        """The totals, a few seconds old at most; None while the ledger cannot be read.

        `written` is the number of requests this run has written to the ledger; the totals are computed again only when
        it or the day has changed, or if other nodes write to the ledger too.
        """
        version = written, midnight(1, datetime.now())
        is_shared = isinstance(self._ledger, str)
        if (is_shared or version != self._version) and self._clock() >= self._expires:
            self._version, self._expires = version, self._clock() + TOTALS_LAST
            self._totals = await asyncio.to_thread(self._read, version[1])
        return self._totals

    def _read(self, since: float) -> Json | None:
        try:
            total: Json = usage(self._ledger, since=since, by="day", billed=self._billed())["total"]
        except LedgerError:
            return None
        return total


class Live:
    """The changing part of `/admin/live`: requests, traffic and the totals of the day."""

    def __init__(self, services: Services, ledger: Where) -> None:
        self._services = services
        self._ended = 0
        self._traffic = Traffic()
        self._totals = DailyTotals(ledger, billed=self._billed)

    def _billed(self) -> list[str]:
        return billed(each.account for each in self._services.settings.credentials)

    def observe(self, record: Record) -> None:
        self._ended += 1
        self._traffic.observe(record)

    async def to_json(self, after: int) -> Json:
        """Requests in progress and those that ended since number `after`, newest first, as far as they are in memory.

        `ended` is the number of requests that have ended since the daemon started.
        """
        services, ended = self._services, self._ended
        fresh = list(services.calls.recent)[-max(ended - after, 0) :] if after < ended else []
        under_way = list(services.calls.under_way.values())
        node = services.ledger.node if services.ledger else ""
        return {
            "ended": ended,
            "under_way": await asyncio.to_thread(_rows, under_way, node, time.time()),
            "requests": await asyncio.to_thread(_rows, fresh[::-1], node),
            "traffic": self._traffic.to_json(),
            "today": await self._today(),
        }

    async def _today(self) -> Json | None:
        """The totals of the day; None while they cannot be read."""
        ledger = self._services.ledger
        if ledger is None:
            return await self._totals.to_json(0)
        return None if ledger.is_unreachable else await self._totals.to_json(ledger.written)


def _rows(records: Sequence[Record], node: str, now: float | None = None) -> list[Json]:
    """Rows as in `/admin/requests`. `now` is given for requests in progress, to compute how long they take. Blocks."""
    rows = []
    for record in records:
        entry = row_of(record)
        row = {name: getattr(entry, name) for name in COLUMNS} | {"node": node}
        rows.append(row if now is None else row | {"took": max(now - entry.at, entry.first_content or 0.0)})
    return rows
