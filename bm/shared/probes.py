"""Which node may probe an account whose cooldown is long or over: one at a time, by a lease.

The first request that meets such an account asks for the lease, and waits a moment for the answer: such accounts are
tried last. What a probe shows takes effect by when its request was sent, so one that comes late, after another node's,
changes nothing that is newer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from bm.accounts.suspects import Place
from bm.shared.leases import Lease, Leases
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
        self._asking: set[asyncio.Task[None]] = set()

    def may_probe(self, place: Place) -> bool:
        """Whether a request of this node may probe now. If not, that is asked for."""
        if (held := self._held.get(place)) is not None:
            return not held.begun.is_set()
        if self._store.is_away:
            return True
        if place not in self._taking:
            self._taking.add(place)
            asking = spawn(self._ask(place), "taking the lease of a probe")
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
        return False

    async def decided(self, seconds: float) -> bool:
        """Wait until it is known whether this node may probe where it has asked for that. Whether it has anywhere."""
        if not self._asking:
            return False
        await asyncio.wait(self._asking, timeout=seconds)
        return True

    def begun(self, place: Place) -> None:
        """A request probes."""
        if (held := self._held.get(place)) is not None:
            held.begun.set()

    def ended(self, place: Place) -> None:
        """The request that probes is over."""
        if (held := self._held.get(place)) is not None:
            held.over.set()

    async def _ask(self, place: Place) -> None:
        """Take the lease, unless another node has it."""
        try:
            lease = await self._leases.take(f"probe:{digest(repr(place))}")
        except StoreAway:
            lease = None
        if lease is None:
            asyncio.get_running_loop().call_later(PAUSE, self._taking.discard, place)
            return
        self._taking.discard(place)
        held = self._held[place] = _Probe()
        spawn(self._hold(place, lease, held), "holding the lease of a probe")

    async def _hold(self, place: Place, lease: Lease, held: _Probe) -> None:
        """Hold a lease until its probe is over, or no request has used it."""
        async with self._leases.holding(lease):
            with suppress(TimeoutError):
                async with asyncio.timeout(UNUSED):
                    await held.begun.wait()
            if held.begun.is_set():
                await held.over.wait()
            del self._held[place]
