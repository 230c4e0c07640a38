"""A limit for many waits in a row: one timer for all of them, which is only set anew when it rings too early.

`asyncio.timeout` makes and cancels a timer for each wait, which for a stream of small pieces costs as much as passing
them on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


class Alarm:
    """Limits what the present task waits for. `close` it in the end. Times are the event loop's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._set_for = self._due = float("inf")
        self._waiting: asyncio.Task[object] | None = None
        self._rang = False

    async def until(self, due: float, work: Awaitable[Result]) -> Result:
        """Await `work`, but not beyond `due`.

        Raises:
            TimeoutError: it took longer, and was cancelled.
        """
        task = asyncio.current_task()
        assert task is not None
        self._due, self._waiting, self._rang = due, task, False
        if due < self._set_for:
            self._set(due)
        cancelled_before = task.cancelling()
        try:
            return await work
        except asyncio.CancelledError:
            if self._rang and task.uncancel() <= cancelled_before:
                raise TimeoutError from None
            raise
        finally:
            self._waiting = None

    def _set(self, due: float) -> None:
        self.close()
        if due < float("inf"):
            self._timer, self._set_for = self._loop.call_at(due, self._ring), due

    def _ring(self) -> None:
        self._timer, self._set_for = None, float("inf")
        if self._waiting is None:
            return
        if self._loop.time() < self._due:
            self._set(self._due)
            return
        self._rang = True
        self._waiting.cancel()

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._set_for = None, float("inf")
