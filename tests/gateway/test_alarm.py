"""One limit for many waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bm.gateway.alarm import Alarm

SOON, LATE = 0.02, 3600.0


@pytest.fixture
async def alarm() -> AsyncIterator[Alarm]:
    made = Alarm()
    yield made
    made.close()


def after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def said(word: str, seconds: float = 0.0) -> str:
    await asyncio.sleep(seconds)
    return word


async def test_what_comes_in_time_is_handed_on(alarm: Alarm) -> None:
    assert await alarm.until(after(LATE), said("one")) == "one"
    assert await alarm.until(float("inf"), said("two")) == "two"


async def test_what_takes_too_long_is_cancelled(alarm: Alarm) -> None:
    work = asyncio.ensure_future(said("never", LATE))
    with pytest.raises(TimeoutError):
        await alarm.until(after(SOON), work)
    assert work.cancelled()


async def test_a_moment_that_has_passed_leaves_no_time(alarm: Alarm) -> None:
    with pytest.raises(TimeoutError):
        await alarm.until(after(-1), said("never", LATE))


async def test_a_later_moment_moves_the_limit(alarm: Alarm) -> None:
    for _ in range(5):
        assert await alarm.until(after(SOON), said("in time")) == "in time"
    assert await alarm.until(after(LATE), said("still in time", 3 * SOON)) == "still in time"


async def test_an_earlier_moment_moves_it_as_well(alarm: Alarm) -> None:
    await alarm.until(after(LATE), said("one"))
    with pytest.raises(TimeoutError):
        await alarm.until(after(SOON), said("never", LATE))


async def test_between_two_waits_nobody_is_disturbed(alarm: Alarm) -> None:
    await alarm.until(after(SOON), said("one"))
    assert await said("at leisure", 3 * SOON) == "at leisure"
    with pytest.raises(TimeoutError):
        await alarm.until(after(SOON), said("never", LATE))


async def test_it_can_ring_more_than_once(alarm: Alarm) -> None:
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await alarm.until(after(SOON), said("never", LATE))
    assert await alarm.until(after(LATE), said("one")) == "one"


async def test_a_task_that_is_cancelled_by_others_stays_cancelled() -> None:
    async def waiting() -> None:
        await Alarm().until(after(LATE), said("never", LATE))

    task = asyncio.ensure_future(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_goes_wrong_is_not_hidden(alarm: Alarm) -> None:
    async def wrong() -> None:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        await alarm.until(after(LATE), wrong())
