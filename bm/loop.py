"""The event loop of bm's processes."""

from __future__ import annotations

import asyncio
import os
import sys

THREADS = "16"
"""Threads of uvloop. Half of them may look up names; one whose server is silent takes a thread for half a minute."""
SWITCH = 0.0005
"""Seconds for which the event loop waits at most for a thread that computes, the ledger's for example. With Python's
5 ms one request in a hundred took twice as long; the CPU a request is the same."""


def runner() -> asyncio.Runner:
    """Runs a coroutine on the fastest loop there is: uvloop, which Windows does not have."""
    sys.setswitchinterval(SWITCH)
    if sys.platform == "win32":
        return asyncio.Runner()
    import uvloop

    os.environ.setdefault("UV_THREADPOOL_SIZE", THREADS)  # libuv reads it when it first needs a thread
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
