"""The daemon's own paths: signs of life, and the administration that the command line uses."""

from __future__ import annotations

import asyncio
import hashlib
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bm.config.paths import Paths
from bm.gateway.services import Services
from bm.server.admin import Admin
from bm.server.admission import Admission
from bm.server.answer import Json, told
from bm.server.dashboard import front
from bm.server.instance import Instance
from bm.server.live import Live
from bm.server.metrics import Metrics
from bm.server.modes import Modes
from bm.server.reload import Reloader
from bm.server.sessions import Sessions, sessions_path
from bm.server.sign_in import SignIn


def own_app(
    services: Services, reloader: Reloader, instance: Instance, paths: Paths, stopping: asyncio.Event
) -> Starlette:
    """The application behind `/healthz`, `/readyz`, `/metrics`, `/admin/*` and `/`."""
    admin = Admin(services, reloader, instance, paths)
    metrics = Metrics(lambda: services.calls.active, admin.account_states)
    live = Live(services, admin, instance, paths.ledger)
    services.calls.observers += [metrics.observe, live.observe]
    sessions = Sessions(sessions_path(paths), lambda: services.settings.local_key)
    admission = Admission(services, sessions)
    sign_in = SignIn(sessions, admission)
    modes = Modes(services, reloader, paths)
    keyed, shown = admission.keyed, admission.shown
    identity = hashlib.sha256(instance.token.encode()).hexdigest()[:16]

    async def health(request: Request) -> Response:
        return Json({"status": "ok", "version": instance.version, "instance": identity, "pid": os.getpid()})

    async def ready(request: Request) -> Response:
        reason = admin.not_ready()
        return Json({"ready": not reason, "reason": reason or None}, 503 if reason else 200)

    async def measured(request: Request) -> Response:
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")

    async def stop(request: Request) -> Response:
        stopping.set()
        return Json({"stopping": True}, 202)

    async def unknown(request: Request) -> Response:
        return Json({"error": f"there is no {request.url.path} here"}, 404)

    return Starlette(
        routes=[
            Route("/healthz", health),
            Route("/readyz", ready),
            Route("/", front(services)),
            Route("/metrics", keyed(measured)),
            Route("/admin/session", admission.open(sign_in.enter), methods=["POST"]),
            Route("/admin/session", admission.open(sign_in.leave), methods=["DELETE"]),
            Route("/admin/session/code", keyed(told(sign_in.code)), methods=["POST"]),
            Route("/admin/live", shown(told(live.told))),
            Route("/admin/status", shown(told(admin.status))),
            Route("/admin/accounts", shown(told(admin.accounts))),
            Route("/admin/providers", shown(told(admin.providers))),
            Route("/admin/providers/{name}/mode", shown(told(modes.change)), methods=["POST"]),
            Route("/admin/why/{id}", shown(told(admin.why))),
            Route("/admin/usage", shown(told(admin.usage))),
            Route("/admin/requests", shown(told(admin.requests))),
            Route("/admin/models", keyed(told(admin.models))),
            Route("/admin/reload", keyed(told(admin.reload)), methods=["POST"]),
            Route("/admin/route", keyed(told(admin.route)), methods=["POST"]),
            Route("/admin/probe", keyed(told(admin.probe)), methods=["POST"]),
            Route("/admin/stop", keyed(stop), methods=["POST"]),
            Route("/{path:path}", unknown),
        ]
    )
