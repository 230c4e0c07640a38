"""Plans a call: takes the call and the state of the accounts, returns the targets in the order to try them."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping

import msgspec

from bm.accounts.affinity import Affinities
from bm.accounts.pool import Pool
from bm.config.schema import Routes
from bm.dispatch.lineup import Lineup, compiled
from bm.dispatch.plan import Plan, plan
from bm.dispatch.routes import Resolved, resolve
from bm.dispatch.snapshot import AccountState, Member, Requirements, RouteQuery, Snapshot
from bm.dispatch.target import AccountId, Target
from bm.gateway.call import Call
from bm.gateway.learned import ContextLimits, LearnedRemedies
from bm.gateway.models import Models
from bm.gateway.requirements import requirements_of
from bm.gateway.settings import Settings
from bm.gateway.traits import traits_of
from bm.names import EMBEDDINGS, known_tool
from bm.providers.resolve import is_explicit
from bm.upstream.headers import Headers

NOT_BARRED: Mapping[str, str] = {}
NO_REQUIREMENTS = Requirements()

MAX_LINEUPS = 256
"""Lineups kept; beyond that, all are made anew. Clients can invent model names."""


class Router:
    """Plans calls from the settings, the state of the accounts and what is known of conversations and models.

    The first choice of most plans comes from a lineup, which is compiled once for all calls of a kind and kept until
    the settings, the list of accounts, a model list or what is learned changes. Cooldowns and the like are kept up to
    date by the rosters of the pool. The other choices are planned when they are needed: see `complete`.
    """

    def __init__(
        self,
        pool: Pool,
        affinities: Affinities,
        context_limits: ContextLimits,
        models: Models,
        remedies: LearnedRemedies,
    ) -> None:
        self._pool, self._affinities = pool, affinities
        self._context_limits, self._models, self._remedies = context_limits, models, remedies
        self._settings: Settings | None = None
        self._versions: tuple[int, ...] = ()
        self._lineups: dict[object, tuple[Resolved, Lineup | None]] = {}

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
        """The plan for a call, which may be partial.

        `random_number` is in [0, 1); `barred` says why the call may not go to a provider. `hooked` is the name that the
        user's hook has given.
        """
        now = time.monotonic()
        self._pool.suspects.expire(now)
        query, routes = _query(settings, call, random_number, hooked), _routes(settings, call)
        resolved, lineup = self._lineup(settings, query, routes, barred)
        if lineup is not None and not self._pool.suspects:
            first = lineup.first(
                now,
                tokens=query.requirements.tokens,
                affinity=self._affinity(settings, call),
                random_number=random_number,
                patience=settings.limits.patience,
            )
            if first is not None:
                return lineup.plan(first, query, resolved, random_number, now)
        snapshot = self.snapshot(settings, self._affinity(settings, call), hash(call.body), barred)
        return plan(msgspec.structs.replace(snapshot, routes=routes), query, random_number=random_number)

    def complete(
        self, settings: Settings, call: Call, partial: Plan, *, barred: Mapping[str, str] = NOT_BARRED
    ) -> Plan:
        """A partial plan with all other choices, as they are now."""
        assert partial.query is not None
        snapshot = self.snapshot(settings, self._affinity(settings, call), hash(call.body), barred)
        snapshot = msgspec.structs.replace(snapshot, routes=_routes(settings, call))
        whole = plan(snapshot, partial.query, random_number=partial.random_number, first=partial.choices[0])
        return msgspec.structs.replace(whole, asked=partial.asked, steps=partial.steps)

    def _lineup(
        self, settings: Settings, query: RouteQuery, routes: Routes | None, barred: Mapping[str, str]
    ) -> tuple[Resolved, Lineup | None]:
        """What the names of the call are, and the lineup of calls that differ in nothing that decides."""
        if len(self._lineups) >= MAX_LINEUPS or self._pool.is_crowded:
            self._pool.forget_rosters()
        versions = (
            self._pool.generation,
            self._context_limits.version,
            self._models.version,
            self._remedies.version,
        )
        if settings is not self._settings or versions != self._versions:
            self._settings, self._versions, self._lineups = settings, versions, {}
        needs = query.requirements
        key: tuple[object, ...] = (query.model, query.protocol, tuple(barred.items()), *_without_tokens(needs))
        resolved = None
        if routes is not None:
            resolved = resolve(query, settings.providers, settings.config.aliases, routes)
            key = (*key, resolved.route, *((name.provider, name.model) for name in resolved.names))
        if (found := self._lineups.get(key)) is None:
            resolved = resolved or resolve(query, settings.providers, settings.config.aliases, None)
            found = self._lineups[key] = resolved, self._compiled(settings, query, resolved, barred)
        return resolved or found[0], found[1]

    def _compiled(
        self, settings: Settings, query: RouteQuery, resolved: Resolved, barred: Mapping[str, str]
    ) -> Lineup | None:
        pool = self._pool
        lists = {name: pool.lists(name) for name in settings.members}
        accounts = {
            name: tuple(AccountState(name=str(number), models=models) for number, models in enumerate(each))
            for name, each in lists.items()
            if each
        }
        snapshot = self._snapshot(settings, accounts, barred)
        return compiled(
            resolved, snapshot, query, lambda name, number, model: pool.roster(name, lists[name][number], model)
        )

    def snapshot(
        self,
        settings: Settings,
        affinity: AccountId | None = None,
        fingerprint: int = 0,
        barred: Mapping[str, str] = NOT_BARRED,
    ) -> Snapshot:
        """Everything dispatch decides by, at this moment. `fingerprint` tells requests apart."""
        accounts = self._pool.states(time.monotonic(), fingerprint)
        return msgspec.structs.replace(self._snapshot(settings, accounts, barred), affinity=affinity)

    def _snapshot(
        self, settings: Settings, accounts: Mapping[str, tuple[AccountState, ...]], barred: Mapping[str, str]
    ) -> Snapshot:
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
    requirements = requirements_of(call.body, call.protocol, call.words)
    return (
        msgspec.structs.replace(requirements, replaceable=frozenset()) if settings.config.pool.strict else requirements
    )


def _without_tokens(needs: Requirements) -> Iterator[object]:
    """All that a lineup depends on: the length of a request is compared when it comes."""
    yield from (needs.images, needs.documents, needs.audio, needs.video, needs.tools, needs.effort, needs.replaceable)


def _routes(settings: Settings, call: Call) -> Routes | None:
    """The routes that hold for a call. What embeds has one model."""
    return None if call.operation in EMBEDDINGS else settings.routes


def _query(settings: Settings, call: Call, random_number: float, hooked: str) -> RouteQuery:
    """The call as dispatch sees it."""
    query = RouteQuery(
        model=call.model,
        protocol=call.protocol,
        requirements=_requirements(settings, call) if settings.has_text_models else NO_REQUIREMENTS,
        hooked=hooked,
        draw=_draw(call, random_number),
    )
    return query if _routes(settings, call) is None else _routed(query, call, settings)
