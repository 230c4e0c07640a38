"""Background tasks. The event loop keeps only weak references to tasks, so they are referenced here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

_running: set[asyncio.Task[Any]] = set()
_log = logging.getLogger("bm")
troubled: dict[str, str] = {}
"""Why a loop in the background has failed, by its name; shown by `bm status` until the daemon ends."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a failed loop starts again."""


def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Run `work` as a task. An exception is logged under `name`."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_done)
    return task


def keep_running(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> asyncio.Task[None]:
    """Run a loop as a task, and start it again when it fails. `troubled` holds the last reason of each."""
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


def failures() -> list[str]:
    """Loops that have failed since the start, as sentences."""
    return [f"{name} failed and was started again: {why}" for name, why in troubled.items()]


async def _keep(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    pause = _FIRST_PAUSE
    while True:
        task = spawn(work(), name)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        troubled[name] = f"{type(error).__name__}: {error}"
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _done(task: asyncio.Task[None]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("%s failed", task.get_name(), exc_info=error)
