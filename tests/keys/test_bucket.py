"""Requests and tokens per minute, on a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.keys.bucket import Bucket, Buckets, Rate, rates, whole_seconds
from bm.keys.key import MAIN, Key


def admit(buckets: Buckets, key: Key, tokens: int, now: float) -> int:
    """The whole seconds that a request has to wait; 0 if it was admitted."""
    return whole_seconds(buckets.admit(rates(key, tokens), now))


def settle(buckets: Buckets, key: Key, more: int, now: float) -> None:
    """A request has used so many tokens more than were taken for it."""
    buckets.settle(Rate("ci:tpm", key.tpm, more), now)


def test_a_full_minute_may_be_used_at_once_and_then_evenly() -> None:
    buckets, key = Buckets(), Key(name="ci", rpm=6)
    assert [admit(buckets, key, 0, 100.0) for _ in range(7)] == [0, 0, 0, 0, 0, 0, 10]
    assert admit(buckets, key, 0, 109.0) == 1
    assert admit(buckets, key, 0, 110.0) == 0
    assert admit(buckets, key, 0, 110.0) == 10


@pytest.mark.parametrize(
    ("taken", "wanted", "wait"),
    [
        (0, 600, 0),
        (600, 1, 1),
        (600, 10, 1),
        (600, 11, 2),
        (600, 300, 30),
        (900, 300, 60),
        (600, 5_000, 60),
        (0, 5_000, 0),
    ],
)
def test_the_wait_for_tokens_is_right_to_the_second(taken: int, wanted: int, wait: int) -> None:
    """A minute fills 600; what a request has used may be more than was left, and one may want more than that."""
    buckets, key = Buckets(), Key(name="ci", tpm=600)
    settle(buckets, key, taken, 0.0)
    assert admit(buckets, key, wanted, 0.0) == wait
    if wait:
        assert admit(buckets, key, wanted, wait - 1.001) >= 1
        assert admit(buckets, key, wanted, float(wait)) == 0


def test_what_was_taken_too_much_comes_back() -> None:
    buckets, key = Buckets(), Key(name="ci", tpm=600)
    assert admit(buckets, key, 600, 0.0) == 0
    settle(buckets, key, -500, 0.0)
    assert admit(buckets, key, 500, 0.0) == 0


def test_a_request_that_must_wait_takes_nothing() -> None:
    buckets, key = Buckets(), Key(name="ci", rpm=2, tpm=100)
    settle(buckets, key, 100, 0.0)
    assert [admit(buckets, key, 50, 0.0) for _ in range(5)] == [30] * 5
    assert [admit(buckets, key, 0, 30.0) for _ in range(2)] == [0, 0]


def test_a_changed_limit_begins_anew_and_a_revoked_key_is_forgotten() -> None:
    buckets = Buckets()
    assert [admit(buckets, Key(name="ci", rpm=1), 0, 0.0) for _ in range(2)] == [0, 60]
    assert admit(buckets, Key(name="ci", rpm=2), 0, 0.0) == 0
    buckets.retain(frozenset({"other"}))
    assert [admit(buckets, Key(name="ci", rpm=2), 0, 0.0) for _ in range(2)] == [0, 0]


def test_a_key_without_limits_always_passes() -> None:
    assert admit(Buckets(), MAIN, 10**9, 0.0) == 0


@given(
    limit=st.integers(1, 10_000),
    steps=st.lists(st.tuples(st.floats(-5, 120), st.integers(0, 20_000)), max_size=40),
)
def test_no_minute_lets_more_through_than_a_burst_and_a_minute(limit: int, steps: list[tuple[float, int]]) -> None:
    """Also when the clock jumps back."""
    bucket, now, latest, passed = Bucket(limit, 0.0), 0.0, 0.0, 0
    for pause, amount in steps:
        now = max(0.0, now + pause)
        latest = max(latest, now)
        if amount <= limit and not bucket.wait(amount, now):
            bucket.take(amount, now)
            passed += amount
    jumped = sum(-pause for pause, _ in steps if pause < 0)
    assert passed <= limit * (1 + (latest + jumped) / 60) + 1e-3
