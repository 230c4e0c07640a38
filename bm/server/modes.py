"""Changes a provider's dispatch mode in the person's file, as `bm providers mode` does."""

from __future__ import annotations

import asyncio
import logging
import os

import msgspec
from starlette.requests import Request

from bm.chat.parts import Json
from bm.config.edit import set_value
from bm.config.keys import dotted
from bm.config.load import load
from bm.config.paths import Paths
from bm.config.problem import nearest
from bm.errors import ConfigError, Failure, RequestError
from bm.gateway.services import Services
from bm.names import Mode
from bm.providers.catalog import KNOWN
from bm.server.reload import Reloader

_log = logging.getLogger("bm")


class _Wish(msgspec.Struct, forbid_unknown_fields=True):
    mode: Mode


class Modes:
    """Answers of `/admin/providers/NAME/mode`."""

    def __init__(self, services: Services, reloader: Reloader, paths: Paths) -> None:
        self._services, self._reloader, self._paths = services, reloader, paths

    async def change(self, request: Request) -> Json:
        """Write the mode and use it from the next request on.

        `mode` is the one in force; where that is not the one that was asked for, `error` says that the file cannot be
        used, or `outweighed_by` names the environment variable that decides.

        Raises:
            RequestError: there is no such provider, or it has no mode.
            ConfigError: the file cannot be changed so.
        """
        name: str = request.path_params["name"]
        mode = msgspec.json.decode(await request.body(), type=_Wish).mode
        self._must_have_a_mode(name)
        key = dotted(("providers", name, "mode"))
        try:
            await asyncio.to_thread(set_value, self._paths.config, key, mode, known=KNOWN)
        except OSError as error:
            raise ConfigError(f"cannot be written: {error.strerror}", path=str(self._paths.config)) from error
        _log.info("the mode of %s was set to %s", name, mode)
        problem = await self._reloader.reload()
        provider = self._services.settings.providers[name]
        outweighed = problem is None and provider.mode != mode
        return {
            "name": name,
            "mode": provider.mode,
            "enabled": provider.enabled,
            "error": problem,
            "outweighed_by": await asyncio.to_thread(self._variable, key) if outweighed else None,
        }

    def _must_have_a_mode(self, name: str) -> None:
        providers = self._services.settings.providers
        if name not in providers:
            message = f"no provider is named {name!r}"
            near = nearest(name, list(providers))
            raise RequestError(Failure(kind="not_found", message=f"{message} ({near})" if near else message))
        if providers[name].pool:
            message = f"{name} is the pool itself and has no mode"
            raise RequestError(Failure(kind="bad_request", message=message))

    def _variable(self, key: str) -> str | None:
        return load(self._paths.config, os.environ, known=KNOWN).sources.get(key)
