"""How well an account answered lately: a score that demotes, and that one fault alone hardly moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

WINDOW = 300.0
"""Seconds an answer or a fault counts."""

MOST = 50
"""Answers and faults that are remembered."""

BENEFIT = 4
"""Good answers everyone is credited with, so that a single fault leaves 0.8 and it takes several to fall below 0.5."""


class Health:
    """Answers and faults of one account within the window. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=MOST)
        self._faulty = False

    def good(self, now: float) -> None:
        """An answer came."""
        self._seen.append((now, 0))

    def fault(self, now: float, mark: int) -> None:
        """None came, or a broken one. `mark`, not 0, names the fault for `forgive`."""
        self._seen.append((now, mark))
        self._faulty = True

    def forgive(self, marks: frozenset[int]) -> None:
        """Forget faults that were not the account's."""
        self._seen = deque((each for each in self._seen if each[1] not in marks), maxlen=MOST)

    def seen(self) -> tuple[tuple[float, int], ...]:
        """What is remembered, each with its time and mark."""
        return tuple(self._seen)

    def adopt(self, seen: Iterable[tuple[float, int]]) -> None:
        """Take over what an earlier run has seen."""
        self._seen = deque(sorted([*seen, *self._seen]), maxlen=MOST)
        self._faulty = any(mark for _, mark in self._seen)

    def grow_older(self, seconds: float) -> None:
        """Move everything into the past."""
        self._seen = deque(((at - seconds, mark) for at, mark in self._seen), maxlen=MOST)

    def score(self, now: float) -> float:
        """From 1, well, down to 0."""
        if not self._faulty:
            return 1.0
        marks = [mark for at, mark in self._seen if now - at < WINDOW]
        self._faulty = any(marks)
        return (BENEFIT + marks.count(0)) / (BENEFIT + len(marks))
