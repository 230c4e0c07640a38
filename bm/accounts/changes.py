"""What requests change in accounts, from the daemon that finishes them to the one that serves by now.

Times are Unix times, as in state.json. Amounts are those since the last changes, because both daemons count.
"""

from __future__ import annotations

import msgspec

from bm.accounts.affinity import Affinities
from bm.accounts.cooldowns import CooldownEntry
from bm.accounts.pool import Pool
from bm.accounts.quota import Unit
from bm.accounts.runtime import AccountRuntime, Tally, digest
from bm.accounts.state_file import SavedTurn, shifted


class Used(msgspec.Struct, frozen=True, array_like=True):
    """Requests or tokens of a model."""

    model: str
    unit: Unit
    amount: int


class AccountChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The changes of one account; `health` lists times and whether each was a fault."""

    provider: str
    name: str
    digest: str
    requests: int = 0
    failures: int = 0
    entries: tuple[CooldownEntry, ...] = ()
    health: tuple[tuple[float, bool], ...] = ()
    used: tuple[Used, ...] = ()


class AccountChanges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The changes of all accounts, and the turns that they have served."""

    accounts: tuple[AccountChange, ...] = ()
    turns: tuple[SavedTurn, ...] = ()


class AccountWatch:
    """Finds what has changed since it last looked. `now` is monotonic seconds."""

    def __init__(self, pool: Pool, affinities: Affinities, now: float) -> None:
        self._pool, self._affinities = pool, affinities
        self._tallies: dict[int, Tally] = {}
        self._used: dict[tuple[int, str, Unit], int] = {}
        self._id, self._at = 0, float("-inf")
        self.changes(now, 0.0)

    def changes(self, now: float, wall: float) -> AccountChanges:
        """The changes since the last call."""
        ahead = wall - now
        found = [self._change(runtime, ahead) for runtime in self._pool.runtimes.values()]
        turns = tuple(
            SavedTurn(key, *account_id, at + ahead)
            for key, account_id, at in self._affinities.items(now)
            if at > self._at
        )
        self._id, self._at = next(self._pool.ids), now
        changed = (each for each in found if each.requests or each.entries or each.health or each.used)
        return AccountChanges(accounts=tuple(changed), turns=turns)

    def _change(self, runtime: AccountRuntime, ahead: float) -> AccountChange:
        before, today = self._tallies.get(id(runtime), Tally()).on(runtime.today.day), runtime.today
        self._tallies[id(runtime)] = today
        provider, name = runtime.id
        entries = (each for each in (*runtime.own.entries(), *runtime.shared.entries()) if each.id > self._id)
        return AccountChange(
            provider=provider,
            name=name,
            digest=digest(runtime.credential),
            requests=today.requests - before.requests,
            failures=today.failures - before.failures,
            entries=tuple(shifted(entry, ahead) for entry in entries),
            health=tuple((at + ahead, fault != 0) for at, fault in runtime.health.seen() if at > self._at),
            used=tuple(self._used_since(runtime)),
        )

    def _used_since(self, runtime: AccountRuntime) -> list[Used]:
        """What has been counted of each model. Accounts of one project share their meter, so that the first tells."""
        found = []
        for gauge in runtime.meter.all():
            key = id(runtime.meter), gauge.model, gauge.unit
            if gauge.window != "day":
                continue
            before, self._used[key] = self._used.get(key, 0), gauge.used
            if gauge.used > before:
                found.append(Used(gauge.model, gauge.unit, gauge.used - before))
        return found


def merge(pool: Pool, affinities: Affinities, changes: AccountChanges, *, now: float, wall: float) -> None:
    """Apply the changes to accounts that still have the same key."""
    for change in changes.accounts:
        account_id = change.provider, change.name
        runtime = pool.runtimes.get(account_id)
        if runtime is None or digest(runtime.credential) != change.digest:
            continue
        runtime.count(wall, requests=change.requests, failures=change.failures)
        pool.restore(account_id, (shifted(entry, now - wall, latest=now) for entry in change.entries))
        runtime.health.merge((min(now, at - wall + now), -1 if fault else 0) for at, fault in change.health)
        # The earlier daemon counts together with the other nodes, and so with this one.
        for used in change.used if runtime.meter.totals is None else ():
            runtime.meter.count(used.model, used.amount, used.unit, now=now, wall=wall)
    for turn in changes.turns:
        if (turn.provider, turn.account) in pool.runtimes:
            affinities.learn(turn.key, (turn.provider, turn.account), min(now, turn.at - wall + now))
