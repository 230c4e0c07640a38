"""Notices that the machine was asleep or has changed its network, which no connection outlives."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from bm.gateway.services import Services

INTERVAL = 2.0
"""Seconds between two looks."""

SLEEP = 5.0
"""The wall clock runs ahead of the monotonic one by so many seconds: no adjustment of a clock is that large."""

_log = logging.getLogger("bm")


class Moment(msgspec.Struct, frozen=True):
    """What is seen at one look: both clocks, in seconds, and the machine's addresses but those of itself."""

    monotonic: float
    wall: float
    addresses: frozenset[str] = frozenset()

    def slept_since(self, before: Moment) -> float:
        """Seconds the machine was asleep: its monotonic clock stands still meanwhile. 0 when it was awake."""
        ahead = (self.wall - before.wall) - (self.monotonic - before.monotonic)
        return ahead if ahead >= SLEEP else 0.0

    def gone_since(self, before: Moment) -> frozenset[str]:
        """The addresses that the machine has no longer. New ones disturb nobody."""
        return before.addresses - self.addresses


class Network:
    """The watch of one daemon."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._last = now()

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.look(now())

    def look(self, seen: Moment) -> None:
        """Compare with the last look."""
        slept, gone = seen.slept_since(self._last), seen.gone_since(self._last)
        self._last = seen
        if not slept and not gone:
            return
        # What fails of the requests under way is not held against any account.
        self._services.disturbed = time.monotonic()
        if slept:
            self._services.pool.age(slept)
        broken = self._services.client.drop_connections(None if slept else gone)
        what = f"the machine slept for {slept:.0f} s" if slept else f"the network changed ({', '.join(sorted(gone))})"
        _log.info("%s: %d connections are dropped", what, broken)


def now() -> Moment:
    """What is to be seen now."""
    import psutil

    found = (address.address for addresses in psutil.net_if_addrs().values() for address in addresses)
    own = frozenset(address for address in found if not address.startswith(("127.", "::1")))
    return Moment(time.monotonic(), time.time(), own)
