"""The ledger over HTTP: requests, usage, and the decisions behind a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from bm.accounts.account import Account
from bm.accounts.report import billed
from bm.chat.parts import Json
from bm.config.paths import Paths
from bm.errors import RequestError
from bm.gateway.record import document_of
from bm.gateway.services import Services
from bm.ledger.advice import advice
from bm.ledger.database import KEEP_DAYS
from bm.ledger.reader import Step, decision, midnight, requests, series, unknown, usage
from bm.ledger.source import LedgerError
from bm.names import By
from bm.server.asgi import json_handler
from bm.server.sign_in import Admission

_FLUSH_WAIT: Final = 5.0
"""Seconds to wait for queued ledger entries before reading. Only the first prices after a start take a second."""


class _UsageParams(msgspec.Struct, forbid_unknown_fields=True):
    days: Annotated[int, msgspec.Meta(ge=1, le=KEEP_DAYS)] = 30
    by: By = "provider"


class _RequestsParams(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 50


class LedgerViews:
    """Answers questions about what the ledger holds, and what is about to be written to it."""

    def __init__(self, services: Services, paths: Paths) -> None:
        self._services, self._where = services, services.ledger_in(paths)

    def routes(self, admission: Admission) -> list[Route]:
        shown = admission.shown
        return [
            Route("/admin/why/{id}", shown(json_handler(self.why))),
            Route("/admin/usage", shown(json_handler(self.usage))),
            Route("/admin/usage/series", shown(json_handler(self.series))),
            Route("/admin/requests", shown(json_handler(self.requests))),
        ]

    async def why(self, request: Request) -> Json:
        """The decisions behind a request, by its id, with advice; the id `last` is the latest request.

        Raises:
            RequestError: the id is unknown.
        """
        wanted = request.path_params["id"]
        found: Json | None
        if (record := self._services.calls.find(wanted)) is not None:
            found = await asyncio.to_thread(document_of, record, self._services.mask)
        else:
            found = await asyncio.to_thread(decision, self._where, wanted)
        if found is None:
            raise RequestError(unknown(wanted))
        return found | {"advice": list(advice(found))}

    async def usage(self, request: Request) -> Json:
        """Usage of the last days, grouped."""
        params = msgspec.convert(dict(request.query_params), _UsageParams, strict=False)
        await self._flush()
        since, where = midnight(params.days, datetime.now()), self._where
        return await asyncio.to_thread(usage, where, since=since, by=params.by, billed=billed(self._accounts()))

    async def series(self, request: Request) -> Json:
        """The same over time: by hour for one day, else by day."""
        params = msgspec.convert(dict(request.query_params), _UsageParams, strict=False)
        await self._flush()
        now = datetime.now()
        step: Step = "hour" if params.days == 1 else "day"
        since, until = midnight(params.days, now), now.timestamp()
        return await asyncio.to_thread(
            series,
            self._where,
            since=since,
            until=until,
            by=params.by,
            step=step,
            billed=billed(self._accounts()),
        )

    def _accounts(self) -> Iterator[Account]:
        return (each.account for each in self._services.settings.credentials)

    async def requests(self, request: Request) -> Json:
        params = msgspec.convert(dict(request.query_params), _RequestsParams, strict=False)
        await self._flush()
        return {"requests": await asyncio.to_thread(requests, self._where, params.limit)}

    async def _flush(self) -> None:
        """Wait briefly until requests that have just ended are in the ledger.

        Raises:
            LedgerError: its database is away. To ask it would take a thread for some seconds, each time.
        """
        if (ledger := self._services.ledger) is None:
            return
        await asyncio.to_thread(ledger.flush, _FLUSH_WAIT)
        if ledger.shipper is not None and ledger.is_unreachable:
            raise LedgerError(ledger.shipper.problem)
