"""The daemon's own paths: signs of life, and the administration that the command line uses."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bm.config.paths import Paths
from bm.errors import BmError, RequestError
from bm.gateway.engine import Engine
from bm.server.admin import Admin
from bm.server.guard import Guard
from bm.server.instance import Instance
from bm.server.metrics import Metrics
from bm.server.reload import Reloader

Handler = Callable[[Request], Awaitable[Response]]


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return msgspec.json.encode(content)


def own_app(engine: Engine, reloader: Reloader, instance: Instance, paths: Paths, stopping: asyncio.Event) -> Starlette:
    """The application behind `/healthz`, `/readyz`, `/metrics`, `/admin/*` and `/`."""
    admin = Admin(engine, reloader, instance, paths)
    metrics = Metrics(lambda: engine.active, admin.account_states)
    engine.observers.append(metrics.observe)
    identity = hashlib.sha256(instance.token.encode()).hexdigest()[:16]

    async def health(request: Request) -> Response:
        return Json({"status": "ok", "version": instance.version, "instance": identity, "pid": os.getpid()})

    async def ready(request: Request) -> Response:
        reason = admin.not_ready()
        return Json({"ready": not reason, "reason": reason or None}, 503 if reason else 200)

    async def measured(request: Request) -> Response:
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")

    async def front(request: Request) -> Response:
        return PlainTextResponse(f"Better Manager {instance.version}. `bm env` prints how to point a tool at it.\n")

    async def stop(request: Request) -> Response:
        stopping.set()
        return Json({"stopping": True}, 202)

    async def unknown(request: Request) -> Response:
        return Json({"error": f"there is no {request.url.path} here"}, 404)

    def guarded(handler: Handler) -> Handler:
        return _guarded(engine, handler)

    return Starlette(
        routes=[
            Route("/healthz", health),
            Route("/readyz", ready),
            Route("/", front),
            Route("/metrics", guarded(measured)),
            Route("/admin/status", guarded(_told(admin.status))),
            Route("/admin/accounts", guarded(_told(admin.accounts))),
            Route("/admin/providers", guarded(_told(admin.providers))),
            Route("/admin/why/{id}", guarded(_told(admin.why))),
            Route("/admin/usage", guarded(_told(admin.usage))),
            Route("/admin/requests", guarded(_told(admin.requests))),
            Route("/admin/models", guarded(_told(admin.models))),
            Route("/admin/reload", guarded(_told(admin.reload)), methods=["POST"]),
            Route("/admin/route", guarded(_told(admin.route)), methods=["POST"]),
            Route("/admin/probe", guarded(_told(admin.probe)), methods=["POST"]),
            Route("/admin/stop", guarded(stop), methods=["POST"]),
            Route("/{path:path}", unknown),
        ]
    )


def _guarded(engine: Engine, handler: Handler) -> Handler:
    """Only for callers who hold the key; what is wrong with their question is told."""

    async def checked(request: Request) -> Response:
        settings = engine.settings
        guard = Guard(settings.config.server, settings.local_key)
        headers = {name.lower(): value for name, value in request.headers.items()}
        if (foreign := guard.foreign(headers)) is not None:
            return Json({"error": foreign.message}, 403)
        if not guard.admits(headers):
            return Json({"error": "the key is not this daemon's"}, 401)
        try:
            return await handler(request)
        except RequestError as error:
            return Json({"error": str(error)}, error.failure.http_status)
        except (BmError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Json({"error": str(error)}, 400)

    return checked


def _told(answer: Callable[[Request], Awaitable[Any]]) -> Handler:
    async def handler(request: Request) -> Response:
        return Json(await answer(request))

    return handler
