"""Conversations and their accounts: bounded in number and age."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bm.accounts.affinity import Affinities
from bm.dispatch.target import AccountId

A, B = ("gemini", "a"), ("groq", "b")


def test_a_conversation_stays_where_it_was_served_last() -> None:
    made = Affinities(size=9, ttl=100)
    made.set("x", A, 0)
    made.set("y", B, 0)
    assert (made.get("x", 50), made.get("y", 50), made.get("z", 50)) == (A, B, None)
    made.set("x", B, 60)
    assert made.get("x", 70) == B


def test_each_turn_renews_it_and_silence_ends_it() -> None:
    made = Affinities(size=9, ttl=100)
    made.set("x", A, 0)
    assert made.get("x", 99) == A
    made.set("x", A, 99)
    assert made.get("x", 198) == A
    assert made.get("x", 199) is None
    assert len(made) == 0


def test_the_oldest_conversation_is_dropped_first() -> None:
    made = Affinities(size=2, ttl=100)
    for key, now in (("x", 0), ("y", 1), ("x", 2), ("z", 3)):
        made.set(key, A, now)
    assert [key for key, _, _ in made.items(4)] == ["x", "z"]


def test_new_bounds_hold_at_once() -> None:
    made = Affinities(size=9, ttl=100)
    for number in range(5):
        made.set(str(number), A, number)
    made.resize(size=3, ttl=3)
    assert list(made.items(5.5)) == [("3", A, 3), ("4", A, 4)]
    assert len(made) == 3


@given(st.integers(0, 5), st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 9)), max_size=40))
def test_it_never_grows_beyond_its_size(size: int, turns: list[tuple[str, float]]) -> None:
    made, now = Affinities(size=size, ttl=20), 0.0
    for key, pause in turns:
        now += pause
        made.set(key, A, now)
        assert len(made) <= size
        assert made.get(key, now) == (A if size else None)


def test_conversations_follow_a_renamed_account_and_leave_a_removed_one() -> None:
    account_ids = Affinities(size=9, ttl=100)
    for key, name in (("one", "a"), ("two", "b"), ("three", "c")):
        account_ids.set(key, ("gemini", name), 0)
    account_ids.rename({("gemini", "work"): ("gemini", "a")})
    account_ids.retain({("gemini", "work"), ("gemini", "c")})
    assert [account_ids.get(key, 1) for key in ("one", "two", "three")] == [("gemini", "work"), None, ("gemini", "c")]


def test_turns_of_this_node_are_claimed_with_the_account_before_and_those_of_others_are_not() -> None:
    made, claimed = Affinities(size=9, ttl=100), list[tuple[str, AccountId | None, AccountId]]()
    made.claim = lambda *claim: claimed.append(claim)
    made.set("one", A, 0)
    made.learn("one", ("gemini", "b"), 1)
    made.set("one", A, 2)
    assert claimed == [("one", None, A), ("one", ("gemini", "b"), A)]
