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


def budget_rows(services: Services) -> list[Json]:
    """Every budget, and how far it is used in its current period."""
    spending = services.spending
    return [
        {
            "scope": budget.scope.kind,
            "name": budget.scope.name,
            "limit": str(budget.limit),
            "amount": budget.limit.amount,
            "unit": budget.limit.unit,
            "period": budget.limit.period,
            "spent": budget.spent,
            "reserved": budget.reserved,
            "state": budget.state(spending.warn) or "ok",
            "resets_at": budget.end,
        }
        for budget in spending.now(time.time())
    ]


def unpriced(services: Services) -> list[str]:
    """Models that were asked although no price is known for them, while there is a budget of money."""
    return [f"{provider}:{model}" for provider, model in services.spending.unpriced]


class KeyViews:
    """Shows the keys: what they may be used for, and how far that is used up."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self, admission: Admission) -> list[Route]:
        return [Route("/admin/keys", admission.shown(json_handler(self.rows)))]

    async def rows(self, request: Request) -> Json:
        """Every key but bm's own."""
        now = time.time()
        budgets = budget_rows(self._services)
        return {"keys": [_row(key, now, budgets) for key in self._services.settings.keys]}


def _row(key: Key, now: float, budgets: list[Json]) -> Json:
    row = msgspec.to_builtins(key) | {"expired": key.expired(now) is not None}
    del row["sha256"]
    own = [each for each in budgets if (each["scope"], each["name"]) == ("key", key.name)]
    return {**_NOTHING, **row, "spending": own}


_NOTHING: Json = {"models": [], "providers": [], "rpm": 0, "tpm": 0, "budgets": [], "expires_at": None}
"""What a key has by default."""
