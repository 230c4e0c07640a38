"""What a seed breaks."""

from __future__ import annotations

import pytest

from tests.team.schedule import KINDS, Fault, Kind, schedule


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_always_breaks_the_same_and_leaves_time_to_heal(seed: int) -> None:
    faults = schedule(seed, 120, 3)
    assert faults == schedule(seed, 120, 3)
    assert {fault.kind for fault in faults} == {*KINDS}
    assert all(fault.at + fault.seconds < 120 for fault in faults)
    assert {fault.node for fault in faults} <= {0, 1, 2}


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("kill", "node 1"),
        ("freeze", "node 1"),
        ("cut", "link 1"),
        ("isolate", "node 1"),
        ("lose store", "store"),
        ("freeze store", "store"),
        ("lose database", "database"),
    ],
)
def test_which_part_breaks(kind: Kind, part: str) -> None:
    assert Fault(0.0, kind, 1, 1.0).part == part


def test_seeds_differ() -> None:
    assert schedule(1, 120, 3) != schedule(2, 120, 3)
