"""Runs an attempt, and others beside it while it is silent: the first that has something for the client wins.

Nowhere else do calls of one exchange run at the same time. Each has a task of its own, and none outlives the race,
whatever ends that: an answer, a client that hangs up, or the daemon's stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from bm.accounts.pool import Lease
from bm.dispatch.failover import Attempt
from bm.dispatch.outcome import Outcome
from bm.gateway.record import AttemptRecord
from bm.gateway.reply import KeepAlive
from bm.protocols.passthrough import Watch

MAX_AT_ONCE = 3
"""Attempts at the same time. A third is made only when two are silent, such as two accounts of a service that is down.
"""

SILENT_BEFORE = 0.1
"""The part of the usual time after which another target is asked beside one that was silent the last time: a service
that is down costs every request little, and the first one after its recovery finds it."""

_NEVER = float("inf")


class Running:
    """An attempt under way: its record, its use of an account (`lease`), and what its response says so far (`watch`).

    When it has been silent for `hedge` seconds, another target may be asked beside it; never if that is 0. `began` is
    when it was sent and `heard` when its upstream last gave a sign of life, in the event loop's time; until it is sent
    both are when that is expected. What is not `sent` costs nothing.
    """

    lease: Lease

    def __init__(self, attempt: Attempt, hedge: float = 0.0) -> None:
        self.attempt = attempt
        self.entry = AttemptRecord(target=attempt.target, reason=attempt.reason, wait=attempt.wait)
        self.watch: Watch | None = None
        self.sent = False
        self._hedge = hedge or _NEVER
        self._now = asyncio.get_running_loop().time
        self.began = self.heard = self._now() + attempt.wait
        self.claims: Callable[[Running], None] = lambda running: None

    def send(self) -> None:
        """The request is being sent."""
        self.sent = True
        self.began = self.heard = self._now()

    def hear(self) -> None:
        """The upstream has given a sign of life: the head of a stream or one of its events."""
        self.heard = self._now()

    def claim(self) -> None:
        """Its response goes to the client from now on: all other attempts are cancelled."""
        self.claims(self)

    @property
    def is_silent(self) -> bool:
        """Whether the upstream has given no sign of life."""
        return self.heard == self.began

    @property
    def silent_at(self) -> float:
        """When it will have been silent for long enough to ask another target."""
        return self.heard + self._hedge


class Race:
    """The attempts of one exchange that are under way. `closed` means that no further target can be asked.

    `write` sends the client a keep-alive.

    async with Race(run, keep_alive, write) as race:
        race.begin(running)
        while race.under_way:
            ended = await race.next()
    """

    def __init__(
        self,
        run: Callable[[Running], Coroutine[Any, Any, Outcome]],
        keep_alive: KeepAlive,
        write: Callable[[], Awaitable[None]],
    ) -> None:
        self._run, self._keep_alive, self._write = run, keep_alive, write
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self._waiter: asyncio.Future[None] | None = None
        self._tasks: dict[asyncio.Task[Outcome], Running] = {}
        self._winner: Running | None = None
        self.closed = False

    async def __aenter__(self) -> Race:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel what is still under way, and wait until it has ended."""
        # With this, nothing of a request is left for the garbage collector.
        self._winner = None
        if not self._tasks:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for task in self._tasks:
            if not task.cancelled():
                # Whatever it raised on its way out, the race has ended for another reason.
                task.exception()

    @property
    def under_way(self) -> bool:
        """Whether an attempt has not ended yet."""
        return bool(self._tasks)

    def begin(self, running: Running) -> None:
        """Make an attempt."""
        running.claims = self._decide
        self._keep_alive.expect(running.began)
        task = self._loop.create_task(self._run(running))
        task.add_done_callback(self._wake)
        self._tasks[task] = running

    def _wake(self, _: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _pause(self, seconds: float | None) -> None:
        """Wait until an attempt ends, for so many seconds at most. Costs a third of `asyncio.wait`."""
        self._waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _decide(self, winner: Running) -> None:
        self._winner = winner
        for task, running in self._tasks.items():
            if running is not winner:
                task.cancel()

    async def next(self) -> tuple[Running, Outcome | None] | None:
        """What happens next: an attempt has ended; or, None, all of them are silent and another may be made.

        The outcome is None if the attempt was cancelled because another has won. Meanwhile the client receives
        keep-alives, until there is a response for it.
        """
        while True:
            for task, running in self._tasks.items():
                if task.done():
                    del self._tasks[task]
                    lost = self._winner not in (None, running)
                    return running, None if task.cancelled() or (lost and task.exception()) else task.result()
            now, silent_at, due = self._now(), self._silent_at(), self._keep_alive.due
            if self._winner is not None:
                await self._pause(None)
            elif silent_at <= now:
                return None
            elif due <= now:
                self._keep_alive.sent()
                await self._write()
            else:
                soonest = min(silent_at, due)
                await self._pause(soonest - now if soonest < _NEVER else None)

    def _silent_at(self) -> float:
        if self.closed or len(self._tasks) >= MAX_AT_ONCE:
            return _NEVER
        return max(running.silent_at for running in self._tasks.values())
