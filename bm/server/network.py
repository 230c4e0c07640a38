"""Detects that the machine was asleep or has changed its network, after which connections are dead."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import msgspec

from bm.gateway.services import Services

INTERVAL = 2.0
"""Seconds between two observations."""

MIN_SLEEP = 5.0
"""Shortest sleep in seconds that is acted on; connections survive shorter ones."""

MIN_PAUSE = 60.0
"""Shortest jump of the wall clock, in seconds, that counts as sleep by itself. A paused virtual machine stops all other
clocks, and the correction of a clock is smaller."""

_log = logging.getLogger("bm")


class Moment(msgspec.Struct, frozen=True):
    """One observation: three clocks in seconds, and the machine's addresses other than loopback.

    `monotonic` stands still while the machine sleeps; `boot` does not, nor does it follow changes of the wall clock.
    """

    monotonic: float
    boot: float
    wall: float
    addresses: frozenset[str] = frozenset()

    def slept_since(self, before: Moment) -> float:
        """Seconds the machine was asleep since; 0 if it was awake."""
        awake = self.monotonic - before.monotonic
        slept, jump = self.boot - before.boot - awake, self.wall - before.wall - awake
        if slept >= MIN_SLEEP:
            return slept
        return jump if jump >= MIN_PAUSE else 0.0

    def gone_since(self, before: Moment) -> frozenset[str]:
        """The addresses that the machine no longer has. New ones do no harm."""
        return before.addresses - self.addresses


class Network:
    """Watches for one daemon."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._last = now()

    async def watch(self) -> None:
        """Observe until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.look(now())

    def look(self, seen: Moment) -> None:
        """Compare with the last observation."""
        slept, gone = seen.slept_since(self._last), seen.gone_since(self._last)
        self._last = seen
        if not slept and not gone:
            return
        # Requests in flight that fail now do not count against their accounts.
        self._services.disturbed = time.monotonic()
        if slept:
            self._services.pool.age(slept)
        broken = self._services.client.drop_connections(None if slept else gone)
        what = f"the machine slept for {slept:.0f} s" if slept else f"the network changed ({', '.join(sorted(gone))})"
        _log.info("%s: %d connections are dropped", what, broken)


def now() -> Moment:
    """The present observation."""
    import psutil

    found = (address.address for addresses in psutil.net_if_addrs().values() for address in addresses)
    own = frozenset(address for address in found if not address.startswith(("127.", "::1")))
    return Moment(time.monotonic(), _boot_clock(), time.time(), own)


if sys.platform == "linux":

    def _boot_clock() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

elif sys.platform == "darwin":

    def _boot_clock() -> float:
        # On macOS this clock counts sleep, unlike `time.monotonic`.
        return time.clock_gettime(time.CLOCK_MONOTONIC)

else:

    def _boot_clock() -> float:
        return time.monotonic()
