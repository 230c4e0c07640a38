"""Work in the background: it is kept until it ends, and what fails is logged, shown, and started again if it is a loop.

The event loop keeps only weak references to tasks, so they are referenced here.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

Result = TypeVar("Result")
_running: set[asyncio.Task[Any]] = set()
_log = logging.getLogger("bm")
_troubles: dict[str, str] = {}
"""What has failed in the background, by its name; shown by `bm status` until the daemon ends."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a failed loop starts again."""


def spawn(work: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
    """Run `work` as a task. An exception is reported under `name`."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_done)
    return task


def keep_running(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> asyncio.Task[None]:
    """Run a loop as a task, and start it again when it fails."""
    return spawn(_keep(work, name), name)


class Work:
    """Loops that run together, by their names."""

    def __init__(self, loops: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]) -> None:
        self._loops = loops
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Run the loops until `stop`."""
        self._tasks = [keep_running(loop, name) for name, loop in self._loops.items()]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


class WakeUp:
    """Wakes a loop at the earliest of the times that were set."""

    def __init__(self) -> None:
        self._rings = asyncio.Event()
        self._timer: asyncio.Handle | None = None
        self._due = math.inf

    def set(self, due: float = -math.inf) -> None:
        """Wake the loop at a time by the event loop's clock; at once if that has passed."""
        if self._rings.is_set() or due >= self._due:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        if due <= loop.time():
            self._rings.set()
        else:
            self._timer, self._due = loop.call_at(due, self._rings.set), due

    def reset(self) -> None:
        """What was set until now is seen to."""
        self._rings.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = None, math.inf

    async def wait(self) -> None:
        """Return when the time has come."""
        await self._rings.wait()


def report(name: str, error: BaseException, consequence: str = "") -> None:
    """Log that some work has failed, with the place, and remember it for `failures`. May be called in a thread."""
    _log.error("%s failed%s", name, consequence, exc_info=error)
    _troubles[name] = f"{name} failed{consequence}: {type(error).__name__}: {error}"


def note(name: str, words: str) -> None:
    """Show a sentence in `failures`, or no longer if it is empty."""
    if words:
        _troubles[name] = words
    else:
        _troubles.pop(name, None)


def failures() -> list[str]:
    """What has failed since the start, and what is noted, as sentences."""
    return list(_troubles.values())


async def _keep(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    pause = _FIRST_PAUSE
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the edge of all loops
            report(name, error, " and was started again")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return


def _done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        report(task.get_name(), error)
