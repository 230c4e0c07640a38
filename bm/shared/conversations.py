"""What any node needs to go on with a conversation: signatures, responses and interactions, as values that expire.

A node looks here only for what its own stores lack, and for a short time at most, because a request may be waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from bm.gateway.stores import Kind
from bm.shared.news import News
from bm.shared.outbox import Outbox
from bm.shared.store import Store, StoreAway, digest, milliseconds

KEEP = 24 * 3600.0
"""Seconds after which a value expires."""
LARGEST = 8 * 1024 * 1024
"""Bytes of the largest value: a larger one stays with the node that has it."""
WAIT = 0.15
"""Seconds in which the store must answer."""


class Conversations:
    """The store's part of the stores of one node (`bm.gateway.stores.Elsewhere`). `forget` drops a value from them."""

    def __init__(self, store: Store, outbox: Outbox, news: News, forget: Callable[[str, str], None]) -> None:
        self._store, self._outbox, self._news = store, outbox, news
        self._latest = 0
        news.on("drop", lambda item: forget(item.value, item.subject))

    def put(self, kind: Kind, name: str, value: bytes) -> None:
        """Store a value for all nodes, without waiting."""
        if len(value) <= LARGEST:
            self._latest = self._outbox.put(("SET", self._key(kind, name), value, "PX", milliseconds(KEEP)))

    def drop(self, kind: Kind, name: str) -> None:
        """Store a value no longer, on any node."""
        self._outbox.put(("DEL", self._key(kind, name)))
        self._latest = self._outbox.put(self._news.words("drop", name, kind))

    async def find(self, kind: Kind, names: Sequence[str]) -> Mapping[str, bytes] | None:
        """Those of the values that are stored; None if there is no answer within a short time."""
        try:
            async with asyncio.timeout(WAIT):
                values = await self._store.batch([("GET", self._key(kind, name)) for name in names])
        except (StoreAway, TimeoutError):
            return None
        return {name: value for name, value in zip(names, values, strict=True) if isinstance(value, bytes)}

    async def settled(self) -> None:
        """Return once all nodes find what was put, or after a short time."""
        await self._outbox.settled(self._latest)

    def _key(self, kind: Kind, name: str) -> str:
        return self._store.key(kind, digest(name))
