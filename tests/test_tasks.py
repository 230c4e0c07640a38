"""Background tasks are kept until they end, and their exceptions are logged."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from contextlib import suppress

import pytest

from bm import tasks
from bm.loop import runner
from bm.tasks import WakeUp, spawn


async def test_a_task_without_references_runs_to_its_end() -> None:
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.set()

    spawn(work(), "work")
    gc.collect()
    await asyncio.wait_for(done.wait(), 2)


async def test_an_exception_of_a_task_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR, "bm"):
        task = spawn(work(), "the work")
        await asyncio.wait([task])
        await asyncio.sleep(0)
    (record,) = caplog.records
    assert record.getMessage() == "the work failed" and record.exc_info is not None


async def test_a_cancelled_task_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    task = spawn(asyncio.Event().wait(), "the wait")
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert caplog.records == []


async def test_a_loop_that_fails_starts_again_and_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_FIRST_PAUSE", 0.001)
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError("odd")

    await tasks.keep_running(work, "the work")
    assert runs == 3
    assert tasks.failures() == ["the work failed and was started again: ValueError: odd"]


async def test_a_loop_ends_when_it_is_cancelled() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    task = tasks.keep_running(work, "the work")
    await asyncio.sleep(0.01)
    task.cancel()
    async with asyncio.timeout(5):
        await ended.wait()


@pytest.mark.parametrize("loop", [asyncio.Runner, runner])
def test_a_loop_is_woken_at_the_earliest_time_and_once(loop: Callable[[], asyncio.Runner]) -> None:
    async def run() -> list[str]:
        wake, now = WakeUp(), asyncio.get_running_loop().time()
        seen = []
        # The timers of uvloop differ in type when less than half a millisecond is left.
        for due in (now + 60, now + 0.0003, now + 0.0002, now + 60):
            wake.set(due)
        await asyncio.wait_for(wake.wait(), 2)
        seen.append("early")
        wake.reset()
        wake.set(now + 60)
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), 0.01)
            seen.append("too early")
        wake.set(now)
        await asyncio.wait_for(wake.wait(), 2)
        return [*seen, "at once"]

    with loop() as running:
        assert running.run(run()) == ["early", "at once"]
