"""The settings over HTTP, as `bm config` shows and changes them; the aliases and routes are in `routing`.

Where keys are sent, who may reach bm and what runs a program is decided in a terminal: a browser can only see it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect
from starlette.requests import Request
from starlette.routing import Route

from bm.chat.parts import Json
from bm.config.edit import applies_at_start, from_text
from bm.config.keys import Key, dotted, split
from bm.config.load import load
from bm.config.paths import Paths
from bm.config.schema import Config, ProviderConfig
from bm.config.secrets import masked
from bm.config.validation import SCHEMA, Kind, choices, is_table, kind_of, unknown_key, wanted, without_none
from bm.errors import Failure, RequestError
from bm.gateway.services import Services
from bm.providers.catalog import KNOWN
from bm.server.asgi import json_handler
from bm.server.edits import Edits
from bm.server.sign_in import Admission

_ELSEWHERE: Final = ("aliases", "routes", "capabilities", "providers")
"""Tables whose members have names of the user's own."""
_TERMINAL: Final = (
    "api_key",
    "base_url",
    "vertex_base_url",
    "endpoint",
    "headers",
    "url",
    "tls_cert",
    "tls_key",
    "seal",
    "ca_bundle",
    "hook",
)
_ACCESS: Final = ("host", "port", "auth", "allowed_hosts", "allowed_origins")


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    """A setting by its dotted key, and its value as typed; None restores the default."""

    key: str
    value: str | None


class ConfigurationViews:
    """Shows and changes the settings."""

    def __init__(self, services: Services, edits: Edits, paths: Paths) -> None:
        self._services, self._edits, self._paths = services, edits, paths

    def routes(self, admission: Admission) -> list[Route]:
        shown = admission.shown
        return [
            Route("/admin/config", shown(json_handler(self.rows))),
            Route("/admin/config", shown(json_handler(self.change)), methods=["PUT"]),
        ]

    async def rows(self, request: Request) -> Json:
        """The settings in force, with their defaults, what they may be, and the variable that overrides the file."""
        config = self._services.config
        sources = await asyncio.to_thread(self._sources)
        now, default = masked(config), masked(Config())
        found = [_row(key, kind, now, default, sources) for key, kind in _settings(SCHEMA, ())]
        for name in config.providers:
            own = {"providers": {name: masked(ProviderConfig())}}
            kinds = _settings(inspect.type_info(ProviderConfig), ("providers", name))
            found += [_row(key, kind, now, own, sources) for key, kind in kinds]
        return {"path": str(self._paths.config), "settings": found}

    def _sources(self) -> dict[str, str]:
        """The environment variable of each setting that comes from one. Blocks."""
        return load(self._paths.config, os.environ, known=KNOWN).sources

    async def change(self, request: Request) -> Json:
        """Set a setting, or restore its default. `error` says why the daemon keeps its old settings, if it does;
        `note` says what else is needed.

        Raises:
            RequestError: it is set in a terminal only.
            ConfigError: there is no such setting, it does not take this value, or the file cannot be changed.
        """
        asked = msgspec.json.decode(await request.body(), type=_Change)
        key = split(asked.key)
        if fault := unknown_key(key):
            raise RequestError(Failure(kind="bad_request", message=f"{asked.key}: {fault}"))
        if _in_terminal(key) or is_table(kind_of(key) or SCHEMA):
            message = f"{asked.key} is set in a terminal: bm config set {asked.key} …"
            raise RequestError(Failure(kind="bad_request", message=message))
        if asked.value is None:
            _, problem = await self._edits.unset(asked.key)
        else:
            problem = await self._edits.settings({asked.key: from_text(asked.key, asked.value)})
        return {"error": problem, "note": "it applies after bm restart" if applies_at_start(key) else None}


def _settings(kind: Kind, key: Key) -> Iterator[tuple[Key, Kind]]:
    """The settings of fixed names in a table, and in the tables in it."""
    if not isinstance(kind, inspect.StructType):
        return
    for field in kind.fields:
        if not key and field.name in _ELSEWHERE:
            continue
        member = without_none(field.type)
        if isinstance(member, inspect.StructType):
            yield from _settings(member, (*key, field.name))
        elif not isinstance(member, inspect.DictType):
            yield (*key, field.name), member


def _row(key: Key, kind: Kind, now: Json, default: Json, sources: dict[str, str]) -> Json:
    return {
        "key": dotted(key),
        "section": dotted(key[:-1]),
        "name": key[-1],
        "value": _text(_value(now, key)),
        "default": _text(_value(default, key)),
        "is_default": _value(now, key) == _value(default, key),
        "kind": _KINDS.get(type(kind), "text"),
        "choices": choices(kind),
        "wanted": wanted(kind),
        "in_terminal": _in_terminal(key),
        "overridden_by": sources.get(dotted(key)),
    }


_KINDS: Final[dict[type, str]] = {
    inspect.BoolType: "switch",
    inspect.IntType: "number",
    inspect.FloatType: "number",
    inspect.LiteralType: "choice",
    inspect.VarTupleType: "list",
}


def _in_terminal(key: Key) -> bool:
    return key[-1] in _TERMINAL or (key[0] == "server" and key[-1] in _ACCESS) or "headers" in key


def _value(table: Any, key: Key) -> Any:
    for part in key:
        table = table.get(part) if isinstance(table, dict) else None
    return table


def _text(value: Any) -> str:
    """A value as it would be typed."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.15g}"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)
