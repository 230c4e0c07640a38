"""Waiting for what another task, thread or process does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SHORT = 5.0
LONG = 20.0
"""Seconds for what starts a process or a server on a busy machine."""


def soon(holds: Callable[[], object], seconds: float = SHORT) -> bool:
    """Whether a condition is met in time."""
    limit = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < limit:
        time.sleep(0.01)
    return bool(held)


async def until(holds: Callable[[], object], seconds: float = SHORT) -> None:
    """Let the event loop run until a condition is met."""
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, "it has not come to that"
        await asyncio.sleep(0.002)
