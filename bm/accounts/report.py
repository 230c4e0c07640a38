"""The accounts as people see them: one row each, for the admin interface and `bm accounts`."""

from __future__ import annotations

from typing import Literal

import msgspec

from bm.accounts.account import Kind
from bm.accounts.cure import cure_of
from bm.accounts.daily import local_day
from bm.accounts.pool import Pool
from bm.accounts.quota import Unit, Window
from bm.accounts.runtime import AccountRuntime

State = Literal["usable", "cooling", "out", "disabled"]
"""`cooling`: at least one model rests. `out`: refused, or without a key; a person must act."""


class Cooldown(msgspec.Struct, frozen=True):
    """What rests, for how many seconds more, and why. `model` is empty for all of them."""

    model: str
    seconds: float
    reason: str


class Quota(msgspec.Struct, frozen=True):
    """What was used of a model in this minute or day, of which limit (None: not known), and when it begins anew: a Unix
    time, None when nothing was used."""

    model: str
    window: Window
    unit: Unit
    used: int
    limit: int | None
    resets: int | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `key_hint` is what may be shown of the key or its owner, `last_used` a Unix time.
    `cure` is what to do about one that is `out`. `last_error` is what the upstream said last, empty once the account
    has answered again."""

    name: str
    provider: str
    kind: Kind
    enabled: bool
    state: State
    reason: str
    cure: str = ""
    key_hint: str
    project: str
    location: str = ""
    cooldowns: tuple[Cooldown, ...] = ()
    excluded: dict[str, str] = {}
    health: float = 1.0
    inflight: int = 0
    last_used: float | None = None
    requests_today: int = 0
    failures_today: int = 0
    last_error: str = ""
    quotas: tuple[Quota, ...] = ()


def rows(pool: Pool, *, now: float, wall: float) -> tuple[Row, ...]:
    """Every account in the pool's order."""
    return tuple(_row(runtime, now, wall) for runtime in pool.runtimes.values())


def counts(pool: Pool, *, now: float, wall: float) -> dict[State, int]:
    """How many accounts are in each state."""
    found: dict[State, int] = {"usable": 0, "cooling": 0, "out": 0, "disabled": 0}
    for row in rows(pool, now=now, wall=wall):
        found[row.state] += 1
    return found


def _row(runtime: AccountRuntime, now: float, wall: float) -> Row:
    account = runtime.credential.account
    facts = runtime.state(now)
    resting = [
        Cooldown(model, round(state.cooldown, 1), state.reason)
        for model, state in facts.states.items()
        if state.cooldown > 0
    ]
    resting.sort(key=lambda each: each.seconds)
    today = runtime.today.on(local_day(wall))
    state: State = "cooling" if resting else "usable"
    if facts.disabled:
        state = "out" if account.enabled else "disabled"
    cure = cure_of(account, facts.disabled) if state == "out" else ""
    return Row(
        name=account.name,
        provider=account.provider,
        kind=account.kind,
        enabled=account.enabled,
        state=state,
        reason=facts.disabled or (resting[0].reason if resting else ""),
        cure=cure,
        key_hint=runtime.credential.shown,
        project=account.project,
        location=account.location,
        cooldowns=tuple(resting),
        excluded={model: each.excluded for model, each in facts.states.items() if each.excluded},
        health=round(facts.health, 2),
        inflight=facts.inflight,
        last_used=None if runtime.last_used is None else runtime.last_used + wall - now,
        requests_today=today.requests,
        failures_today=today.failures,
        last_error=runtime.last_error,
        quotas=_quotas(runtime, now, wall),
    )


def _quotas(runtime: AccountRuntime, now: float, wall: float) -> tuple[Quota, ...]:
    """By model, the minute before the day. Tokens are told of where their limit is known."""
    told = [
        Quota(
            each.model,
            each.window,
            each.unit,
            each.used,
            each.limit,
            round(each.ends - now + wall) if each.used else None,
        )
        for each in runtime.meter.gauges(now)
        if each.limit is not None or (each.unit == "requests" and each.used)
    ]
    return tuple(sorted(told, key=lambda each: (each.model, each.unit, each.window == "day")))
