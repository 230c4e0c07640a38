"""Replicates facts about accounts: each node appends its own to one stream in the store, and reads those of the others.

One stream serves all quotas, since a read of many streams would name each of them every time. Now and then one node
stores all facts it knows as a snapshot, up to which the stream is trimmed. After the store was away, or has lost its
data, each node appends what the store lacks: facts may arrive twice and in any order.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from bm.accounts.pool import Pool
from bm.shared.facts import Fact, decoded, encoded
from bm.shared.nodes import Nodes
from bm.shared.replica import Replica
from bm.shared.store import Script, Store, StoreAway
from bm.shared.switches import Edit, Switches

TIDY: Final = 1.0
"""Seconds between two looks at clocks and at what has ended."""

DRIFT: Final = 0.25
"""Seconds by which the clocks of a node may move against each other before its entries get new times."""

SNAPSHOT: Final = 30.0
"""Seconds between two snapshots, if there is news."""

KEEP: Final = 600.0
"""Seconds for which the stream keeps what is in a snapshot too, for nodes that read late."""

_AT_ONCE: Final = 200

_SNAPSHOT: Final = Script("""
local function order(id) return tonumber(string.match(id, '^%d+')), tonumber(string.match(id, '%d+$')) end
local time, number = order(ARGV[2])
local held = redis.call('GET', KEYS[3])
if held then
  local before, last = order(held)
  if time < before or (time == before and number <= last) then return 0 end
end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], ARGV[2])
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[3])
return 1
""")


class Replication:
    """The facts of one node. `loops` run while the daemon serves; `position` is the last entry of the stream that was
    read. Without `edit` the nodes read the same accounts, and so switch them together."""

    def __init__(self, store: Store, nodes: Nodes, pool: Pool, edit: Edit | None) -> None:
        self._store, self._nodes = store, nodes
        self._changed, self._switched = asyncio.Event(), asyncio.Event()
        self._outbox: list[Fact] = []
        anchor = nodes.clock() - time.monotonic()
        self.replica = Replica(pool, nodes.own.run, anchor, self._changed.set)
        self._switches = Switches(self.replica, pool, edit) if edit is not None else None
        self._stream = store.key("accounts")
        self._snapshot, self._upto = store.key("accounts", "snapshot"), store.key("accounts", "upto")
        self.position, self._stored_upto = "0-0", "0-0"
        self._snapshot_at = time.monotonic()
        pool.reloaded.append(self._reloaded)
        store.back.append(self.synchronize)
        self.loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "replicating to other nodes": self.keep_publishing,
            "replicating from other nodes": self.keep_reading,
            "switching accounts as on other nodes": self.keep_switching,
            "tidying what is replicated": self.keep_tidy,
        }

    async def start(self, edited: float) -> None:
        """Learn what the others know before the first request. `edited` is when the accounts were last changed."""
        with contextlib.suppress(StoreAway):
            self._receive(await self._read_all())
        self.replica.attach()
        if self._switches is not None:
            self._outbox += self._switches.begin(edited, self._nodes.clock())
        self._take()
        self._changed.set()

    async def publish(self) -> None:
        """Append what requests have changed until now."""
        self._take()
        facts, self._outbox = self._outbox, []
        with contextlib.suppress(StoreAway):
            await self._append(facts)

    async def synchronize(self) -> None:
        """The store is back: learn what it holds, and append what it lacks.

        Raises:
            StoreAway: it cannot be asked now.
        """
        self._take()
        stored = await self._read_all()
        self._receive(stored)
        known = {fact.id for fact in stored}
        void = {fact.id for fact in stored if fact.void}
        facts = list(self.replica.facts)
        await self._append(fact for fact in facts if fact.id not in (void if fact.void else known))
        self._outbox.clear()

    async def keep_publishing(self) -> None:
        """Append what has changed here, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            # What cannot be sent is a fact nevertheless: `synchronize` sends it.
            await self.publish()

    async def keep_reading(self) -> None:
        """Learn what the others append, until cancelled."""
        read_at = time.monotonic()
        while True:
            await self._store.until_here()
            try:
                if time.monotonic() - read_at > KEEP / 2:
                    # The machine has slept, and the stream may have been trimmed meanwhile.
                    await self.synchronize()
                found = await self._store.follow(self._stream, self.position)
            except StoreAway:
                continue
            read_at = time.monotonic()
            for id, content in found:
                self._receive(decoded(content))
                self.position = id

    async def keep_switching(self) -> None:
        """Switch accounts as they were switched on other nodes, until cancelled."""
        while True:
            await self._switched.wait()
            self._switched.clear()
            if self._switches is not None:
                await self._switches.apply()

    async def keep_tidy(self) -> None:
        """Follow the clocks, forget what has ended, and store snapshots, until cancelled."""
        while True:
            await asyncio.sleep(TIDY)
            now = time.monotonic()
            anchor = self._nodes.clock() - now
            if abs(anchor - self.replica.anchor) > DRIFT:
                self._take()
                self.replica.rebase(anchor, now)
            self.replica.expire(now)
            if now - self._snapshot_at > SNAPSHOT and self.position != self._stored_upto and self._is_first():
                self._snapshot_at = now
                with contextlib.suppress(StoreAway):
                    await self.store_snapshot()

    async def store_snapshot(self) -> None:
        """Store all facts up to what was read last, and trim the stream.

        Raises:
            StoreAway: the store cannot be asked now.
        """
        upto = self.position
        oldest = min(int(upto.partition("-")[0]), int((self._nodes.clock() - KEEP) * 1000))
        keys = [self._stream, self._snapshot, self._upto]
        await self._store.run(_SNAPSHOT, keys, [encoded(self.replica.facts), upto, oldest])
        self._stored_upto = upto

    def _is_first(self) -> bool:
        """Whether it is this node that stores snapshots."""
        return min(node.run for node in self._nodes.here) == self._nodes.own.run

    def _reloaded(self) -> None:
        self.replica.attach()
        if self._switches is not None:
            self._outbox += self._switches.changes(self._nodes.clock())
        self._switched.set()

    def _take(self) -> None:
        """Make facts of what has changed in the pool."""
        self._outbox += self.replica.changes(time.monotonic())

    def _receive(self, facts: tuple[Fact, ...]) -> None:
        """Learn facts. They may be this node's own."""
        self._take()
        if self._outbox:
            self._changed.set()
        self.replica.receive(facts, time.monotonic())
        if any(fact.kind in ("on", "off") for fact in facts):
            self._switched.set()

    async def _append(self, facts: Iterable[Fact]) -> None:
        waiting = list(facts)
        for at in range(0, len(waiting), _AT_ONCE):
            await self._store.append(self._stream, encoded(waiting[at : at + _AT_ONCE]))

    async def _read_all(self) -> tuple[Fact, ...]:
        """All facts in the store: the snapshot, and what was appended after it."""
        while True:
            content, upto = await self._store.command("MGET", self._snapshot, self._upto)
            found = list(decoded(content or b""))
            last = (upto or b"0-0").decode()
            while entries := await self._store.read(self._stream, last):
                last = entries[-1][0]
                for _, entry in entries:
                    found += decoded(entry)
            # A snapshot stored meanwhile may hold what was trimmed before it was read here.
            if await self._store.get(self._upto) == upto:
                self.position = last
                return tuple(found)
