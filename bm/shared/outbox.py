"""What this node tells the store, in order and without keeping anybody waiting.

Whatever was put while a batch is under way goes out with the next one. While the store is away everything waits, within
a bound: beyond it the oldest goes, which costs a little of what other nodes would have known.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from bm.shared.client import LIMIT
from bm.shared.store import Command, Store, StoreAway

MOST = 20_000
MOST_BYTES = 16 * 1024 * 1024
"""Commands that wait, and their bytes."""
BATCH = 500
BATCH_BYTES = 1024 * 1024
"""Commands that are sent together, and their bytes: the store must take them within its limit."""
GATHER = 0.025
"""Seconds for which commands that are not urgent are gathered: a batch costs about as much as one command."""
SETTLE = 0.25
"""Seconds that a response waits at most for what other nodes will need."""

Answered: TypeAlias = Callable[[Any], None]


class _Entry(NamedTuple):
    command: Command | Callable[[], Command | None]
    answered: Answered | None
    size: int


class Outbox:
    """Commands on their way to the store. A function makes its command when it is sent: None for nothing any more.

    `dropped` counts the commands that went because too much waited.
    """

    def __init__(self, store: Store, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._store, self._most, self._most_bytes = store, most, most_bytes
        self._waiting: deque[_Entry] = deque()
        self._filled = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._put = self._sent = self._bytes = self.dropped = 0
        self._settling: list[tuple[int, asyncio.Future[None]]] = []

    def put(
        self,
        command: Command | Callable[[], Command | None],
        answered: Answered | None = None,
        *,
        urgent: bool = False,
    ) -> int:
        """Send a command. `answered` is called with the store's answer. Gives the command's number, for `settled`."""
        entry = _Entry(command, answered, _size(command) if isinstance(command, tuple) else 0)
        self._waiting.append(entry)
        self._bytes += entry.size
        self._put += 1
        while (len(self._waiting) > self._most or self._bytes > self._most_bytes) and self._drops_one():
            self.dropped += 1
        if urgent:
            self._filled.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._filled.set)
        return self._put

    def _drops_one(self) -> bool:
        """Drop the oldest command; false if there is none. A function stays: it is put once, and what it will tell is
        counted elsewhere until it is asked."""
        for _ in range(len(self._waiting)):
            entry = self._waiting.popleft()
            if isinstance(entry.command, tuple):
                self._bytes -= entry.size
                self._sent += 1
                return True
            self._waiting.append(entry)
        return False

    @property
    def waiting(self) -> int:
        """Commands that the store has not answered yet."""
        return self._put - self._sent

    async def settled(self, number: int) -> None:
        """Return once the store has answered the command, or after a short time; at once while it is away."""
        if self._sent >= number or self._store.is_away:
            return
        self._filled.set()
        future = asyncio.get_running_loop().create_future()
        self._settling.append((number, future))
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                await future

    async def keep_sending(self) -> None:
        """Send what is put, until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            await self._send()

    async def flush(self) -> None:
        """Send what waits, because this node ends; not for longer than the store may take for an answer."""
        if self._store.is_away:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LIMIT):
                await self._send()

    async def _send(self) -> None:
        while self._waiting:
            batch = self._take()
            await self._deliver(batch)
            self._sent += len(batch)
            self._release()

    def _take(self) -> list[_Entry]:
        """The oldest commands: at least one, and not too much at once."""
        batch, size = [self._waiting.popleft()], 0
        while self._waiting and len(batch) < BATCH and (size := size + batch[-1].size) < BATCH_BYTES:
            batch.append(self._waiting.popleft())
        self._bytes -= sum(entry.size for entry in batch)
        return batch

    async def _deliver(self, batch: list[_Entry]) -> None:
        """Send commands until the store has answered. One that it refuses is dropped, as it would refuse it again."""
        made = [(each.command if isinstance(each.command, tuple) else each.command(), each.answered) for each in batch]
        sent = [(command, answered) for command, answered in made if command is not None]
        if not sent:
            return
        while True:
            try:
                answers = await self._store.batch([command for command, _ in sent])
                break
            except StoreAway:
                self._release()
                await self._store.until_here()
        for (_, answered), answer in zip(sent, answers, strict=True):
            if answered is not None and not isinstance(answer, Exception):
                answered(answer)

    def _release(self) -> None:
        """Wake those whose commands have been sent; all of them while the store is away."""
        settling, self._settling = self._settling, []
        for number, future in settling:
            if number > self._sent and not self._store.is_away:
                self._settling.append((number, future))
            elif not future.done():
                future.set_result(None)


def _size(words: Command) -> int:
    return sum(len(word) if isinstance(word, bytes | str) else 8 for word in words)
