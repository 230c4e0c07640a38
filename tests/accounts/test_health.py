"""The health of an account over its window."""

from __future__ import annotations

from bm.accounts.health import MOST, WINDOW, Health


def health(*, faults: int = 0, good: int = 0, at: float = 0.0) -> Health:
    made = Health()
    for mark in range(1, faults + 1):
        made.fault(at, mark)
    for _ in range(good):
        made.good(at)
    return made


def test_a_single_fault_is_no_weakness() -> None:
    assert health().score(0) == health(good=3).score(0) == 1
    assert health(faults=1).score(0) == 0.8


def test_five_faults_in_a_row_are_one() -> None:
    assert health(faults=4).score(0) == 0.5
    assert health(faults=5).score(0) < 0.5
    assert health(faults=5, good=5).score(0) > 0.5


def test_what_is_older_than_the_window_does_not_count() -> None:
    made = health(faults=9)
    assert made.score(WINDOW - 1) < 0.5
    assert made.score(WINDOW) == 1


def test_only_the_latest_are_remembered() -> None:
    made = health(faults=MOST)
    for _ in range(MOST):
        made.good(1)
    assert made.score(1) == 1


def test_forgiven_faults_are_as_if_they_had_not_been() -> None:
    made = health(faults=3, good=2)
    made.forgive(frozenset({1, 3}))
    assert made.score(0) == health(faults=1, good=2).score(0)
