"""Memory that was freed goes back to the system."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator

import psutil
import pytest

from bm.server import memory
from bm.server.memory import watch

BURST, SIZE = 1000, 64 * 1024
"""Answers at once, and the bytes of each."""


@pytest.fixture(autouse=True)
def collection() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.skipif(sys.platform != "linux" or not memory._trim(), reason="the C library is not glibc")
async def test_a_burst_whose_rest_lies_between_small_objects_leaves_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "SETTLED_AFTER", 0.0)
    monkeypatch.setattr(memory, "TRIM_EVERY", 0.01)
    answers, small = [], []
    for _ in range(BURST):
        answers.append(bytearray(SIZE))
        small.append(bytearray(1000))
    answers.clear()
    before = _resident()
    watching = asyncio.ensure_future(watch())
    for _ in range(200):
        await asyncio.sleep(0.01)
        if before - _resident() > BURST * SIZE / 2:
            break
    watching.cancel()
    assert before - _resident() > BURST * SIZE / 2
    assert len(small) == BURST


def _resident() -> int:
    size: int = psutil.Process().memory_info().rss
    return size
