"""Accounts that a person switches on or off on one node are switched on all: the latest switch holds.

Each node has files of its own with the accounts, so a node does what the command has done on another one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from bm.accounts.account import CONFIG_NAME
from bm.accounts.credentials import LOCAL_NAME, Credentials
from bm.accounts.edits import switched
from bm.accounts.pool import Pool
from bm.dispatch.target import AccountId
from bm.errors import BmError
from bm.shared.facts import Fact
from bm.shared.replica import Replica

Edit = Callable[[Callable[[Credentials], Credentials]], Awaitable[None]]
"""Changes the stored accounts, and has the pool take them over."""

_log = logging.getLogger("bm")


class Switches:
    """Compares what is on in the pool with the facts. Times are Unix times by the store's clock."""

    def __init__(self, replica: Replica, pool: Pool, edit: Edit) -> None:
        self._replica, self._pool, self._edit = replica, pool, edit
        self._before = self._now()
        self._refused: set[AccountId] = set()

    def begin(self, edited: float, at: float) -> list[Fact]:
        """What was switched here while no daemon ran. `edited` is when the stored accounts were last changed.

        An account that was switched on has the time at which; one that was switched off has not.
        """
        made: list[Fact] = []
        for id, on in self._now().items():
            latest = self._latest(id)
            if latest is None or (latest.kind == "on") == on:
                continue
            renewed = self._pool.runtimes[id].credential.account.renewed_at
            since = edited if not on else renewed.timestamp() if renewed else 0.0
            if since > latest.at:
                made.append(self._state(id, at, on=on))
        return made

    def changes(self, at: float) -> list[Fact]:
        """What was switched here since the last call."""
        before, self._before = self._before, self._now()
        made: list[Fact] = []
        for id, on in self._before.items():
            latest = self._latest(id)
            if before.get(id, on) != on and (latest is None or (latest.kind == "on") != on):
                made.append(self._state(id, at, on=on))
        return made

    async def apply(self) -> None:
        """Switch here what was switched on another node."""
        for id, on in self._now().items():
            latest = self._latest(id)
            if latest is None or (latest.kind == "on") == on or id in self._refused:
                continue
            # Another node may switch it again while this one does: what is done here is no switch of its own.
            self._before[id] = not on
            try:
                await self._switch(id, on=not on)
            except BmError as error:
                self._refused.add(id)
                _log.warning("account %s of %s was switched on another node, but not here: %s", id[1], id[0], error)
            else:
                _log.info("account %s of %s was switched %s on another node", id[1], id[0], latest.kind)

    async def _switch(self, id: AccountId, *, on: bool) -> None:
        provider, name = id
        await self._edit(lambda stored: stored.change(switched(stored.find(name, provider), datetime.now(UTC), on=on)))

    def _now(self) -> dict[AccountId, bool]:
        """Whether each stored account is on."""
        accounts = (runtime.credential.account for runtime in self._pool.runtimes.values())
        return {each.id: each.enabled for each in accounts if each.name not in (CONFIG_NAME, LOCAL_NAME)}

    def _latest(self, id: AccountId) -> Fact | None:
        facts = (fact for fact in self._replica.facts.at(("switch", *id)) if not fact.void)
        return max(facts, key=lambda fact: (fact.at, fact.id), default=None)

    def _state(self, id: AccountId, at: float, *, on: bool) -> Fact:
        provider, name = id
        kind = Fact(run="", number=0, kind="on" if on else "off", provider=provider, account=name, proof="", at=at)
        return self._replica.state(kind)
