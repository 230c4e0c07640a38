"""What the dashboard and `bm top` look at: one answer with all that changes by itself.

They ask once a second. Nothing is kept for a watcher, so one that is slow, asleep or gone costs nothing and need not be
noticed, and none holds up the end of the daemon, as open streams of events would.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
from starlette.requests import Request

from bm.chat.parts import Json
from bm.gateway.decision import row_of
from bm.gateway.engine import Engine
from bm.gateway.record import Record
from bm.ledger.entry import COLUMNS
from bm.ledger.reader import LedgerError, midnight, usage
from bm.server.admin import Admin
from bm.server.instance import Instance
from bm.server.traffic import Traffic

SUM_LASTS: Final = 5.0
"""Seconds for which the sum of today counts: adding it up reads every request of the day."""


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class Live:
    """Answers of `/admin/live`."""

    def __init__(self, engine: Engine, admin: Admin, instance: Instance, ledger: Path) -> None:
        self._engine, self._admin, self._instance = engine, admin, instance
        self._ended = 0
        self._traffic = Traffic()
        self._today = _Today(ledger)

    def observe(self, record: Record) -> None:
        """A call is over."""
        self._ended += 1
        self._traffic.observe(record)

    async def told(self, request: Request) -> Json:
        """The daemon as `bm status`, `bm accounts` and `bm providers` tell it, and the requests.

        `ended` counts the requests that are over; those after the number `after` come along, the newest first, as far
        as they are in memory. `run` tells one run of the daemon from the next, where the count begins anew.
        """
        asked = msgspec.convert(dict(request.query_params), _Question, strict=False)
        engine, ended = self._engine, self._ended
        fresh = list(engine.records)[-max(ended - asked.after, 0) :] if asked.after < ended else []
        under_way = list(engine.under_way.values())
        return {
            "at": time.time(),
            "run": self._instance.started_at,
            "ended": ended,
            "status": await self._admin.status(request),
            "not_ready": self._admin.not_ready() or None,
            **await self._admin.accounts(request),
            **await self._admin.providers(request),
            "under_way": await asyncio.to_thread(_rows, under_way, time.time()),
            "requests": await asyncio.to_thread(_rows, fresh[::-1]),
            "traffic": self._traffic.told(),
            "today": await self._today.told(ended),
        }


def _rows(records: Sequence[Record], now: float | None = None) -> list[Json]:
    """As `/admin/requests` tells them. `now`: they are under way, and have taken until then. Blocks."""
    rows = []
    for record in records:
        entry = row_of(record)
        row = {name: getattr(entry, name) for name in COLUMNS}
        rows.append(row if now is None else row | {"took": max(now - entry.at, entry.first_content or 0.0)})
    return rows


class _Today:
    """What was used today, as `bm usage --days 1` tells it in its last line; None while the ledger cannot be read."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._sum: Json | None = None
        self._of: tuple[int, float] = (-1, 0.0)
        self._again = 0.0

    async def told(self, ended: int) -> Json | None:
        """The sum, a few seconds old at most."""
        of = ended, midnight(1, datetime.now())
        if of != self._of and time.monotonic() >= self._again:
            self._of, self._again = of, time.monotonic() + SUM_LASTS
            self._sum = await asyncio.to_thread(self._read, of[1])
        return self._sum

    def _read(self, since: float) -> Json | None:
        try:
            total: Json = usage(self._ledger, since=since, by="day")["total"]
        except LedgerError:
            return None
        return total
