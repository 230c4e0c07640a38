"""Memory that was freed goes back to the system."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import psutil
import pytest

from bm.server import memory

BURST, SIZE = 1000, 64 * 1024
"""Answers at once, and the bytes of each."""
PATIENCE, PAUSE = 30.0, 0.01


@pytest.mark.skipif(sys.platform != "linux" or not memory._trim(), reason="the C library is not glibc")
def test_a_burst_whose_rest_lies_between_small_objects_leaves_the_process() -> None:
    """In a process of its own, whose heap holds nothing else."""
    code = "import asyncio; from tests.server.test_memory import burst; print(asyncio.run(burst()))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=2 * PATIENCE)
    assert (ran.stdout, ran.stderr) == ("True\n", "")


async def burst() -> bool:
    """Whether most of what is allocated at once, and freed, is the system's again."""
    memory.SETTLED_AFTER, memory.LOOK_EVERY = 0.0, PAUSE
    answers, small = [], []
    for _ in range(BURST):
        answers.append(bytearray(SIZE))
        small.append(bytearray(1000))
    answers.clear()
    before, freed = _resident(), 0
    watching = asyncio.ensure_future(memory.watch())
    for _ in range(round(PATIENCE / PAUSE)):
        await asyncio.sleep(PAUSE)
        freed = before - _resident()
        if freed > BURST * SIZE / 2:
            break
    watching.cancel()
    return len(small) == BURST and freed > BURST * SIZE / 2


def _resident() -> int:
    size: int = psutil.Process().memory_info().rss
    return size
