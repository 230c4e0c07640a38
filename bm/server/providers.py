"""The providers over HTTP, as `bm providers` shows and changes them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from bm.accounts.available import available
from bm.accounts.report import provider_row
from bm.chat.parts import Json
from bm.config.edit import mode_settings
from bm.config.keys import dotted
from bm.config.load import load
from bm.config.paths import Paths
from bm.config.schema import ProviderConfig
from bm.config.validation import nearest
from bm.errors import Failure, RequestError
from bm.gateway.services import Services
from bm.names import Mode
from bm.providers.catalog import KNOWN
from bm.providers.provider import Provider, effective
from bm.server.asgi import json_handler
from bm.server.edits import Edits
from bm.server.sign_in import Admission

_log = logging.getLogger("bm")


class _ModeParams(msgspec.Struct, forbid_unknown_fields=True):
    mode: Mode


class _Switch(msgspec.Struct, forbid_unknown_fields=True):
    enabled: bool


_SERVING: Final[tuple[Mode, ...]] = ("exclusive", "pooled", "fallback")


class ProviderViews:
    """Shows and changes the providers."""

    def __init__(self, services: Services, edits: Edits, paths: Paths) -> None:
        self._services, self._edits, self._paths = services, edits, paths

    def routes(self, admission: Admission) -> list[Route]:
        shown = admission.shown
        return [
            Route("/admin/providers", shown(json_handler(self.rows))),
            Route("/admin/available", shown(json_handler(self.available))),
            Route("/admin/providers/{name}", shown(json_handler(self.provider))),
            Route("/admin/providers/{name}", shown(json_handler(self.switch)), methods=["PATCH"]),
            Route("/admin/providers/{name}/mode", shown(json_handler(self.set_mode)), methods=["POST"]),
        ]

    async def rows(self, request: Request) -> Json:
        """The Gemini pool, and every other provider that the configuration names or that has an account."""
        states = self._services.pool.states(time.monotonic())
        named = self._services.settings.providers.values()
        found = [each for each in named if each.configured or each.name in states]
        return {"providers": [provider_row(each, states.get(each.name, ())) for each in found]}

    async def available(self, request: Request) -> Json:
        """The known providers that are not set up, those that are ready first."""
        states = self._services.pool.states(time.monotonic())
        named = self._services.settings.providers.values()
        others = [each for each in named if not each.configured and each.name not in states]
        found = await asyncio.to_thread(available, others, os.environ)
        return {"available": [each._asdict() for each in found]}

    async def provider(self, request: Request) -> Json:
        """One provider, also if nothing uses it, with the tools that it serves in each mode.

        Raises:
            RequestError: it is unknown.
        """
        found = self.named(request.path_params["name"])
        row = provider_row(found, self._services.pool.states(time.monotonic()).get(found.name, ()))
        return row | {"console": found.console, "key_env": found.key_env, "serves": self._served(found)}

    def _served(self, provider: Provider) -> dict[str, list[str]]:
        """The tools whose requests it matches, by mode. The Gemini accounts have the one that they are in."""
        from bm.clients.catalog import served_by

        config, name = self._services.config, provider.name
        if provider.pool:
            return {provider.mode: served_by(provider.protocols)[0]}
        section = config.providers.get(name, ProviderConfig())
        found: dict[str, list[str]] = {"off": []}
        for mode in _SERVING:
            changed = config.providers | {name: msgspec.structs.replace(section, mode=mode)}
            providers = effective(msgspec.structs.replace(config, providers=changed))
            found[mode] = next(served_by(each.protocols)[0] for each in providers if each.name == name)
        return found

    async def switch(self, request: Request) -> Json:
        """Allow or forbid a provider to be used, in its mode.

        Raises:
            RequestError: it is unknown.
            ConfigError: the file cannot be changed.
        """
        wanted = msgspec.json.decode(await request.body(), type=_Switch)
        provider = self.named(request.path_params["name"])
        table = (provider.name,) if provider.pool else ("providers", provider.name)
        problem = await self._edits.settings({dotted((*table, "enabled")): wanted.enabled})
        now = self._services.settings.providers[provider.name]
        return {"name": provider.name, "mode": now.mode, "enabled": now.enabled, "error": problem}

    def named(self, name: str) -> Provider:
        providers = self._services.settings.providers
        if name not in providers:
            message = f"no provider is named {name!r}"
            near = nearest(name, list(providers))
            raise RequestError(Failure(kind="not_found", message=f"{message} ({near})" if near else message))
        return providers[name]

    async def set_mode(self, request: Request) -> Json:
        """Write a provider's dispatch mode to config.toml and reload; the next request uses it.

        A mode other than off also enables the provider.
        In the answer, `mode` is the mode in force. When it differs from the requested one, `error` says why the file
        cannot be used, or `overridden_by` names the environment variable that overrides the file.

        Raises:
            RequestError: the provider is unknown or has no mode.
            ConfigError: the file cannot be changed.
        """
        name: str = request.path_params["name"]
        mode = msgspec.json.decode(await request.body(), type=_ModeParams).mode
        provider = self.named(name)
        if provider.pool:
            message = f"{name} is the pool itself and has no mode"
            raise RequestError(Failure(kind="bad_request", message=message))
        problem = await self._edits.settings(mode_settings(name, mode, enabled=provider.enabled))
        _log.info("the mode of %s was set to %s", name, mode)
        provider = self._services.settings.providers[name]
        overridden = problem is None and provider.mode != mode
        return {
            "name": name,
            "mode": provider.mode,
            "enabled": provider.enabled,
            "error": problem,
            "overridden_by": await asyncio.to_thread(self._variable_for, name) if overridden else None,
        }

    def _variable_for(self, name: str) -> str | None:
        """The environment variable that overrides the mode of a provider. Blocks."""
        sources = load(self._paths.config, os.environ, known=KNOWN).sources
        return sources.get(dotted(("providers", name, "mode")))
