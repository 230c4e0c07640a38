"""Which node may probe an account whose cooldown is long or over: one at a time, by a lease.

No request waits for the lease. The first that meets such an account has it taken and goes to other accounts; a later
one on this node probes. What a probe shows takes effect by when its request was sent, so one that comes late, after
another node's, changes nothing that is newer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from bm.accounts.suspects import Place
from bm.shared.leases import Leases
from bm.shared.store import Store, StoreAway, digest
from bm.tasks import spawn

UNUSED: Final = 5.0
"""Seconds until a lease is given back with which no request has begun to probe."""
PAUSE: Final = 0.5
"""Seconds until another node's lease is asked for again."""


class _Probe:
    """A lease that this node holds: whether a request has begun to probe with it, and is over."""

    def __init__(self) -> None:
        self.begun, self.over = asyncio.Event(), asyncio.Event()


class Probes:
    """The probes of this node (`bm.accounts.suspects.Probes`)."""

    def __init__(self, store: Store, leases: Leases) -> None:
        self._store, self._leases = store, leases
        self._held: dict[Place, _Probe] = {}
        self._taking: set[Place] = set()

    def may_probe(self, place: Place) -> bool:
        """Whether a request of this node may probe now. If not, that is asked for."""
        if (held := self._held.get(place)) is not None:
            return not held.begun.is_set()
        if self._store.is_away:
            return True
        if place not in self._taking:
            self._taking.add(place)
            spawn(self._take(place), "taking the lease of a probe").add_done_callback(
                lambda _: self._taking.discard(place)
            )
        return False

    def begun(self, place: Place) -> None:
        """A request probes."""
        if (held := self._held.get(place)) is not None:
            held.begun.set()

    def ended(self, place: Place) -> None:
        """The request that probes is over."""
        if (held := self._held.get(place)) is not None:
            held.over.set()

    async def _take(self, place: Place) -> None:
        """Take the lease, and hold it until its probe is over, or no request has used it."""
        try:
            lease = await self._leases.take(f"probe:{digest(repr(place))}")
        except StoreAway:
            return
        if lease is None:
            await asyncio.sleep(PAUSE)
            return
        held = self._held[place] = _Probe()
        async with self._leases.holding(lease):
            with suppress(TimeoutError):
                async with asyncio.timeout(UNUSED):
                    await held.begun.wait()
            if held.begun.is_set():
                await held.over.wait()
            del self._held[place]
