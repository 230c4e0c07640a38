"""Entries and what they amount to together."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.accounts.cooldowns import (
    BACKOFFS,
    FORGET,
    MOST,
    CooldownEntry,
    Kind,
    after_success,
    backoff_step,
    status,
    still_telling,
    with_entry,
)


def entry(kind: Kind, at: float, *, number: int = 1, seconds: float = 0.0, sent: float | None = None) -> CooldownEntry:
    since = at if sent is None else sent
    return CooldownEntry(
        id=number, kind=kind, model="m", at=at, sent=since, reason=f"{kind} at {at:g}", seconds=seconds
    )


def test_the_longest_rest_counts_with_its_reason() -> None:
    found = status([entry("rest", 0, seconds=5), entry("rest", 1, seconds=20), entry("limit", 2)])
    assert (found.until, found.reason) == (21, "rest at 1")


@pytest.mark.parametrize(
    ("entries", "overloaded"),
    [
        ([entry("overload", 0)], True),
        ([entry("overload", 0, number=7), entry("rest", 0, number=7, seconds=30)], True),
        ([entry("overload", 0), entry("rest", 0, number=2, seconds=30)], False),
        ([entry("limit", 0), entry("overload", 0)], False),
        ([], False),
    ],
)
def test_a_rest_for_overload_is_told_from_one_for_a_limit(entries: list[CooldownEntry], overloaded: bool) -> None:
    assert status(entries).overloaded is overloaded


def test_the_last_refusal_is_told() -> None:
    found = status([entry("out", 5), entry("out", 9, number=2), entry("excluded", 3)])
    assert (found.out, found.excluded) == ("out at 9", "excluded at 3")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["rest", "limit", "overload", "excluded", "out"]), st.floats(0, 99), st.floats(0, 50)
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_entries_came_does_not_matter(
    rows: list[tuple[Kind, float, float]], order: random.Random
) -> None:
    entries = [entry(kind, at, number=number, seconds=seconds) for number, (kind, at, seconds) in enumerate(rows)]
    shuffled = list(entries)
    order.shuffle(shuffled)
    assert status(shuffled) == status(entries)


def test_a_step_is_booked_once_a_burst() -> None:
    backoff = BACKOFFS["limit"]
    assert backoff_step(backoff, [entry("limit", at) for at in (0, 0.5, 1.9)]).step == 1
    assert backoff_step(backoff, [entry("limit", 0), entry("limit", 2)]).step == 2
    assert backoff_step(backoff, [entry("limit", 0), entry("limit", 9, sent=0)]).step == 1
    assert backoff_step(backoff, [entry("limit", 0), entry("limit", 3 + FORGET)]).step == 1


def test_an_answer_ends_what_it_disproves() -> None:
    entries = [
        entry("limit", 0),
        entry("overload", 0),
        entry("excluded", 0),
        entry("out", 0),
        entry("rest", 0, seconds=9),
    ]
    assert [each.kind for each in after_success(entries, 5, 4)] == ["rest"]
    assert after_success(entries, 5, -1) == entries
    assert [each.kind for each in after_success(entries, 1.5, 1)] == ["limit", "rest"]


@pytest.mark.parametrize(
    ("kind", "last"),
    [("rest", 9.0), ("limit", 2 + FORGET), ("overload", 1 + FORGET), ("out", None), ("excluded", None)],
)
def test_an_entry_is_kept_as_long_as_it_tells_something(kind: Kind, last: float | None) -> None:
    entries = [entry(kind, 0, seconds=9)]
    assert still_telling(entries, 8.9 if last is None else last - 0.1) == entries
    assert still_telling(entries, 1e9 if last is None else last + 0.1) == (entries if last is None else [])


@given(
    st.sampled_from(["rest", "limit", "overload", "out"]),
    st.lists(st.floats(0, 50), min_size=3 * MOST, max_size=4 * MOST),
)
def test_a_flood_of_entries_is_bounded_and_changes_nothing(kind: Kind, pauses: list[float]) -> None:
    bounded: list[CooldownEntry] = []
    every: list[CooldownEntry] = []
    at = 0.0
    for number, pause in enumerate(pauses):
        at += pause / 10
        new = entry(kind, at, number=number, seconds=pause)
        bounded = with_entry(bounded, new)
        every.append(new)
        assert len(bounded) <= MOST
    assert status(bounded) == status(every)
