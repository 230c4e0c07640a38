"""Background tasks are kept until they end, and their exceptions are logged."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from bm.server.tasks import spawn


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
    task = spawn(asyncio.Event().wait(), "the wait")  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert caplog.records == []
