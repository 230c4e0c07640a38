"""Cooldown entries, their combined status, and the log that keeps them by model."""

from __future__ import annotations

import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.accounts.cooldowns import (
    FORGET,
    MAX_ENTRIES,
    CooldownEntry,
    CooldownLog,
    Kind,
    after_success,
    backoff_step,
    status,
    unexpired,
    with_entry,
)


def entry(kind: Kind, at: float, *, number: int = 1, seconds: float = 0.0, sent: float | None = None) -> CooldownEntry:
    since = at if sent is None else sent
    return CooldownEntry(
        id=number, kind=kind, model="m", at=at, sent=since, reason=f"{kind} at {at:g}", seconds=seconds
    )


def test_the_longest_cooldown_counts_with_its_reason() -> None:
    found = status([entry("delay", 0, seconds=5), entry("delay", 1, seconds=20), entry("backoff", 2)])
    assert (found.until, found.reason) == (21, "delay at 1")


@pytest.mark.parametrize(
    ("entries", "overloaded"),
    [
        ([entry("overload", 0)], True),
        ([entry("overload", 0, number=7), entry("delay", 0, number=7, seconds=30)], True),
        ([entry("overload", 0), entry("delay", 0, number=2, seconds=30)], False),
        ([entry("backoff", 0), entry("overload", 0)], False),
        ([], False),
    ],
)
def test_overload_is_distinguished_from_a_limit(entries: list[CooldownEntry], overloaded: bool) -> None:
    assert status(entries).overloaded is overloaded


def test_the_last_refusal_is_the_reason() -> None:
    found = status([entry("disabled", 5), entry("disabled", 9, number=2), entry("excluded", 3)])
    assert (found.disabled, found.excluded) == ("disabled at 9", "excluded at 3")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(get_args(Kind)),
            st.floats(0, 99),
            st.floats(0, 50),
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


def test_a_burst_is_one_backoff_step() -> None:
    assert backoff_step("backoff", [entry("backoff", at) for at in (0, 0.5, 1.9)]).step == 1
    assert backoff_step("backoff", [entry("backoff", 0), entry("backoff", 2)]).step == 2
    assert backoff_step("backoff", [entry("backoff", 0), entry("backoff", 9, sent=0)]).step == 1
    assert backoff_step("backoff", [entry("backoff", 0), entry("backoff", 3 + FORGET)]).step == 1


def test_a_success_ends_what_it_disproves() -> None:
    entries = [
        entry("backoff", 0),
        entry("overload", 0),
        entry("excluded", 0),
        entry("disabled", 0),
        entry("delay", 0, seconds=9),
    ]
    assert [each.kind for each in after_success(entries, 5, 4)] == ["delay"]
    assert after_success(entries, 5, -1) == entries
    assert [each.kind for each in after_success(entries, 1.5, 1)] == ["backoff", "delay"]


@pytest.mark.parametrize(
    ("kind", "last"),
    [("delay", 9.0), ("backoff", 2 + FORGET), ("overload", 1 + FORGET), ("disabled", None), ("excluded", None)],
)
def test_an_entry_is_kept_as_long_as_it_has_an_effect(kind: Kind, last: float | None) -> None:
    entries = [entry(kind, 0, seconds=9)]
    assert unexpired(entries, 8.9 if last is None else last - 0.1) == entries
    assert unexpired(entries, 1e9 if last is None else last + 0.1) == (entries if last is None else [])


@given(
    st.sampled_from(["delay", "backoff", "overload", "disabled"]),
    st.lists(st.floats(0, 50), min_size=3 * MAX_ENTRIES, max_size=4 * MAX_ENTRIES),
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
        assert len(bounded) <= MAX_ENTRIES
    assert status(bounded) == status(every)


def logged(number: int, model: str = "m", kind: Kind = "delay", at: float = 0.0) -> CooldownEntry:
    return CooldownEntry(id=number, kind=kind, model=model, at=at, sent=at, reason="r", seconds=20)


def log_of(*entries: CooldownEntry) -> CooldownLog:
    made = CooldownLog()
    for each in entries:
        made.add(each)
    return made


def test_each_model_has_its_own_status() -> None:
    made = log_of(logged(1), logged(2, "n", "disabled"))
    assert (made.status("m").until, made.status("m").disabled) == (20, "")
    assert (made.status("n").disabled, made.status("").disabled) == ("r", "")
    assert made.models() == {"m", "n"}


def test_a_removed_entry_is_gone_and_its_model_with_it() -> None:
    made = log_of(logged(1), logged(1, "n"), logged(2, "n"))
    assert made.status("m").until == 20
    made.remove(frozenset({1, 9}))
    assert made.models() == {"n"}
    assert made.status("m") == CooldownLog().status("m")
    assert [each.id for each in made.entries()] == [2]


def test_clearing_removes_every_entry() -> None:
    made = log_of(logged(1, kind="disabled"), logged(2, "n", "excluded", at=5), logged(3))
    made.clear()
    assert (list(made.entries()), made.models(), made.status("m")) == ([], set(), CooldownLog().status("m"))


def test_a_success_counts_for_its_model_and_for_the_whole_account() -> None:
    made = log_of(logged(1, "", "disabled"), logged(2, "m", "excluded"), logged(3, "n", "excluded"))
    made.record_success("m", now=9, sent=8)
    assert [each.id for each in made.entries()] == [3]


def test_merging_takes_each_entry_once() -> None:
    one, other = log_of(logged(1), logged(2)), log_of(logged(2), logged(3, "n"))
    assert one.status("n").until < 0
    one.merge(other.entries())
    assert sorted(each.id for each in one.entries()) == [1, 2, 3]
    assert one.status("n").until == 20


def test_the_next_entry_drops_expired_ones() -> None:
    made = log_of(logged(1), logged(2, "n", "backoff"))
    made.add(logged(3, "o", at=30 + FORGET))
    assert made.models() == {"o"}
