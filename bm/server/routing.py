"""Aliases and routes over HTTP: where a request would go, and the settings that say so, with the checks of `bm`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from bm.chat.parts import Json
from bm.config.chains import chains_of, described
from bm.config.keys import Key, dotted
from bm.config.load import load
from bm.config.paths import Paths
from bm.dispatch.plan import Plan, plan
from bm.dispatch.routes import LONG_CONTEXT
from bm.dispatch.snapshot import Requirements, RouteQuery, Snapshot, Traits
from bm.errors import Failure, RequestError
from bm.gateway.allowance import allowed
from bm.gateway.services import Services
from bm.names import FAMILIES, MAIN_KEY, PROTOCOLS, ROUTE_KINDS, TOOLS, ProtocolName, ToolName
from bm.providers.catalog import KNOWN
from bm.providers.resolve import bare
from bm.server.asgi import json_handler
from bm.server.edits import Edits
from bm.server.sign_in import Admission

_LIMIT: Final = "long_context_tokens"


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """A request that might be made. `requirements` are names of fields of `Requirements`."""

    model: str
    protocol: ProtocolName = "anthropic"
    tool: ToolName | None = None
    requirements: list[str] = []
    thinking: bool = False
    web_search: bool = False
    tokens: int = 0
    key: str = MAIN_KEY
    random_number: float = 0.0


class _Setting(msgspec.Struct, forbid_unknown_fields=True):
    """An alias or a route by the parts of its key, and its chain as in the file; None removes it."""

    key: tuple[str, ...]
    value: Any


class RoutingViews:
    """Says where requests go, shows the aliases and routes, and changes them."""

    def __init__(self, services: Services, edits: Edits, paths: Paths) -> None:
        self._services, self._edits, self._paths = services, edits, paths

    def routes(self, admission: Admission) -> list[Route]:
        shown = admission.shown
        return [
            Route("/admin/route", shown(json_handler(self.route)), methods=["POST"]),
            Route("/admin/routing", shown(json_handler(self.settings))),
            Route("/admin/routing", shown(json_handler(self.change)), methods=["PUT"]),
        ]

    async def route(self, request: Request) -> Json:
        """The plan for a request. Sends nothing upstream."""
        asked = msgspec.json.decode(await request.body(), type=_Asked)
        needs = msgspec.convert(dict.fromkeys(asked.requirements, True), Requirements)
        query = RouteQuery(
            model=asked.model,
            protocol=asked.protocol,
            requirements=msgspec.structs.replace(needs, tokens=asked.tokens),
            traits=Traits(
                images=needs.images, thinking=asked.thinking, web_search=asked.web_search, tokens=asked.tokens
            ),
            tool=asked.tool or "",
            draw=asked.random_number,
        )
        settings, router = self._services.settings, self._services.router
        hooked = await router.hooked(settings, query, [])

        def planned(model: str, barred: Mapping[str, str]) -> Plan:
            name = hooked if model == asked.model else ""
            named = msgspec.structs.replace(query, model=model, hooked=name)
            return plan(router.snapshot(settings, barred=barred), named, random_number=asked.random_number)

        made = allowed(self._services, settings, asked.key, asked.model, planned)
        return {"protocol": asked.protocol, "near": _near(made, router.snapshot(settings))} | _document(made)

    async def settings(self, request: Request) -> Json:
        """The aliases and routes in force.

        `chains` has a row for each with its key, its chain as in the file, and the chain in words; `overridden_by` is
        the environment variable that sets it. `tables` and `kinds` are the keys that routes may have.
        """
        config = self._services.config
        sources = await asyncio.to_thread(self._sources)
        limits = {table: config.routes.table(table).long_context_tokens for table in (*PROTOCOLS, *TOOLS)}
        return {
            "chains": [
                {
                    "key": key,
                    "value": msgspec.to_builtins(chain),
                    "words": described(chain),
                    "overridden_by": sources.get(dotted(key)),
                }
                for key, chain in chains_of(config)
            ],
            "kinds": ROUTE_KINDS,
            "tables": {"protocols": PROTOCOLS, "tools": TOOLS},
            _LIMIT: config.routes.long_context_tokens or LONG_CONTEXT,
            "limits": {table: limit for table, limit in limits.items() if limit},
            "hook": config.routes.hook or None,
        }

    def _sources(self) -> dict[str, str]:
        """The environment variable of each setting that comes from one. Blocks."""
        return load(self._paths.config, os.environ, known=KNOWN).sources

    async def change(self, request: Request) -> Json:
        """Set or remove an alias or a route, as `bm config set` and `unset` do. `error` says why the daemon keeps its
        old settings, if it does.

        Raises:
            RequestError: the key is none of an alias or a route.
            ConfigError: the file cannot be changed that way.
        """
        wanted = msgspec.json.decode(await request.body(), type=_Setting)
        if not _may_be_set(wanted.key):
            message = f"{dotted(wanted.key)} is no alias and no route; a hook is set in a terminal"
            raise RequestError(Failure(kind="bad_request", message=message))
        if wanted.value is None:
            _, problem = await self._edits.unset(dotted(wanted.key))
        else:
            problem = await self._edits.settings({dotted(wanted.key): wanted.value})
        return await self.settings(request) | {"error": problem}


def _may_be_set(key: Key) -> bool:
    """Whether a key is one of an alias or a route. The hook is a program, which is not for a browser to name."""
    match key:
        case ("aliases", _):
            return True
        case ("routes", kind) | ("routes", _, kind):
            return kind in (*ROUTE_KINDS, _LIMIT)
        case _:
            return False


def _near(made: Plan, snapshot: Snapshot) -> str | None:
    """The name that was probably meant, where no provider has the one that was asked for and a default answers."""
    if made.route or not made.choices or not all("its default is" in each.mapping for each in made.choices):
        return None
    names = [*snapshot.aliases, *FAMILIES, *(model for member in snapshot.members for model in member.facts)]
    found = get_close_matches(bare(made.asked), names, n=1, cutoff=0.8)
    return found[0] if found else None


def _document(made: Plan) -> Json:
    """A plan as JSON."""
    return {
        "model": made.asked,
        "route": made.route or None,
        "steps": list(made.steps),
        "targets": [
            msgspec.structs.asdict(choice.target)
            | {"stage": choice.stage, "link": choice.link, "reason": choice.reason, "mapping": choice.mapping}
            for choice in made.choices
        ],
        "considered": [
            msgspec.structs.asdict(line) | {"account": line.account or None, "in": line.verdict == "ready"}
            for line in made.considered
        ],
        "failure": None if made.failure is None else {"kind": made.failure.kind, "message": made.failure.message},
    }
