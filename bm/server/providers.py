"""The providers over HTTP, as `bm providers` shows and changes them."""

from __future__ import annotations

import asyncio
import logging
import os
import time

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from bm.accounts.report import provider_row
from bm.chat.parts import Json
from bm.config.edit import mode_settings, set_values
from bm.config.keys import dotted
from bm.config.load import load
from bm.config.paths import Paths
from bm.config.validation import nearest
from bm.errors import ConfigError, Failure, RequestError
from bm.gateway.services import Services
from bm.names import Mode
from bm.providers.catalog import KNOWN
from bm.providers.provider import Provider
from bm.server.asgi import json_handler
from bm.server.reload import Reloader
from bm.server.sign_in import Admission

_log = logging.getLogger("bm")


class _ModeParams(msgspec.Struct, forbid_unknown_fields=True):
    mode: Mode


class ProviderViews:
    """Shows and changes the providers."""

    def __init__(self, services: Services, reloader: Reloader, paths: Paths) -> None:
        self._services, self._reloader, self._paths = services, reloader, paths

    def routes(self, admission: Admission) -> list[Route]:
        shown, keyed = admission.shown, admission.keyed
        return [
            Route("/admin/providers", shown(json_handler(self.rows))),
            Route("/admin/providers/{name}", keyed(json_handler(self.provider))),
            Route("/admin/providers/{name}/mode", shown(json_handler(self.set_mode)), methods=["POST"]),
        ]

    async def rows(self, request: Request) -> Json:
        """The Gemini pool, and every other provider that the configuration names or that has an account."""
        states = self._services.pool.states(time.monotonic())
        named = self._services.settings.providers.values()
        found = [each for each in named if each.configured or each.name in states]
        return {"providers": [provider_row(each, states.get(each.name, ())) for each in found]}

    async def provider(self, request: Request) -> Json:
        """One provider, also if nothing uses it.

        Raises:
            RequestError: it is unknown.
        """
        found = self._named(request.path_params["name"])
        return provider_row(found, self._services.pool.states(time.monotonic()).get(found.name, ()))

    def _named(self, name: str) -> Provider:
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
        provider = self._named(name)
        if provider.pool:
            message = f"{name} is the pool itself and has no mode"
            raise RequestError(Failure(kind="bad_request", message=message))
        values = mode_settings(name, mode, enabled=provider.enabled)
        try:
            await asyncio.to_thread(set_values, self._paths.config, values, known=KNOWN)
        except OSError as error:
            raise ConfigError(f"cannot be written: {error.strerror}", path=str(self._paths.config)) from error
        _log.info("the mode of %s was set to %s", name, mode)
        problem = await self._reloader.reload()
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
