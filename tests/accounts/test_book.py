"""The book of an account: entries by model."""

from __future__ import annotations

from bm.accounts.book import CooldownLog
from bm.accounts.cooldowns import FORGET, CooldownEntry, Kind


def entry(number: int, model: str = "m", kind: Kind = "rest", at: float = 0.0) -> CooldownEntry:
    return CooldownEntry(id=number, kind=kind, model=model, at=at, sent=at, reason="r", seconds=20)


def book(*entries: CooldownEntry) -> CooldownLog:
    made = CooldownLog()
    for each in entries:
        made.add(each)
    return made


def test_models_stand_for_themselves() -> None:
    made = book(entry(1), entry(2, "n", "out"))
    assert (made.status("m").until, made.status("m").out) == (20, "")
    assert (made.status("n").out, made.status("").out) == ("r", "")
    assert made.models() == {"m", "n"}


def test_an_entry_that_is_taken_out_is_gone_and_its_model_with_it() -> None:
    made = book(entry(1), entry(1, "n"), entry(2, "n"))
    assert made.status("m").until == 20
    made.take_out(frozenset({1, 9}))
    assert made.models() == {"n"}
    assert made.status("m") == CooldownLog().status("m")
    assert [each.id for each in made.entries()] == [2]


def test_clearing_drops_the_entries_of_a_kind_from_before_a_moment() -> None:
    made = book(entry(1, kind="out"), entry(2, kind="out", at=5), entry(3))
    made.clear(["out"], before=5)
    assert [each.id for each in made.entries()] == [2, 3]
    made.clear(["out"])
    assert [each.id for each in made.entries()] == [3]


def test_an_answer_speaks_for_its_model_and_for_the_whole_account() -> None:
    made = book(entry(1, "", "out"), entry(2, "m", "excluded"), entry(3, "n", "excluded"))
    made.answered("m", now=9, sent=8)
    assert [each.id for each in made.entries()] == [3]


def test_merging_takes_each_entry_once() -> None:
    one, other = book(entry(1), entry(2)), book(entry(2), entry(3, "n"))
    assert one.status("n").until < 0
    one.merge(other.entries())
    assert sorted(each.id for each in one.entries()) == [1, 2, 3]
    assert one.status("n").until == 20


def test_what_tells_nothing_any_more_goes_with_the_next_entry() -> None:
    made = book(entry(1), entry(2, "n", "limit"))
    made.add(entry(3, "o", at=30 + FORGET))
    assert made.models() == {"o"}
