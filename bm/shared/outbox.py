"""What this node tells the store, in order and without keeping anybody waiting.

Whatever was put while a batch is under way goes out with the next one. While the store is away everything waits, within
a bound: beyond it the oldest goes, which costs a little of what other nodes would have known.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from bm.shared.store import Command, Store, StoreAway

MOST = 20_000
"""Commands that wait."""
BATCH = 500
GATHER = 0.025
"""Seconds for which commands that are not urgent are gathered: a batch costs about as much as one command."""
SETTLE = 0.25
"""Seconds that a response waits at most for what other nodes will need."""

Answered: TypeAlias = Callable[[Any], None]
Entry: TypeAlias = tuple[Command | Callable[[], Command | None], Answered | None]


class Outbox:
    """Commands on their way to the store. A function makes its command when it is sent: None for nothing any more."""

    def __init__(self, store: Store, most: int = MOST) -> None:
        self._store = store
        self._waiting: deque[Entry] = deque(maxlen=most)
        self._filled = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._put = self._sent = 0
        self._settling: list[tuple[int, asyncio.Future[None]]] = []

    def put(
        self,
        command: Command | Callable[[], Command | None],
        answered: Answered | None = None,
        *,
        urgent: bool = False,
    ) -> int:
        """Send a command. `answered` is called with the store's answer. Gives the command's number, for `settled`."""
        if len(self._waiting) == self._waiting.maxlen:
            self._sent += 1
        self._waiting.append((command, answered))
        self._put += 1
        if urgent:
            self._filled.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._filled.set)
        return self._put

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
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                await self._deliver(batch)
                self._sent += len(batch)
                self._release()

    async def _deliver(self, batch: list[Entry]) -> None:
        """Send commands until the store has answered. One that it refuses is dropped, as it would refuse it again."""
        made = [(command if isinstance(command, tuple) else command(), answered) for command, answered in batch]
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
