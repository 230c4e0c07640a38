"""A set of facts is the same whatever the order of arrival, and ends by time alone."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.shared import facts as module
from bm.shared.facts import BACKOFF_LIFE, LIFE, Fact, FactKind, Facts, Place, decoded, encoded

FACT = Fact(run="a", number=1, kind="delay", provider="gemini", account="one", proof="p", at=100.0, seconds=20.0)


def void(fact: Fact) -> Fact:
    return msgspec.structs.replace(fact, void=True)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({}, ("account", "gemini", "one", "p")),
        ({"shared": True}, ("quota", "gemini", "", "", "one", "p")),
        ({"shared": True, "project": "q", "location": "eu"}, ("quota", "gemini", "q", "eu")),
        ({"kind": "fault"}, ("health", "gemini", "one", "p")),
        ({"kind": "off"}, ("switch", "gemini", "one")),
    ],
)
def test_what_a_fact_is_about(change: dict[str, object], place: Place) -> None:
    assert msgspec.structs.replace(FACT, **change).place == place


@pytest.mark.parametrize(
    ("kind", "life"),
    [("delay", 20.0), ("backoff", BACKOFF_LIFE), ("overload", BACKOFF_LIFE), ("fault", 300.0), ("disabled", LIFE)],
)
def test_a_fact_ends_by_time_alone(kind: FactKind, life: float) -> None:
    facts, fact = Facts(), msgspec.structs.replace(FACT, kind=kind)
    facts.add(fact)
    assert facts.holding(fact.place, 100.0 + life - 0.001) == [fact]
    assert facts.holding(fact.place, 100.0 + life) == []
    facts.expire(100.0 + life - 0.001)
    assert len(facts) == 1
    facts.expire(100.0 + life)
    assert len(facts) == 0
    assert facts.at(fact.place) == []


def test_the_oldest_facts_are_forgotten_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    facts = Facts()
    for number in (5, 3, 1, 4, 2):
        facts.add(msgspec.structs.replace(FACT, number=number, at=100.0 + number))
    facts.expire(100.0)
    assert sorted(fact.number for fact in facts) == [3, 4, 5]
    assert len(facts.at(FACT.place)) == 3


def test_what_was_taken_back_stays_so_although_the_fact_arrives_later() -> None:
    facts = Facts()
    assert facts.add(void(FACT))
    assert not facts.add(FACT)
    assert facts.holding(FACT.place, 100.0) == []
    assert facts.at(FACT.place) == [void(FACT)]


FACTS = st.builds(
    lambda number, kind, at, gone: msgspec.structs.replace(FACT, number=number, kind=kind, at=at, void=gone),
    st.integers(1, 4),
    st.sampled_from(["delay", "backoff", "fault"]),
    st.just(100.0),
    st.booleans(),
)


@given(st.lists(FACTS, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_arrival_and_duplicates_do_not_matter(arrived: list[Fact], random: object) -> None:
    again = [*arrived, *arrived]
    random.shuffle(again)  # type: ignore[attr-defined]
    one, other = Facts(), Facts()
    for fact in arrived:
        one.add(fact)
    for fact in again:
        other.add(fact)
    assert set(one) == set(other)


def test_facts_survive_their_encoding_and_a_newer_form_is_left_alone() -> None:
    facts = (FACT, void(msgspec.structs.replace(FACT, kind="off", model="m", reason="über")))
    assert decoded(encoded(facts)) == facts
    assert decoded(b"\x02" + encoded(facts)[1:]) == ()
    assert decoded(b"") == ()
    assert decoded(encoded(facts)[:-1]) == ()
