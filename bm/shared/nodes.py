"""The nodes of a team: each tells the store that it is there, and learns of the others and of their clocks.

A node is one run of a daemon. During a restart there are two of one name for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from bm.errors import UNREADABLE
from bm.shared.store import Script, Store, StoreAway
from bm.tasks import note

BEAT: Final = 2.0
"""Seconds between two signs of life."""

LAPSE: Final = 10.0
"""Seconds after which a node that gives no sign of life counts as gone."""

FORGET: Final = 3600.0
"""Seconds after which it is no longer listed."""

SKEW: Final = 2.0
"""Seconds that the clocks of two nodes may differ: budgets and days would begin at different times."""

_SCRIPT: Final = Script("""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.3f ', now) .. ARGV[2])
local found = redis.call('HGETALL', KEYS[1])
for at = 2, #found, 2 do
  local seen = tonumber(string.match(found[at], '^%S+'))
  if not seen or seen < now - tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], found[at - 1]) end
end
return {string.format('%.3f', now), redis.call('EXISTS', KEYS[2]), found}
""")

_CLOCKS: Final = "the clocks of the nodes"
_NAMES: Final = "the names of the nodes"
_log = logging.getLogger("bm")


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is doing: requests that are running, those since its start, and how many of them have failed."""

    active: int = 0
    total: int = 0
    failed: int = 0


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node as it describes itself. `run` differs between two runs; `home` tells two daemons of one name apart.

    `since` is the Unix time of its start. `ahead` is how many seconds its clock is ahead of the store's.
    """

    name: str
    run: str
    version: str
    url: str
    home: str
    since: float
    ahead: float = 0.0
    load: Load = Load()


class Seen(msgspec.Struct, frozen=True):
    """A node, and how many seconds ago it gave its last sign of life."""

    node: Node
    ago: float

    @property
    def is_gone(self) -> bool:
        """Whether it counts as gone."""
        return self.ago > LAPSE


class Nodes:
    """The nodes in the store, as this one, `own`, sees them. What was seen last stays while the store is away."""

    def __init__(self, store: Store, own: Node, load: Callable[[], Load] = Load) -> None:
        self._store, self.own, self._load = store, own, load
        self._seen: tuple[Seen, ...] = ()
        self._said: dict[str, str] = {}

    @property
    def seen(self) -> tuple[Seen, ...]:
        """All nodes that were there within the last hour, by their names, this one included."""
        return self._seen

    @property
    def here(self) -> tuple[Node, ...]:
        """The nodes that are there."""
        return tuple(each.node for each in self._seen if not each.is_gone)

    def count(self) -> int:
        """How many nodes are there, this one included."""
        return max(1, len(self.here))

    def clock(self) -> float:
        """The Unix time by the store's clock, which all nodes share."""
        return time.time() - self.own.ahead

    async def keep_telling(self) -> None:
        """Give signs of life until cancelled."""
        while True:
            with contextlib.suppress(StoreAway):
                await self.tell()
            await asyncio.sleep(BEAT)

    async def tell(self) -> None:
        """Give a sign of life, and look at the others.

        Raises:
            StoreAway: the store cannot be asked now.
        """
        self.own = msgspec.structs.replace(self.own, load=self._load())
        before = time.time()
        keys = [self._store.key("nodes"), self._store.key("format")]
        described = msgspec.json.encode(self.own)
        clock, formatted, found = await self._store.run(_SCRIPT, keys, (self.own.run, described, FORGET))
        after, now = time.time(), float(clock)
        # The store has looked at its clock in between. What the way may have added is no difference of clocks.
        self.own = msgspec.structs.replace(self.own, ahead=round(min(max(now, before), after) - now, 3))
        self._seen = tuple(sorted(_read(found, now, self.own), key=lambda each: (each.node.name, each.node.since)))
        self._tell(_CLOCKS, _said_of_clocks(self.here))
        self._tell(_NAMES, _said_of_names(self.here, self.own))
        if not formatted:
            self._store.leave("the store has lost what was in it", "it is filled again")

    def _tell(self, name: str, words: str) -> None:
        """Say something once, and in `bm status` as long as it holds."""
        if words and not self._said.get(name):
            _log.warning("%s", words)
        self._said[name] = words
        note(name, words)

    async def leave(self) -> None:
        """This node ends."""
        try:
            await self._store.command("HDEL", self._store.key("nodes"), self.own.run)
        except StoreAway:
            return


def _read(found: list[bytes], now: float, own: Node) -> Iterable[Seen]:
    """The nodes of the store's table of runs. One that a newer bm has written in another way is passed over."""
    yield Seen(own, 0.0)
    for run, row in zip(found[::2], found[1::2], strict=True):
        seen, _, described = row.partition(b" ")
        try:
            node = msgspec.json.decode(described, type=Node)
        except UNREADABLE:
            continue
        if run.decode() != own.run:
            yield Seen(node, max(0.0, now - float(seen)))


def _said_of_clocks(nodes: tuple[Node, ...]) -> str:
    """That the clocks of two nodes differ; empty if they do not."""
    first, last = min(nodes, key=lambda each: each.ahead), max(nodes, key=lambda each: each.ahead)
    apart = last.ahead - first.ahead
    if apart <= SKEW:
        return ""
    return f"the clock of node {last.name} is {apart:.0f} s ahead of that of {first.name}: set both (NTP)"


def _said_of_names(nodes: tuple[Node, ...], own: Node) -> str:
    """That another daemon has this node's name. The one that takes over from this one has its home too."""
    other = next((each for each in nodes if each.name == own.name and each.home != own.home), None)
    if other is None:
        return ""
    return f"two nodes are called {own.name}, here and at {other.url}: name one of them with shared.node"
