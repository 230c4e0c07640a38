"""The keys of clients over HTTP, as `bm keys` shows them. They are changed in keys.toml, by the command line."""

from __future__ import annotations

import time

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from bm.chat.parts import Json
from bm.gateway.services import Services
from bm.keys.key import Key
from bm.server.asgi import json_handler
from bm.server.sign_in import Admission


class KeyViews:
    """Shows the keys: what they may be used for, and how far that is used up."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self, admission: Admission) -> list[Route]:
        return [Route("/admin/keys", admission.shown(json_handler(self.rows)))]

    async def rows(self, request: Request) -> Json:
        """Every key but bm's own."""
        now = time.time()
        return {"keys": [self._row(key, now) for key in self._services.settings.keys]}

    def _row(self, key: Key, now: float) -> Json:
        row = msgspec.to_builtins(key) | {"expired": key.expired(now) is not None}
        del row["sha256"]
        return {**_NOTHING, **row}


_NOTHING: Json = {"models": [], "providers": [], "rpm": 0, "tpm": 0, "budgets": [], "expires_at": None}
"""What a key has by default."""
