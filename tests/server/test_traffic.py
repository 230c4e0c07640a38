"""What passed through, by steps of time."""

from __future__ import annotations

from typing import Any

from bm.chat.events import Usage
from bm.errors import Failure
from bm.gateway.record import Record
from bm.server.traffic import RECENT, STEP, STEPS, Traffic


class Clock:
    """A time of the test's own."""

    now = 500.0

    def __call__(self) -> float:
        return self.now


def record(**fields: Any) -> Record:
    return Record(id="req_1", at=0.0, protocol="gemini", model="x", stream=True, **fields)


def test_nothing_yet() -> None:
    told = Traffic(Clock()).told()
    assert told["requests"] == [0] * STEPS and told["step"] == STEP
    assert told["recent"] == {"seconds": 0.0, "requests": 0, "failures": 0, "input": 0, "output": 0}


def test_calls_count_in_the_step_they_end_in() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.observe(record(usage=Usage(input=10, cache_read=5, output=3)))
    clock.now += STEP
    traffic.observe(record(failure=Failure(kind="server", message="no")))
    traffic.observe(record(failure=Failure(kind="server", message="no"), client_left=True))
    clock.now += 2 * STEP
    told = traffic.told()
    assert told["requests"][-4:] == [1, 2, 0, 0]
    assert told["failures"][-4:] == [0, 1, 0, 0]
    assert (told["input"][-4], told["output"][-4]) == (15, 3)
    assert told["recent"] == {"seconds": 3 * STEP, "requests": 3, "failures": 1, "input": 15, "output": 3}


def test_rates_are_of_the_latest_minute_and_old_steps_are_forgotten() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.observe(record())
    clock.now += RECENT * STEP + 4
    assert traffic.told()["recent"]["requests"] == 1
    assert traffic.told()["recent"]["seconds"] == RECENT * STEP + 4
    clock.now += STEP
    assert traffic.told()["recent"]["requests"] == 0
    assert sum(traffic.told()["requests"]) == 1
    clock.now += 1e9
    traffic.observe(record())
    told = traffic.told()
    assert told["requests"] == [*[0] * (STEPS - 1), 1]
