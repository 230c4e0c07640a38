"""What the administration answers. The shapes are those of `bm … --json`."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request

from bm.accounts.report import State, counts, rows
from bm.chat.parts import Json
from bm.config.paths import Paths
from bm.dispatch.outcome import AccountEffect
from bm.dispatch.plan import Considered, plan
from bm.dispatch.snapshot import AccountState, Requirements, RouteQuery
from bm.dispatch.target import Target
from bm.errors import RequestError
from bm.gateway.decision import document_of
from bm.gateway.probe import probe_all
from bm.gateway.services import Services
from bm.ledger.advice import advice
from bm.ledger.groups import By
from bm.ledger.ledger import KEEP_DAYS
from bm.ledger.reader import decision, midnight, requests, unknown, usage
from bm.names import ProtocolName
from bm.providers.provider import Provider
from bm.server.instance import Instance
from bm.server.reload import Reloader

_MOMENT: Final = 5.0
"""Seconds to wait for the ledger before it is read. Only the first prices after a start take as long as a second."""


class _RouteQuestion(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    protocol: ProtocolName = "anthropic"
    needs: list[str] = []
    roll: float = 0.0


class _ProbeQuestion(msgspec.Struct, forbid_unknown_fields=True):
    names: list[str] = []


class _UsageQuestion(msgspec.Struct, forbid_unknown_fields=True):
    days: Annotated[int, msgspec.Meta(ge=1, le=KEEP_DAYS)] = 30
    by: By = "provider"


class _RequestsQuestion(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 50


class Admin:
    """Answers about the running daemon."""

    def __init__(self, services: Services, reloader: Reloader, instance: Instance, paths: Paths) -> None:
        self._services, self._reloader, self._instance, self._paths = services, reloader, instance, paths

    def not_ready(self) -> str:
        """Why no request can be served at all; empty when some can."""
        for member in self._services.router.snapshot(self._services.settings).members:
            provider = member.provider
            usable = provider.enabled and (provider.pool or provider.mode != "off")
            if usable and any(not account.disabled for account in member.account_states):
                return ""
        return "no account is usable: bm accounts add NAME"

    def account_states(self) -> dict[State, int]:
        """How many accounts are in each state."""
        return counts(self._services.pool, now=time.monotonic(), wall=time.time())

    async def status(self, request: Request) -> Json:
        """The daemon, its configuration, its accounts and providers, in short."""
        instance, settings, calls = self._instance, self._services.settings, self._services.calls
        return {
            "version": instance.version,
            "pid": os.getpid(),
            "started_at": instance.started_at,
            "uptime": time.time() - instance.started_at,
            "host": settings.config.server.host,
            "port": request.scope["server"][1],
            "config": {
                "path": str(self._paths.config),
                "loaded_at": self._reloader.loaded_at,
                "error": self._reloader.error,
                "warnings": list(settings.warnings),
            },
            "accounts": self.account_states(),
            "providers": [
                {"name": provider.name, "mode": provider.mode, "enabled": provider.enabled}
                for provider in settings.providers.values()
                if provider.configured and not provider.pool
            ],
            "requests": {"active": calls.active, "total": calls.total, "failed": calls.failed},
            "ledger": self._ledger(),
            "recording": settings.config.record.enabled,
        }

    def _ledger(self) -> Json:
        """The ledger's file, and what it lacks."""
        told: Json = {"path": str(self._paths.ledger)}
        if (ledger := self._services.ledger) is not None:
            told |= {"written": ledger.written, "waiting": ledger.waiting, "dropped": ledger.dropped}
            told["problem"] = ledger.problem or None
        return told

    async def why(self, request: Request) -> Json:
        """How a request came to its answer, by its id, and what to do about it; `last` is the latest one."""
        wanted = request.path_params["id"]
        found: Json | None
        if (record := self._services.calls.find(wanted)) is not None:
            found = await asyncio.to_thread(document_of, record, self._services.mask)
        else:
            found = await asyncio.to_thread(decision, self._paths.ledger, wanted)
        if found is None:
            raise RequestError(unknown(wanted))
        return found | {"advice": list(advice(found))}

    async def usage(self, request: Request) -> Json:
        """What was used in the last days."""
        asked = msgspec.convert(dict(request.query_params), _UsageQuestion, strict=False)
        await self._written()
        since = midnight(asked.days, datetime.now())
        return await asyncio.to_thread(usage, self._paths.ledger, since=since, by=asked.by)

    async def requests(self, request: Request) -> Json:
        """The latest requests."""
        asked = msgspec.convert(dict(request.query_params), _RequestsQuestion, strict=False)
        await self._written()
        return {"requests": await asyncio.to_thread(requests, self._paths.ledger, asked.limit)}

    async def _written(self) -> None:
        """Wait a moment for what was served just now to be in the ledger."""
        if self._services.ledger is not None:
            await asyncio.to_thread(self._services.ledger.flush, _MOMENT)

    async def accounts(self, request: Request) -> Json:
        """Every account of every provider."""
        return {"accounts": rows(self._services.pool, now=time.monotonic(), wall=time.time())}

    async def providers(self, request: Request) -> Json:
        """Every provider the configuration names, and the pool."""
        return {"providers": [self._provider(p) for p in self._services.settings.providers.values() if p.configured]}

    def _provider(self, provider: Provider) -> Json:
        accounts = self._services.pool.facts(time.monotonic()).get(provider.name, ())
        return {
            "name": provider.name,
            "enabled": provider.enabled,
            "mode": provider.mode,
            "protocol": provider.protocol,
            "base_url": provider.base_url,
            "protocols": list(provider.protocols),
            "accounts": len(accounts),
            "key_present": provider.auth == "none" or any(not account.disabled for account in accounts),
            "health": _health(accounts),
            "last_error": next((account.disabled for account in accounts if account.disabled), None),
            "models": provider.models,
        }

    async def models(self, request: Request) -> Json:
        """Every model of every provider in use."""
        return {"models": list(await self._services.models.all())}

    async def reload(self, request: Request) -> Json:
        """Take over the files at once."""
        error = await self._reloader.reload()
        return {"ok": error is None, "error": error, "warnings": list(self._services.settings.warnings)}

    async def route(self, request: Request) -> Json:
        """The plan for a request, without sending anything."""
        asked = msgspec.json.decode(await request.body(), type=_RouteQuestion)
        requirements = msgspec.convert(dict.fromkeys(asked.needs, True), Requirements)
        query = RouteQuery(model=asked.model, protocol=asked.protocol, requirements=requirements)
        made = plan(self._services.router.snapshot(self._services.settings), query, roll=asked.roll)
        return {
            "model": made.asked,
            "protocol": asked.protocol,
            "steps": list(made.steps),
            "targets": [
                {**msgspec.structs.asdict(choice.target), "stage": choice.stage, "reason": choice.reason}
                | {"mapping": choice.mapping}
                for choice in made.choices
            ],
            "considered": [_considered(line) for line in made.considered],
            "failure": None if made.failure is None else {"kind": made.failure.kind, "message": made.failure.message},
        }

    async def probe(self, request: Request) -> Json:
        """One small request to each provider and account."""
        asked = msgspec.json.decode(await request.body() or b"{}", type=_ProbeQuestion)
        services = self._services

        def ended(target: Target, effect: AccountEffect) -> None:
            services.pool.probed(target, effect, now=time.monotonic(), wall=time.time())

        return {"results": await probe_all(services.client, services.settings, asked.names, services.tokens, ended)}


def _health(accounts: tuple[AccountState, ...]) -> str:
    """`unknown` before the first use, `down` when no account is usable, `degraded` when one is unwell."""
    if not accounts or all(account.idle is None for account in accounts):
        return "unknown"
    in_use = [account for account in accounts if not account.disabled]
    if not in_use:
        return "down"
    well = all(account.health > 0.5 and not account.states for account in in_use)
    return "ok" if well and len(in_use) == len(accounts) else "degraded"


def _considered(line: Considered) -> dict[str, Any]:
    told = msgspec.structs.asdict(line)
    return told | {"account": line.account or None, "in": line.verdict == "ready"}
