"""The accounts and providers as `bm accounts`, `bm providers` and the dashboard show them, one row each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from bm.accounts.account import Account, Kind, remedy_for
from bm.accounts.pool import Pool
from bm.accounts.quota import Unit, Window, local_day
from bm.accounts.runtime import AccountRuntime
from bm.config.secrets import without_password
from bm.dispatch.snapshot import AccountState
from bm.providers.catalog import GEMINI
from bm.providers.provider import Provider

State = Literal["usable", "cooling down", "disabled", "off"]
"""`cooling down`: at least one model is. `disabled`: its credential was refused or is missing, and a person must act.
`off`: a person has switched it off."""


ProviderState = Literal["in use", "ready", "needs key", "down"]
"""`in use`: requests go to it in its mode. `ready`: only its mode is missing. `down`: none of its accounts is usable
until a person acts."""


class Cooldown(msgspec.Struct, frozen=True):
    """A model that is cooling down, the seconds left, and the reason. `model` is empty for all models."""

    model: str
    seconds: float
    reason: str


class Quota(msgspec.Struct, frozen=True):
    """The usage of a model in this minute or day, its limit (None = unknown) and when it resets: a Unix time, None when
    nothing was used."""

    model: str
    window: Window
    unit: Unit
    used: int
    limit: int | None
    resets: int | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `key_hint` is what may be shown of the key or its owner, `last_used` a Unix time.

    `remedy` is set for a disabled one. `last_error` is the upstream's last error, empty after the next answer.
    """

    name: str
    provider: str
    kind: Kind
    enabled: bool
    state: State
    reason: str
    remedy: str = ""
    key_hint: str
    project: str
    location: str = ""
    tier: int = 0
    weight: int = 1
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
    """Every account, in the order of the pool."""
    return tuple(_row(runtime, now, wall) for runtime in pool.runtimes.values())


def counts(pool: Pool, *, now: float, wall: float) -> dict[State, int]:
    """How many accounts are in each state."""
    found: dict[State, int] = {"usable": 0, "cooling down": 0, "disabled": 0, "off": 0}
    for row in rows(pool, now=now, wall=wall):
        found[row.state] += 1
    return found


def _row(runtime: AccountRuntime, now: float, wall: float) -> Row:
    account = runtime.credential.account
    current = runtime.state(now)
    cooldowns = [
        Cooldown(model, round(seconds, 1), state.reason)
        for model, state in current.states.items()
        if (seconds := runtime.named_cooldown(model, now)) > 0
    ]
    cooldowns.sort(key=lambda each: each.seconds)
    today = runtime.today.on(local_day(wall))
    state: State = "cooling down" if cooldowns else "usable"
    if current.disabled:
        state = "disabled" if account.enabled else "off"
    return Row(
        name=account.name,
        provider=account.provider,
        kind=account.kind,
        enabled=account.enabled,
        state=state,
        reason=current.disabled or (cooldowns[0].reason if cooldowns else ""),
        remedy=remedy_for(account, current.disabled) if state == "disabled" else "",
        key_hint=runtime.credential.shown,
        project=account.project,
        location=account.location,
        tier=account.tier,
        weight=account.weight,
        cooldowns=tuple(cooldowns),
        excluded={model: each.excluded for model, each in current.states.items() if each.excluded},
        health=round(current.health, 2),
        inflight=runtime.inflight.total(),
        last_used=None if runtime.last_used is None else runtime.last_used + wall - now,
        requests_today=today.requests,
        failures_today=today.failures,
        last_error=runtime.last_error,
        quotas=_quotas(runtime, now, wall),
    )


def _quotas(runtime: AccountRuntime, now: float, wall: float) -> tuple[Quota, ...]:
    """By model, the minute before the day. Tokens are listed only with a known limit."""
    shown = [
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
    return tuple(sorted(shown, key=lambda each: (each.model, each.unit, each.window == "day")))


def billed(accounts: Iterable[Account]) -> list[str]:
    """The names of the Gemini accounts that have no free tier: those of Vertex AI."""
    return [account.name for account in accounts if account.provider == GEMINI.name and account.location]


def provider_row(provider: Provider, accounts: tuple[AccountState, ...]) -> dict[str, Any]:
    """One provider with its accounts."""
    return {
        "name": provider.name,
        "state": _provider_state(provider, accounts),
        "enabled": provider.enabled,
        "mode": provider.mode,
        "protocol": provider.protocol,
        "base_url": without_password(provider.base_url),
        "protocols": list(provider.protocols),
        "accounts": len(accounts),
        "key_present": provider.auth == "none" or any(not account.disabled for account in accounts),
        "health": _health(accounts),
        "last_error": next((account.disabled for account in accounts if account.disabled), None),
        "models": provider.models,
    }


def _provider_state(provider: Provider, accounts: tuple[AccountState, ...]) -> ProviderState:
    if provider.auth != "none" and not accounts:
        return "needs key"
    if not provider.enabled or (provider.mode == "off" and not provider.pool):
        return "ready"
    return "down" if accounts and all(account.disabled for account in accounts) else "in use"


def _health(accounts: tuple[AccountState, ...]) -> str:
    """`unknown` before the first use, `down` when no account is usable, `degraded` when some are unhealthy."""
    if not accounts or all(account.idle is None for account in accounts):
        return "unknown"
    enabled = [account for account in accounts if not account.disabled]
    if not enabled:
        return "down"
    healthy = all(account.health > 0.5 and not account.states for account in enabled)
    return "ok" if healthy and len(enabled) == len(accounts) else "degraded"
