"""Accounts, targets and effects, as short as the tests need them."""

from __future__ import annotations

from bm.accounts.account import Account
from bm.accounts.credentials import Credential
from bm.accounts.pool import Pool, Receipt
from bm.accounts.quota import Unit, Window
from bm.dispatch.outcome import AccountEffect, EffectKind
from bm.dispatch.target import Target

NOON = 1_775_070_000.0
"""2026-04-01 12:00 in Los Angeles: the Unix time at which the tests' monotonic clock shows 0."""


DAY: tuple[str, Window, Unit] = ("m", "day", "requests")
"""The gauge of the requests of a day."""


def credential(
    name: str, *, provider: str = "gemini", project: str = "", key: str = "", enabled: bool = True, weight: int = 1
) -> Credential:
    secret = key or f"key-{provider}-{name}"
    account = Account(name=name, provider=provider, key=secret, project=project, enabled=enabled, weight=weight)
    return Credential(account=account, secret=secret)


def target(name: str = "a", model: str = "m", provider: str = "gemini") -> Target:
    return Target(provider, name, model, "gemini")


def apply(
    pool: Pool,
    kind: EffectKind,
    now: float,
    *,
    to: Target | None = None,
    seconds: float | None = None,
    sent: float | None = None,
    jitter: float = 0.0,
    reason: str = "it said so",
    fingerprint: int = 0,
    wall: float | None = None,
) -> Receipt:
    """Apply an effect to a target's account, of a request sent now or at `sent`."""
    lease = pool.lease(to or target(), sent=now if sent is None else sent, fingerprint=fingerprint)
    unix = NOON + now if wall is None else wall
    return lease.apply(AccountEffect(kind, seconds, reason), now=now, wall=unix, jitter=jitter)


def usable(pool: Pool, now: float, to: Target | None = None) -> bool:
    """Whether dispatch would find nothing against the target."""
    at = to or target()
    (account,) = (each for each in pool.states(now)[at.provider] if each.name == at.account)
    state = account.state(at.model)
    return not account.disabled and not state.excluded and state.cooldown == 0 and state.circuit != "open"
