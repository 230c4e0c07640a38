"""The checker finds a fault that is planted in a history, and nothing in one that has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from tests.team.checker import CHECKS, check, share_served, shares_of_accounts
from tests.team.history import Answered, Asked, Called, Changed, Event, History, Known, Lost, Recorded, Spent, Terms

NODES = ("n0", "n1", "n2")
TERMS = Terms(
    began=0.0,
    ended=20.0,
    nodes=NODES,
    quotas={"a": 15, "b": 15},
    window=10.0,
    rate=1.0,
    budgets={"ci": 1.0},
    reservation=0.1,
    replication=0.5,
)
DEATH = (Changed(4.0, "n1", "away"), Changed(6.0, "n1", "up"))
STORE = (Changed(4.0, "store", "away"), Changed(6.0, "store", "up"))


def answered(number: int, **fields: object) -> Answered:
    """The answer to a request, of account a unless another is named."""
    plain = Answered(at=number + 0.5, request=number, node=NODES[number % 3], status=200, id=f"r{number}", account="a")
    return msgspec.structs.replace(plain, **fields)


def asked(number: int, key: str = "main") -> Asked:
    return Asked(float(number), number, NODES[number % 3], "talk", key)


def good() -> list[Event]:
    """Twelve turns of one conversation through all nodes in turn; `a` refuses the tenth, and `b` goes on."""
    accounts = ["a"] * 9 + ["b"] * 3
    events: list[Event] = []
    for number, account in enumerate(accounts):
        key = "ci" if number % 3 == 0 else "main"
        events += [
            asked(number, key),
            answered(number, account=account),
            Recorded(f"r{number}", key, 0.25),
            Called(number + 0.1, number + 0.4, account),
        ]
    events.append(Called(9.05, 9.06, "a", ends=15.0))
    events += [Known(node, account, "usable", None) for node in NODES for account in "ab"]
    events += [Spent(node, "ci", 1.0, 0.0) for node in NODES]
    return events


def refused(number: int) -> list[Event]:
    return [asked(number), answered(number, status=429, message="later", retry_after=1.0, id="")]


def faults(events: Sequence[Event], *more: Event) -> list[str]:
    return check(History(TERMS, (*events, *more)))


def changed(where: Callable[[Event], bool], **fields: object) -> list[Event]:
    """The good history with other fields in some events."""
    return [msgspec.structs.replace(each, **fields) if where(each) else each for each in good()]


def without(where: Callable[[Event], bool]) -> list[Event]:
    return [each for each in good() if not where(each)]


def answer(number: int) -> Callable[[Event], bool]:
    return lambda each: isinstance(each, Answered) and each.request == number


def row(name: str) -> Callable[[Event], bool]:
    return lambda each: isinstance(each, Recorded) and each.id == name


def test_a_good_history_has_no_fault() -> None:
    assert faults(good()) == []
    history = History(TERMS, tuple(good()))
    assert all(list(find(history)) == [] for find in CHECKS)


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        (without(answer(4)), "request 4 was never answered"),
        ([*good(), answered(4)], "request 4 has 2 answers"),
        (changed(answer(4), status=500, message="oops"), "request 4 was refused with 500 'oops'"),
        (
            changed(answer(4), status=429, message="later"),
            "request 4 was refused with 429 without a time to come again",
        ),
        (changed(answer(4), right=False, message="other"), "request 4 was answered wrongly: other"),
        (changed(answer(4), account="b"), "conversation talk went from a to b without a reason"),
        ([*good(), Called(9.7, 9.8, "a", ends=15.0)], "a was asked 0.64 s after it had refused for 5.30 s more"),
        ([*good(), Recorded("r4", "main", 0.0)], "the ledger has r4 2 times"),
        (without(row("r4")), "the ledger does not have r4, request 4, of n1"),
        (changed(row("r3"), money=0.36), "the key ci has spent 1.1100, its budget of 1.0000 allows 1.1000"),
        (
            [*good(), asked(12, "ci"), answered(12, status=400, message="spent", id="")],
            "",
        ),
        (
            [
                *changed(lambda each: isinstance(each, Recorded), money=0.1),
                asked(12, "ci"),
                answered(12, status=400, message="spent", id=""),
            ],
            "request 12 was refused although the key ci has spent 0.4000 only",
        ),
        (
            changed(lambda each: isinstance(each, Spent) and each.node == "n1", spent=0.9),
            "the nodes know different sums of the key ci: [1.0, 0.9, 1.0]",
        ),
        (
            changed(lambda each: isinstance(each, Spent) and each.node == "n1", reserved=0.1),
            "n1 still reserves 0.1000 of the key ci",
        ),
        (
            changed(lambda each: isinstance(each, Known) and (each.node, each.account) == ("n1", "b"), state="off"),
            "the nodes disagree about b: n0 says usable until None, n1 says off until None, n2 says usable until None",
        ),
        (
            without(lambda each: isinstance(each, Known) and (each.node, each.account) == ("n1", "b")),
            "only 2 nodes know b",
        ),
        (
            [*good(), *(each for number in range(12, 20) for each in refused(number))],
            "12 requests were served, of 20 that could be",
        ),
    ],
)
def test_a_planted_fault_is_found(events: list[Event], fault: str) -> None:
    assert [each for each in faults(events) if each == fault] == ([fault] if fault else [])
    assert bool(faults(events)) is bool(fault)


def lost(number: int, node: str) -> list[Event]:
    """The good history, in which a request was lost and is not in the ledger."""
    gone = without(lambda each: answer(number)(each) or row(f"r{number}")(each))
    return [*gone, Lost(number + 0.2, number, node, "reset")]


@pytest.mark.parametrize(
    ("events", "excused"),
    [
        (lost(4, "n1"), True),
        (lost(4, "n2"), False),
        (without(row("r3")), False),
        (changed(answer(4), account="b"), True),
    ],
)
def test_what_a_dying_node_excuses(events: list[Event], excused: bool) -> None:
    assert (faults(events, *DEATH) == []) is excused


def test_what_had_not_reached_the_disk_of_a_node_that_dies_may_be_missing() -> None:
    events = without(row("r1"))
    assert faults(events, Changed(1.9, "n1", "away"), Changed(2.5, "n1", "up")) == []
    assert faults(events, Changed(2.5, "n1", "away"), Changed(3.0, "n1", "up")) != []


def test_what_was_served_of_what_could_be() -> None:
    history = History(TERMS, tuple(good()))
    assert (share_served(history), shares_of_accounts(history)) == (1.0, [9 / 30, 3 / 30])


def test_an_account_that_has_nothing_left_is_a_reason_to_go_to_another() -> None:
    """It need not have refused: its limit may be known."""
    events = changed(lambda each: isinstance(each, Answered) and each.request >= 6, account="b")
    assert faults(events) == ["conversation talk went from a to b without a reason"]
    assert faults(events, *(Called(4.0 + number / 10, 6.0, "a") for number in range(8))) == []


def test_without_the_store_each_node_learns_of_a_refusal_by_itself() -> None:
    late = Called(9.7, 9.8, "a", ends=15.0)
    assert faults(good(), late, Changed(9.0, "store", "away"), Changed(12.0, "store", "up")) == []
    assert faults(good(), late, Changed(1.0, "store", "away"), Changed(2.0, "store", "up")) != []


def test_apart_each_node_may_exceed_a_budget_by_one_reservation() -> None:
    spent = changed(row("r3"), money=0.5)
    assert faults(spent, *STORE) == []
    assert faults(changed(row("r3"), money=0.6), *STORE) != []
