"""What passes through, in steps of a few seconds: the curve of the dashboard and the rates of `bm top`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from bm.chat.parts import Json
from bm.gateway.record import Record

STEP: Final = 10.0
"""Seconds of a step."""

STEPS: Final = 90
"""How many are remembered."""

RECENT: Final = 6
"""Whole steps that rates are taken from, besides the one that has begun."""


class Step(msgspec.Struct):
    """What ended within one step. Tokens count where the answer ends: `input` with what was cached."""

    requests: int = 0
    failures: int = 0
    input: int = 0
    output: int = 0


class Traffic:
    """Counts calls as they end. A step that nothing happens in costs nothing until somebody asks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._current = 0
        self._steps: deque[Step] = deque([Step()], maxlen=STEPS)

    def observe(self, record: Record) -> None:
        """Count a call that is over. A client that hangs up is no failure."""
        step = self._now()
        step.requests += 1
        step.failures += record.failure is not None and not record.client_left
        if record.usage is not None:
            step.input += record.usage.prompt or 0
            step.output += record.usage.output

    def told(self) -> Json:
        """The steps, the newest last, and the sums of the latest minute with the seconds they were counted in."""
        self._now()
        steps = [*([Step()] * (STEPS - len(self._steps))), *self._steps]
        recent = list(self._steps)[-RECENT - 1 :]
        since_start = self._clock() - self._began
        return {
            "step": STEP,
            **{name: [getattr(step, name) for step in steps] for name in Step.__struct_fields__},
            "recent": {
                "seconds": min(since_start, RECENT * STEP + since_start % STEP),
                **{name: sum(getattr(step, name) for step in recent) for name in Step.__struct_fields__},
            },
        }

    def _now(self) -> Step:
        """The step that time has come to."""
        current = int((self._clock() - self._began) // STEP)
        self._steps.extend(Step() for _ in range(min(current - self._current, STEPS)))
        self._current = current
        return self._steps[-1]
