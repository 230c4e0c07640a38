"""What nodes tell all others: a stream of the store with the latest news, which every node reads as it comes.

A node that starts, or returns after it was cut off, reads what it has missed, as far as the stream goes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

import msgspec

from bm.shared.client import Command
from bm.shared.store import PAGE, Store, StoreAway

PAUSE: Final = 0.02
"""Seconds for which news gather that are not urgent: a read costs about as much as one piece."""

LENGTH: Final = 20_000
"""News that the stream holds, about."""

TELL: Final = f"""
local function tell(stream, node, kind, subject, value)
  local item = cjson.encode({{node, kind, subject, value}})
  return redis.call('XADD', stream, 'MAXLEN', '~', {LENGTH}, '*', 'v', item)
end
"""
"""The beginning of a script that tells all other nodes in the same step. The result is the id of the news."""

Id: TypeAlias = tuple[int, int]


class Item(msgspec.Struct, frozen=True):
    """One piece of news about a `subject`, `age` seconds old. Later ones have greater ids."""

    id: Id
    subject: str
    value: str
    age: float


class News:
    """Reads the stream, and hands each piece to whom it concerns. Its own are passed over.

    `clock` gives the Unix time by the store's clock, which names the entries.
    """

    def __init__(self, store: Store, node: str, clock: Callable[[], float]) -> None:
        self._store, self.node, self._clock = store, node, clock
        self.key = store.key("news")
        self._last = "0-0"
        self._own = msgspec.json.encode([node])[:-1] + b","
        self._readers: dict[str, Callable[[Item], None]] = {}
        self._hurries = False

    def on(self, kind: str, read: Callable[[Item], None]) -> None:
        """Hand news of a kind to `read`."""
        self._readers[kind] = read

    def words(self, kind: str, subject: str, value: str) -> Command:
        """The command that tells all other nodes."""
        item = msgspec.json.encode((self.node, kind, subject, value))
        return ("XADD", self.key, "MAXLEN", "~", LENGTH, "*", "v", item)

    def hurry(self) -> None:
        """What is being read is urgent, so more of it may be."""
        self._hurries = True

    async def keep_reading(self) -> None:
        """Read news as they come, until cancelled."""
        while True:
            await self._store.until_here()
            with suppress(StoreAway):
                await self._read()

    async def _read(self) -> None:
        """Read a page, and wait for news if there are none yet."""
        self._hurries = False
        found = await self._store.follow(self.key, self._last)
        for name, item in found:
            self._last = name
            if item.startswith(self._own):
                continue
            _, kind, subject, value = _decode(item)
            if read := self._readers.get(kind):
                id = id_of(name)
                read(Item(id, subject, value, max(0.0, self._clock() - id[0] / 1000)))
        if found and len(found) < PAGE and not self._hurries:
            await asyncio.sleep(PAUSE)


def id_of(text: str) -> Id:
    """The place of an entry in the stream: milliseconds, and a number within them."""
    milliseconds, _, number = text.partition("-")
    return int(milliseconds), int(number)


_decode = msgspec.json.Decoder(tuple[str, str, str, str]).decode
