"""The event loop of bm's processes."""

from __future__ import annotations

import asyncio
import sys


def runner() -> asyncio.Runner:
    """Runs a coroutine on the fastest loop there is: uvloop, which Windows does not have."""
    if sys.platform == "win32":
        return asyncio.Runner()
    import uvloop

    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
