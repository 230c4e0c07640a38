"""Plans a call: takes the call and the state of the accounts, returns the targets in the order to try them."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping

import msgspec

from bm.accounts.affinity import Affinities
from bm.accounts.pool import Pool
from bm.dispatch.plan import Plan, plan
from bm.dispatch.snapshot import Member, Requirements, RouteQuery, Snapshot
from bm.dispatch.target import AccountId, Target
from bm.gateway.call import Call, requirements_of
from bm.gateway.learned import ContextLimits
from bm.gateway.models import Models
from bm.gateway.settings import Settings
from bm.gateway.traits import traits_of
from bm.names import EMBEDDINGS, known_tool
from bm.providers.resolve import is_explicit
from bm.upstream.headers import Headers

NOT_BARRED: Mapping[str, str] = {}


class Router:
    """Plans calls from the settings, the state of the accounts and what is known of conversations and models.

    A plan is made anew for each call. What could be compiled ahead depends on `Settings`, which are replaced whole, and
    on the state of the pool; both enter through `snapshot` alone.
    """

    def __init__(self, pool: Pool, affinities: Affinities, context_limits: ContextLimits, models: Models) -> None:
        self._pool, self._affinities = pool, affinities
        self._context_limits, self._models = context_limits, models

    async def hooked_for(self, settings: Settings, call: Call) -> str:
        """The name that the user's hook gives for a call; empty without one."""
        if settings.hook is None or call.operation in EMBEDDINGS:
            return ""
        query = RouteQuery(model=call.model, protocol=call.protocol, requirements=_requirements(settings, call))
        return await self.hooked(settings, _routed(query, call, settings), call.headers)

    async def hooked(self, settings: Settings, query: RouteQuery, headers: Headers) -> str:
        """The name that the user's hook gives for a request; empty without one. A name with a prefix is not asked
        about."""
        if settings.hook is None or is_explicit(query.model, settings.providers, settings.config.aliases):
            return ""
        needs = msgspec.structs.asdict(query.requirements) | msgspec.structs.asdict(query.traits)
        del needs["replaceable"]
        needs |= {"protocol": query.protocol, "tool": query.tool}
        return await settings.hook.ask(query.model, needs, headers, settings.providers)

    def plan(
        self,
        settings: Settings,
        call: Call,
        *,
        random_number: float,
        barred: Mapping[str, str] = NOT_BARRED,
        hooked: str = "",
    ) -> Plan:
        """The plan for a call. `random_number` is in [0, 1); `barred` says why the call may not go to a provider.
        `hooked` is the name that the user's hook has given."""
        snapshot = self.snapshot(settings, self._affinity(settings, call), hash(call.body), barred)
        query = RouteQuery(
            model=call.model,
            protocol=call.protocol,
            requirements=_requirements(settings, call) if settings.has_text_models else Requirements(),
            hooked=hooked,
            draw=_draw(call, random_number),
        )
        if snapshot.routes is not None and call.operation in EMBEDDINGS:
            snapshot = msgspec.structs.replace(snapshot, routes=None)
        elif snapshot.routes is not None:
            query = _routed(query, call, settings)
        return plan(snapshot, query, random_number=random_number)

    def snapshot(
        self,
        settings: Settings,
        affinity: AccountId | None = None,
        fingerprint: int = 0,
        barred: Mapping[str, str] = NOT_BARRED,
    ) -> Snapshot:
        """Everything dispatch decides by, at this moment. `fingerprint` tells requests apart."""
        accounts = self._pool.states(time.monotonic(), fingerprint)
        members = settings.members.copy()
        for name in accounts.keys() | settings.keyless:
            if name in members:
                members[name] = Member(
                    provider=members[name].provider,
                    accounts=accounts.get(name, ()),
                    contexts=self._context_limits.of(name),
                    facts=self._models.facts(name),
                    wires=self._models.wires(name),
                )
        for name, reason in barred.items():
            members[name] = msgspec.structs.replace(members[name], barred=reason)
        return Snapshot(
            members=tuple(members.values()),
            aliases=settings.config.aliases,
            routes=settings.routes,
            price=settings.price,
            affinity=affinity,
            limits=settings.limits,
        )

    def _affinity(self, settings: Settings, call: Call) -> AccountId | None:
        conversation = call.conversation
        if call.home is not None:
            return call.home
        if not (settings.config.pool.affinity and conversation.continues):
            return None
        return self._affinities.get(conversation.key, time.monotonic())

    def served(self, settings: Settings, call: Call, target: Target) -> None:
        """Send the next turn of the call's conversation to the same target."""
        if settings.config.pool.affinity and call.conversation.key:
            self._affinities.set(call.conversation.key, target.account_id, time.monotonic())


def _routed(query: RouteQuery, call: Call, settings: Settings) -> RouteQuery:
    """The query with what `[routes]` depend on."""
    tool = known_tool(dict(call.headers).get("user-agent", "")) or ""
    return msgspec.structs.replace(query, traits=traits_of(call, settings.route_kinds), tool=tool)


def _draw(call: Call, random_number: float) -> float:
    """The number in [0, 1) that decides by weight: the same for all turns of a conversation once it has a key.

    Otherwise it is made of the far digits of the random number, whose near ones choose among accounts.
    """
    if call.conversation.continues:
        return zlib.crc32(call.conversation.key.encode("utf-8", "surrogatepass")) / 2**32
    return random_number * 2**20 % 1


def _requirements(settings: Settings, call: Call) -> Requirements:
    """What the target must support. In strict mode no note may replace media from earlier turns."""
    requirements = requirements_of(call.body, call.protocol)
    return (
        msgspec.structs.replace(requirements, replaceable=frozenset()) if settings.config.pool.strict else requirements
    )
