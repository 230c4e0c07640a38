"""Work that one node at a time does for all: a lease with an expiry, and results that a late node cannot write.

A lease is a key whose value only the node that took it knows. It expires unless it is renewed, so a node that dies
frees it. A result is stored and the lease given back in one step, and only while the lease is still that node's: one
that was paused for too long changes nothing any more.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol, TypeVar

import msgspec

from bm.shared.store import Script, Store, StoreAway, milliseconds
from bm.tasks import spawn

SECONDS = 15.0
"""A lease that is not renewed expires after this time."""
POLL = 0.1
"""Seconds between two looks for what another node is about to find."""
Result = TypeVar("Result")

RENEW = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""")
FINISH = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if KEYS[2] then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
return 1
""")


class Lease(msgspec.Struct, frozen=True):
    """What a node holds until it expires: the key, and the value that proves it."""

    key: str
    proof: str


class Finding(Protocol[Result]):
    """What the work of one node for all is, and how its result is stored."""

    name: str

    def read(self, value: bytes, seconds: float) -> Result | None:
        """A stored result with the seconds until it expires; None if it is of no use."""

    def write(self, result: Result) -> tuple[bytes, float] | None:
        """A result to store, and for how many seconds; None for one that is of no use to others."""


class Leases:
    """The leases of one node."""

    def __init__(self, store: Store, *, seconds: float = SECONDS) -> None:
        self._store, self._seconds = store, seconds

    async def take(self, name: str) -> Lease | None:
        """Take a lease; None if another node has it.

        Raises:
            StoreAway: the store cannot be asked now.
        """
        lease = Lease(self._store.key("lease", name), secrets.token_hex(8))
        taken = await self._store.command("SET", lease.key, lease.proof, "NX", "PX", milliseconds(self._seconds))
        return lease if taken else None

    async def renew(self, lease: Lease) -> bool:
        """Hold a lease for longer. Whether it was still this node's.

        Raises:
            StoreAway: the store cannot be asked now.
        """
        return bool(await self._store.run(RENEW, [lease.key], [lease.proof, milliseconds(self._seconds)]))

    async def release(self, lease: Lease) -> None:
        """Give a lease back. If the store is away, it expires."""
        with suppress(StoreAway):
            await self._store.run(FINISH, [lease.key], [lease.proof])

    async def finish(self, lease: Lease, key: str, value: bytes, seconds: float) -> bool:
        """Store a result and give the lease back. Whether it was still this node's; if not, nothing is stored.

        Raises:
            StoreAway: the store cannot be asked now.
        """
        return bool(await self._store.run(FINISH, [lease.key, key], [lease.proof, value, milliseconds(seconds)]))

    @asynccontextmanager
    async def holding(self, lease: Lease) -> AsyncIterator[None]:
        """Renew a lease within the block, and give it back at its end unless it is finished by then."""
        renewing = spawn(self._keep(lease), "renewing a lease")
        try:
            yield
        finally:
            renewing.cancel()
            await self.release(lease)

    async def _keep(self, lease: Lease) -> None:
        """Renew a lease until it is lost or this is cancelled."""
        held = True
        while held:
            await asyncio.sleep(self._seconds / 3)
            with suppress(StoreAway):
                held = await self.renew(lease)

    async def once(self, finding: Finding[Result], work: Callable[[], Awaitable[Result]]) -> Result:
        """The result of work that one node does for all: what another has found, or is about to find, or this one.

        If the store is away, this node does it for itself.
        """
        key = self._store.key("found", finding.name)
        while True:
            try:
                lease = await self.take(finding.name)
                value, left = await self._store.batch([("GET", key), ("PTTL", key)])
            except StoreAway:
                return await work()
            found = finding.read(value, left / 1000) if value else None
            if lease is not None:
                return await self._found(lease, key, finding, found, work)
            if found is not None:
                return found
            await asyncio.sleep(POLL)

    async def _found(
        self,
        lease: Lease,
        key: str,
        finding: Finding[Result],
        found: Result | None,
        work: Callable[[], Awaitable[Result]],
    ) -> Result:
        """What was found before the lease was taken, or is found now."""
        async with self.holding(lease):
            if found is None:
                found = await work()
                if (written := finding.write(found)) is not None:
                    with suppress(StoreAway):
                        await self.finish(lease, key, *written)
        return found
