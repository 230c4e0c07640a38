"""The models over HTTP: what to type, what each takes and costs, and what was learned of one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from bm.chat.events import Usage
from bm.chat.parts import Json
from bm.config.paths import Paths
from bm.gateway.services import Services
from bm.ledger.prices import cost_of
from bm.providers.provider import Provider
from bm.providers.retirement import retirement
from bm.server.asgi import json_handler
from bm.server.sign_in import Admission
from bm.server.state import models_path, save_models
from bm.upstream.discovery import ListedModel

UNPREFIXED: Final = ("gemini", "anthropic")
"""Providers whose models are known by their own names."""

_THOUSAND: Final = 1_000


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    model: str


class ModelViews:
    """Shows the models of the providers in use."""

    def __init__(self, services: Services, paths: Paths) -> None:
        self._services, self._paths = services, paths

    def routes(self, admission: Admission) -> list[Route]:
        keyed = admission.keyed
        return [
            Route("/admin/models", admission.shown(json_handler(self.rows))),
            Route("/admin/models/learned", keyed(json_handler(self.learned)), methods=["POST"]),
            Route("/admin/models/forget", keyed(json_handler(self.forget)), methods=["POST"]),
        ]

    async def rows(self, request: Request) -> Json:
        """Every model of every provider in use, in the order of dispatch.

        `name` is what to type, `price` the list price of a million tokens of input and output in US dollars, `note`
        says when the model retires.
        """
        found = await self._services.models.all()
        return {"models": await asyncio.to_thread(self._described, found)}

    def _described(self, found: Sequence[ListedModel]) -> list[Json]:
        """The models as rows. Blocks: the first prices take most of a second."""
        providers = self._services.settings.providers
        return [described(each, providers[each.provider]) for each in found if each.provider in providers]

    async def learned(self, request: Request) -> Json:
        """What requests to a model are changed by, why, and since when."""
        asked = msgspec.json.decode(await request.body(), type=_Asked)
        found = self._services.remedies.about(asked.model)
        return {
            "learned": [
                {
                    "provider": each.provider,
                    "model": each.model,
                    "protocol": each.protocol,
                    "remedy": str(each.remedy),
                    "reason": each.remedy.reason,
                    "at": each.at,
                }
                for each in found
            ]
        }

    async def forget(self, request: Request) -> Json:
        """Drop what was learned of a model."""
        asked = msgspec.json.decode(await request.body(), type=_Asked)
        forgotten = self._services.remedies.forget_model(asked.model)
        await save_models(models_path(self._paths), self._services)
        return {"forgotten": forgotten}


def described(listed: ListedModel, provider: Provider) -> Json:
    """A model of a provider's list, with what bm knows of it."""
    costs = [cost_of(provider.name, listed.id, usage) for usage in (Usage(input=_THOUSAND), Usage(output=_THOUSAND))]
    takes = provider.capabilities(provider.protocol, listed.id)
    features = {"thinking": takes.thinking != "none", "images": takes.images, "documents": takes.documents}
    features |= {"audio": takes.audio, "video": takes.video, "no tools": not takes.tools}
    row: Json = msgspec.to_builtins(listed)
    return row | {
        "name": listed.id if provider.name in UNPREFIXED else f"{provider.name}:{listed.id}",
        # A model that embeds writes no tokens, so it has no price for them.
        "price": None if costs[0] is None else [round((cost or 0) * _THOUSAND, 4) for cost in costs],
        "takes": [name for name, has in features.items() if has],
        "note": retirement(listed.id, date.today(), listed.retires),
    }
