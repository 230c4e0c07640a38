"""The daemon's memory: what lives as long as the daemon is not collected, and what was freed goes back to the system.

A hundred large answers at once are freed within a second, but the C library keeps the pages: a few small objects that
were allocated between them hold the heap at its largest size. glibc returns such pages only on request
(malloc_trim(3), 2026-11). Other C libraries return them by themselves or not at all.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable

SETTLED_AFTER = 2.0
"""Seconds after the start until what exists is there to stay."""
TRIM_EVERY = 10.0
"""Seconds. To look through a heap of which 175 MB are free takes some milliseconds, in a thread."""
_GC_THRESHOLD = 10_000
"""Allocations between garbage collections of the youngest generation. A few concurrent requests hold more objects than
the default of 700, so collections would be frequent and find nothing."""


async def watch() -> None:
    """Leave what exists after the start out of garbage collection, and return freed memory from time to time."""
    await asyncio.sleep(SETTLED_AFTER)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    trim = _trim()
    while trim is not None:
        await asyncio.sleep(TRIM_EVERY)
        await asyncio.to_thread(trim, 0)


def _trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim(pad); None with another C library."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    found: Callable[[int], int] | None = getattr(library, "malloc_trim", None)
    return found
