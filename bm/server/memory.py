"""The daemon's memory: what lives as long as the daemon is not collected, and what was freed goes back to the system.

A hundred large answers at once are freed within a second, but the C library keeps the pages: a few small objects that
were allocated between them hold the heap at its largest size. glibc returns such pages only on request
(malloc_trim(3), 2026-11). Other C libraries return them by themselves or not at all.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import mmap
import sys
from collections.abc import Callable
from pathlib import Path

SETTLED_AFTER = 2.0
"""Seconds after the start until what exists is there to stay."""
LOOK_EVERY = 1.0
"""Seconds."""
GROWN = 4 * 1024 * 1024
"""Bytes by which the process has grown when freed memory is returned. For 175 MB that takes 24 ms, in a thread; for
little, one."""
_GC_THRESHOLD = 10_000
"""Allocations between garbage collections of the youngest generation. A few concurrent requests hold more objects than
the default of 700, so collections would be frequent and find nothing."""
_STATM = Path("/proc/self/statm")
_PAGE = mmap.PAGESIZE


async def watch() -> None:
    """Leave what exists after the start out of garbage collection, and return freed memory when it grows."""
    await asyncio.sleep(SETTLED_AFTER)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    trim, least = _trim(), 0
    while trim is not None:
        size = _resident()
        if size > least + GROWN:
            await asyncio.to_thread(trim, 0)
            least = _resident()
        else:
            least = min(least, size)
        await asyncio.sleep(LOOK_EVERY)


def _resident() -> int:
    """The memory of this process, in bytes (proc_pid_statm(5))."""
    return int(_STATM.read_bytes().split()[1]) * _PAGE


def _trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim(pad); None with another C library."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    found: Callable[[int], int] | None = getattr(library, "malloc_trim", None)
    return found
