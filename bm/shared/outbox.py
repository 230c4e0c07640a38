"""What this node tells the store, in order and without keeping anybody waiting.

A batch costs about as much as one command, so commands gather as long as they may. While the store is away everything
waits, within a bound: beyond it the oldest goes, which costs a little of what other nodes would have known.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, NamedTuple, TypeAlias

from bm.shared.client import LIMIT, Command
from bm.shared.store import Store, StoreAway
from bm.tasks import WakeUp

MOST = 20_000
MOST_BYTES = 16 * 1024 * 1024
"""Commands that wait, and their bytes."""
BATCH = 500
BATCH_BYTES = 1024 * 1024
"""Commands that are sent together, and their bytes: the store must take them within its limit."""
GATHER = 0.1
"""Seconds for which commands are gathered that no request waits for: a batch costs about as much as one command."""
SOON = 0.005
"""Seconds between two batches that are to go out soon."""
SETTLE = 0.25
"""Seconds that a response waits at most for what other nodes will need."""

Answered: TypeAlias = Callable[[Any], None]
Urgency = Literal["now", "soon", "later"]
"""When a command goes out: at once, together with those of some milliseconds, or when many have gathered."""


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
        self._wake = WakeUp()
        self._sent_at = -math.inf
        self._put = self._sent = self._bytes = self.dropped = 0
        self._settling: list[tuple[int, asyncio.Future[None]]] = []

    def put(
        self,
        command: Command | Callable[[], Command | None],
        answered: Answered | None = None,
        *,
        urgency: Urgency = "later",
    ) -> int:
        """Send a command. `answered` is called with the store's answer. Gives the command's number, for `settled`."""
        entry = _Entry(command, answered, _size(command) if isinstance(command, tuple) else 0)
        self._waiting.append(entry)
        self._bytes += entry.size
        self._put += 1
        while (len(self._waiting) > self._most or self._bytes > self._most_bytes) and self._drops_one():
            self.dropped += 1
        self._hurry(urgency)
        return self._put

    def _hurry(self, urgency: Urgency) -> None:
        """Have the next batch go out by then."""
        now = asyncio.get_running_loop().time()
        self._wake.set(now if urgency == "now" else self._sent_at + SOON if urgency == "soon" else now + GATHER)

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
        self._hurry("soon")
        future = asyncio.get_running_loop().create_future()
        self._settling.append((number, future))
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                await future

    async def keep_sending(self) -> None:
        """Send what is put, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.reset()
            self._sent_at = asyncio.get_running_loop().time()
            await self._send()

    async def flush(self) -> None:
        """Send what waits, because this node ends; not for longer than the store may take for an answer."""
        if self._store.is_away:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LIMIT):
                await self._send()

    async def _send(self) -> None:
        """Send what waits now. What is put meanwhile goes when its own time has come."""
        upto = self._put
        while self._waiting and self._sent < upto:
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
