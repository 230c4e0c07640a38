"""Small worlds to decide on: providers, accounts, what is wrong with them, a plan for one request."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bm.config.schema import Chain, Routes
from bm.dispatch.plan import Plan, plan
from bm.dispatch.snapshot import AccountState, Limits, Member, ModelState, Requirements, RouteQuery, Snapshot, Traits
from bm.names import PROTOCOLS, Mode, ProtocolName
from bm.providers.catalog import COMPATIBLE
from bm.providers.provider import Provider

USUAL = Limits()
NO_REQUIREMENTS = Requirements()
NO_TRAITS = Traits()
MODEL = "gemini-3.8-flash"
FAMILIES = {"opus": "gemini-3.1-pro-preview", "sonnet": MODEL, "haiku": "gemini-3.5-flash-lite", "default": MODEL}


def account(name: str, *, cooldown: float = 0.0, disabled: str = "", **state: object) -> AccountState:
    """An account; `cooldown` applies to every model, `state` are further fields of its state."""
    states = {"": ModelState(cooldown=cooldown, reason="429" if cooldown else "")} if cooldown else {}
    made = AccountState(name=name, disabled=disabled, states=states)
    return msgspec.structs.replace(made, **state)


def gemini(*accounts: AccountState | str, contexts: dict[str, int] | None = None) -> Member:
    """The pool's provider; a string is a usable account."""
    provider = Provider(
        name="gemini",
        enabled=True,
        mode="pooled",
        speaks=("gemini",),
        base_url="https://gemini.example",
        auth="x-goog-api-key",
        protocols=PROTOCOLS,
        models=FAMILIES,
        serves=("gemini*",),
        pool=True,
    )
    return Member(provider=provider, accounts=_accounts(accounts), contexts=contexts or {})


def paid(name: str, mode: Mode, *accounts: AccountState | str, **fields: object) -> Member:
    """A provider that takes every client's requests, with one key by default."""
    provider = Provider(
        name=name,
        enabled=True,
        mode=mode,
        speaks=("openai-chat",),
        base_url="https://paid.example/v1",
        auth="bearer",
        protocols=PROTOCOLS,
        models={"default": f"{name}-model", "sonnet": f"{name}-model"},
        dialect=COMPATIBLE,
    )
    return Member(provider=msgspec.structs.replace(provider, **fields), accounts=_accounts(accounts or ("key",)))


def _accounts(accounts: tuple[AccountState | str, ...]) -> tuple[AccountState, ...]:
    return tuple(account(each) if isinstance(each, str) else each for each in accounts)


def planned(
    *members: Member,
    model: str = MODEL,
    protocol: ProtocolName = "anthropic",
    number: float = 0.0,
    affinity: tuple[str, str] | None = None,
    aliases: Mapping[str, Chain] | None = None,
    routes: Routes | None = None,
    traits: Traits = NO_TRAITS,
    tool: str = "",
    hooked: str = "",
    prices: Mapping[tuple[str, str], float] | None = None,
    draw: float = 0.0,
    limits: Limits = USUAL,
    requirements: Requirements = NO_REQUIREMENTS,
) -> Plan:
    """The plan for one request in a world of these members."""
    snapshot = Snapshot(
        members=members,
        affinity=affinity,
        aliases=aliases or {},
        routes=routes,
        price=lambda provider, model: (prices or {}).get((provider, model)),
        limits=limits,
    )
    query = RouteQuery(
        model=model,
        protocol=protocol,
        requirements=requirements,
        traits=traits,
        tool=tool,
        hooked=hooked,
        draw=draw,
    )
    return plan(snapshot, query, random_number=number)


def order(made: Plan) -> list[str]:
    """The plan's usable targets as `provider/account`."""
    return ["/".join(target.account_id) for target in made.targets]
