"""What the dashboard and `bm top` look at: one answer with all that changes by itself.

They ask once a second. Nothing is kept for a watcher, so one that is slow, asleep or gone costs nothing and need not be
noticed, and none holds up the end of the daemon, as open streams of events would.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from starlette.requests import Request

from bm.chat.parts import Json
from bm.gateway.decision import row_of
from bm.gateway.record import Record
from bm.gateway.services import Services
from bm.ledger.entry import COLUMNS
from bm.server.admin import Admin
from bm.server.instance import Instance
from bm.server.today import Today
from bm.server.traffic import Traffic


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class Live:
    """Answers of `/admin/live`."""

    def __init__(self, services: Services, admin: Admin, instance: Instance, ledger: Path) -> None:
        self._services, self._admin, self._instance = services, admin, instance
        self._ended = 0
        self._traffic = Traffic()
        self._today = Today(ledger)

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
        services, ended = self._services, self._ended
        fresh = list(services.calls.recent)[-max(ended - asked.after, 0) :] if asked.after < ended else []
        under_way = list(services.calls.under_way.values())
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
            "today": await self._today.told(services.ledger.written if services.ledger else 0),
        }


def _rows(records: Sequence[Record], now: float | None = None) -> list[Json]:
    """As `/admin/requests` tells them. `now`: they are under way, and have taken until then. Blocks."""
    rows = []
    for record in records:
        entry = row_of(record)
        row = {name: getattr(entry, name) for name in COLUMNS}
        rows.append(row if now is None else row | {"took": max(now - entry.at, entry.first_content or 0.0)})
    return rows
