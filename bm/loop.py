"""The event loop of bm's processes."""

from __future__ import annotations

import asyncio
import os
import sys

THREADS = "16"
"""Threads of uvloop. Half of them may look up names; one whose server is silent takes a thread for half a minute."""


def runner() -> asyncio.Runner:
    """Runs a coroutine on the fastest loop there is: uvloop, which Windows does not have."""
    if sys.platform == "win32":
        return asyncio.Runner()
    import uvloop

    os.environ.setdefault("UV_THREADPOOL_SIZE", THREADS)  # libuv reads it when it first needs a thread
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
