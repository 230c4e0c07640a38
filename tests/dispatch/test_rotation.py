"""The order in which requests go to accounts, and what decides between equals."""

from __future__ import annotations

import random

import pytest

from bm.dispatch.rotation import Rank, Rotation

STEPS = [number / 100 for number in range(100)]


def rank(*, tier: int = 0, turns: int = 0, since: float = 0.0, probe: bool = False, weak: bool = False) -> Rank:
    return probe, weak, tier, False, turns, since


def test_equals_have_equal_shares() -> None:
    rotation = Rotation()
    for number in range(4):
        rotation.put(number, rank())
    rotation.put(4, rank(turns=1))
    first = [rotation.first(number) for number in STEPS]
    assert [first.count(number) for number in range(5)] == [25, 25, 25, 25, 0]


@pytest.mark.parametrize(
    "later",
    [rank(since=1.0), rank(turns=1), rank(tier=1), rank(weak=True), rank(probe=True)],
    ids=["used later", "a turn under way", "a higher tier", "weak", "a probe"],
)
def test_the_better_one_is_first_whatever_the_random_number(later: Rank) -> None:
    rotation = Rotation()
    rotation.put(0, later)
    rotation.put(1, rank())
    assert {rotation.first(number) for number in STEPS} == {1}
    assert rotation.best == rank()


def test_it_stays_in_order_while_accounts_come_and_go() -> None:
    rng, rotation, ranks = random.Random(1), Rotation(), dict[int, Rank]()
    for _ in range(500):
        number = rng.randrange(20)
        ranks.pop(number, None)
        moved = None
        if rng.random() < 0.7:
            moved = ranks[number] = rank(tier=rng.randrange(3), since=rng.randrange(9))
        rotation.put(number, moved)
        assert len(rotation) == len(ranks)
        assert set(rotation.tiers) == {each[2] for each in ranks.values()}
        assert [each in rotation for each in range(20)] == [each in ranks for each in range(20)]
        if ranks:
            assert ranks[rotation.first(rng.random())] == rotation.best == min(ranks.values())
