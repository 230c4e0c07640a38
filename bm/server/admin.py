"""The admin app: the daemon's own paths for health, metrics, the dashboard and the commands of `bm`.

Answers have the shapes of `bm … --json`.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bm.accounts.report import State, counts
from bm.chat.parts import Json
from bm.config.paths import Paths
from bm.config.secrets import Mask, without_login
from bm.config.shared import node_name
from bm.dispatch.outcome import AccountEffect
from bm.dispatch.target import Target
from bm.gateway.deep_probe import ask_deeply, plans
from bm.gateway.probe import is_chosen, probe_all, without_account
from bm.gateway.services import Services
from bm.server.accounts import AccountViews
from bm.server.asgi import Handler, JsonResponse, json_handler
from bm.server.configuration import ConfigurationViews
from bm.server.dashboard import front
from bm.server.edits import Edits
from bm.server.google_sign_in import GoogleSignIns
from bm.server.keys import KeyViews, budget_rows, unpriced
from bm.server.ledger import LedgerViews
from bm.server.live import Live
from bm.server.metrics import Metrics
from bm.server.models import ModelViews
from bm.server.playground import Playground
from bm.server.providers import ProviderViews
from bm.server.readiness import not_ready
from bm.server.reload import Reloader
from bm.server.routing import RoutingViews
from bm.server.sharing import Sharing
from bm.server.sign_in import Admission, Sessions, SignIn, sessions_path
from bm.server.state import models_path, save_models
from bm.tasks import failures

_MAX_CHALLENGE: Final = 128
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_MOST_LINES: Final = 20_000
"""Lines of the log that are looked through for those of a level."""
_LINE: Final = re.compile(r"(?P<at>\S+ \S+) (?P<level>[A-Z]+) (?P<name>\S+): (?P<message>.*)")


class Instance(msgspec.Struct, frozen=True):
    """The running process. `started_at` is Unix time; `version` is the version that runs, whatever is installed by now.

    `prove` answers a challenge as only this process can. `ready` is called once the server accepts
    connections. `keep_file` writes daemon.json again whenever it is lost, until cancelled. `predecessor` describes the
    daemon that has handed over to this one and is still finishing its answers. `mask_in_log` makes the log hide what
    a mask hides.
    """

    prove: Callable[[str], str]
    started_at: float
    version: str
    ready: Callable[[], None]
    keep_file: Callable[[], Coroutine[Any, Any, None]]
    predecessor: Callable[[], Json | None] = lambda: None
    mask_in_log: Callable[[Mask], None] = lambda mask: None


class _ProbeParams(msgspec.Struct, forbid_unknown_fields=True):
    names: list[str] = []
    wake: bool = False
    account: tuple[str, str] | None = None
    dry: bool = False


class _DeepProbeParams(msgspec.Struct, forbid_unknown_fields=True):
    names: list[str] = []
    dry: bool = False


class _LogParams(msgspec.Struct, forbid_unknown_fields=True):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    lines: Annotated[int, msgspec.Meta(ge=1, le=2_000)] = 500


class _LiveParams(msgspec.Struct, forbid_unknown_fields=True):
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


def admin_app(
    services: Services,
    reloader: Reloader,
    instance: Instance,
    paths: Paths,
    asked: Mapping[str, Handler],
    sharing: Sharing,
) -> Starlette:
    """The application behind `/healthz`, `/readyz`, `/metrics`, `/admin/*` and `/`. `asked` are further paths below
    `/admin` that are posted to, with the key. `sharing` is with other nodes."""
    edits = Edits(paths, reloader)
    admin = Admin(services, reloader, edits, instance, paths, sharing)
    metrics = _metrics(services, admin, instance, sharing)
    services.calls.observers += [metrics.observe, admin.live_view.observe]
    sessions = Sessions(sessions_path(paths), lambda: services.settings.local_key)
    admission = Admission(services, sessions)
    sign_in = SignIn(sessions, admission)
    keyed, shown = admission.keyed, admission.shown

    async def measured(request: Request) -> Response:
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")

    async def unknown_path(request: Request) -> Response:
        return JsonResponse({"error": f"there is no {request.url.path} here"}, 404)

    return Starlette(
        routes=[
            *_health(services, admission, instance, sharing),
            Route("/", front(services)),
            Route("/metrics", keyed(measured)),
            Route("/admin/session", admission.open(sign_in.enter), methods=["POST"]),
            Route("/admin/session", admission.open(sign_in.leave), methods=["DELETE"]),
            Route("/admin/session/code", keyed(json_handler(sign_in.code)), methods=["POST"]),
            Route("/admin/live", shown(json_handler(admin.live))),
            Route("/admin/status", shown(json_handler(admin.status))),
            *admin.account_views.routes(admission),
            *GoogleSignIns(services, edits).routes(admission),
            *admin.provider_views.routes(admission),
            *KeyViews(services).routes(admission),
            *LedgerViews(services, paths).routes(admission),
            *RoutingViews(services, edits, paths).routes(admission),
            *ModelViews(services, paths).routes(admission),
            *ConfigurationViews(services, edits, paths).routes(admission),
            *Playground(services).routes(admission),
            Route("/admin/log", shown(json_handler(admin.log))),
            Route("/admin/reload", keyed(json_handler(admin.reload)), methods=["POST"]),
            Route("/admin/probe", keyed(json_handler(admin.probe)), methods=["POST"]),
            Route("/admin/probe/deep", keyed(json_handler(admin.probe_deeply)), methods=["POST"]),
            *(Route(f"/admin/{name}", keyed(handler), methods=["POST"]) for name, handler in asked.items()),
            Route("/{path:path}", unknown_path),
        ]
    )


def _metrics(services: Services, admin: Admin, instance: Instance, sharing: Sharing) -> Metrics:
    about = {"node": node_name(services.config.shared), "version": instance.version}
    active, budgets = (lambda: services.calls.active), (lambda: services.spending.now(time.time()))
    metrics = Metrics(active, admin.account_states, budgets, about)
    metrics.more.append(sharing.metrics)
    if services.ledger is not None:
        metrics.more.append(services.ledger.metrics)
    return metrics


def _health(services: Services, admission: Admission, instance: Instance, sharing: Sharing) -> list[Route]:
    """What balancers and supervisors ask, without a key."""

    async def health(request: Request) -> Response:
        challenge = request.query_params.get("challenge", "")[:_MAX_CHALLENGE]
        return JsonResponse({"status": "ok", "proof": instance.prove(challenge)} if challenge else {"status": "ok"})

    async def ready(request: Request) -> Response:
        reason = not_ready(services, sharing)
        return JsonResponse({"ready": not reason, "reason": reason or None}, 503 if reason else 200)

    return [Route("/healthz", admission.open(health)), Route("/readyz", admission.open(ready))]


class Admin:
    """Answers questions about the running daemon."""

    def __init__(
        self,
        services: Services,
        reloader: Reloader,
        edits: Edits,
        instance: Instance,
        paths: Paths,
        sharing: Sharing,
    ) -> None:
        self._services, self._reloader, self._instance, self._paths = services, reloader, instance, paths
        self._sharing = sharing
        self.live_view = Live(services, services.ledger_in(paths))
        self.provider_views = ProviderViews(services, edits, paths)
        self.account_views = AccountViews(services, edits, self.provider_views)

    def account_states(self) -> dict[State, int]:
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
                "warnings": [*settings.warnings, *failures()],
            },
            "accounts": self.account_states(),
            "providers": [
                {"name": provider.name, "mode": provider.mode, "enabled": provider.enabled}
                for provider in settings.providers.values()
                if provider.configured and not provider.pool
            ],
            "requests": {"active": calls.active, "total": calls.total, "failed": calls.failed},
            "vault": settings.vault.place,
            "ledger": self._ledger(),
            "failures": failures(),
            "budgets": budget_rows(self._services),
            "unpriced": unpriced(self._services),
            "recording": settings.config.record.enabled,
            "predecessor": instance.predecessor(),
            "shared": self._sharing.to_json(),
        }

    def _ledger(self) -> Json:
        """Where the ledger is, and the state of its writer."""
        where, ledger = self._services.ledger_in(self._paths), self._services.ledger
        found: Json = {"path": without_login(where) if isinstance(where, str) else str(where)}
        if ledger is not None:
            found |= {"written": ledger.written, "waiting": ledger.waiting, "dropped": ledger.missing}
            found["problem"] = ledger.problem or None
            if (shipper := ledger.shipper) is not None:
                found["away"] = shipper.problem or None
                found["spool"] = {"path": str(shipper.path), "waiting": shipper.waiting, "bytes": shipper.size}
        return found

    async def live(self, request: Request) -> Json:
        """Everything that changes by itself, for the dashboard and `bm top`, which ask once a second.

        The daemon keeps nothing per watcher, so a slow or vanished one costs nothing and cannot delay the shutdown, as
        open event streams would. `run` differs between two runs of the daemon; `ended` restarts at 0 with it.
        """
        params = msgspec.convert(dict(request.query_params), _LiveParams, strict=False)
        return {
            "at": time.time(),
            "run": self._instance.started_at,
            **await self.live_view.to_json(params.after),
            "status": await self.status(request),
            "not_ready": not_ready(self._services, self._sharing) or None,
            **await self.account_views.rows(request),
            **await self.provider_views.rows(request),
        }

    async def log(self, request: Request) -> Json:
        """The latest lines of the log of a level and above, as time, level, logger and message."""
        from bm.daemon.log import tail

        params = msgspec.convert(dict(request.query_params), _LogParams, strict=False)
        lines = await asyncio.to_thread(tail, self._paths.log, _MOST_LINES)
        found = [match.groupdict() for line in lines if (match := _LINE.fullmatch(line))]
        levels = LEVELS[LEVELS.index(params.level) :]
        wanted = [row for row in found if row["level"] in levels]
        return {"path": str(self._paths.log), "lines": wanted[-params.lines :]}

    async def reload(self, request: Request) -> Json:
        """Reload the files now."""
        error = await self._reloader.reload()
        return {"ok": error is None, "error": error, "warnings": list(self._services.settings.warnings)}

    async def probe(self, request: Request) -> Json:
        """Send one small request to each provider and account named, or to the one `account` (provider, name).

        With `wake`, an answer ends the account's cooldowns. With `dry`, nothing is sent: `accounts` lists what would be
        asked, `results` what cannot be.
        """
        params = msgspec.json.decode(await request.body() or b"{}", type=_ProbeParams)
        services = self._services
        if params.dry:
            settings = services.settings
            chosen = [each.account.id for each in settings.credentials if is_chosen(each, settings, params.names)]
            return {"accounts": chosen, "results": without_account(settings, params.names)}
        if params.account is not None:
            only = tuple(each for each in services.settings.credentials if each.id == params.account)
            settings = msgspec.structs.replace(services.settings, credentials=only)
            names = [params.account[1]]
        else:
            settings, names = services.settings, params.names

        def ended(target: Target, effect: AccountEffect) -> None:
            services.pool.record_probe(target, effect, now=time.monotonic(), wall=time.time(), wake=params.wake)

        return {"results": await probe_all(services.client, settings, names, services.tokens, ended)}

    async def probe_deeply(self, request: Request) -> Json:
        """Ask models what they take; only say what that costs where `dry`."""
        params = msgspec.json.decode(await request.body() or b"{}", type=_DeepProbeParams)
        plan = await asyncio.to_thread(plans, self._services, params.names)
        if params.dry:
            return {"plan": plan, "answers": []}
        answers = await ask_deeply(self._services, params.names)
        await save_models(models_path(self._paths), self._services)
        return {"plan": plan, "answers": answers}
