"""The pools of several nodes come to the same state from the same facts, whatever the order in which they arrive."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.accounts.pool import Pool, Receipt
from bm.accounts.runtime import WINDOW
from bm.dispatch.outcome import EffectKind
from bm.shared.facts import Fact, decoded, encoded
from bm.shared.replica import Replica
from tests.accounts.build import NOON, apply, credential, target, usable

PROJECT = "p"


class Node:
    """One node in simulated time: its monotonic clock is `late` behind that of the test, its Unix time the same."""

    names = count()

    def __init__(self, late: float = 0.0, *, attached: bool = True) -> None:
        self.late = late
        self.pool = Pool([credential("a", project=PROJECT), credential("b", project=PROJECT), credential("c")])
        self.replica = Replica(self.pool, f"run{next(self.names)}", NOON + late)
        if attached:
            self.replica.attach()
        self.sent: list[bytes] = []
        self.receipts: list[Receipt] = []

    def refuse(self, at: float, kind: EffectKind, account: str = "a", **given: float | str) -> None:
        model = str(given.pop("model", "m"))
        wall = NOON + at
        options: dict[str, float] = {name: float(value) for name, value in given.items()}
        if "sent" in options:
            options["sent"] -= self.late
        receipt = apply(self.pool, kind, at - self.late, to=target(account, model), wall=wall, **options)  # type: ignore[arg-type]
        self.receipts.append(receipt)

    def tell(self, at: float) -> None:
        """Send what has changed."""
        if facts := self.replica.changes(at - self.late):
            self.sent.append(encoded(facts))

    def hear(self, at: float, message: bytes) -> None:
        self.tell(at)
        self.replica.receive(decoded(message), at - self.late)

    def usable(self, at: float, account: str = "a", model: str = "m") -> bool:
        return usable(self.pool, at - self.late, target(account, model))

    def state(self, at: float) -> State:
        """What dispatch decides by, as far as nodes share it."""
        found = State({}, {})
        for account in self.pool.states(at - self.late)["gemini"]:
            runtime = self.pool.runtimes["gemini", account.name]
            faults = sum(id != 0 and at - self.late - seen < WINDOW for seen, id in runtime.health.seen())
            found.words[account.name] = account.disabled, faults
            for model, state in account.states.items():
                found.words[account.name, model] = msgspec.structs.replace(state, cooldown=float(state.cooldown > 0))
                found.cooldowns[account.name, model] = state.cooldown
        return found


@dataclass
class State:
    """The state of a pool; cooldowns are equal to a millisecond, by different clocks."""

    words: dict[object, object]
    cooldowns: dict[object, float]

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, State)
        return self.words == other.words and other.cooldowns == pytest.approx(self.cooldowns, abs=1e-3)


def deliver(at: float, *nodes: Node, order: Callable[[list[bytes]], None] = lambda messages: None) -> None:
    """Let all nodes hear everything that any of them has sent, in some order."""
    for node in nodes:
        node.tell(at)
    everything = [message for node in nodes for message in node.sent]
    for node in nodes:
        messages = [*everything]
        order(messages)
        for message in messages:
            node.hear(at, message)


@pytest.mark.parametrize(
    ("kind", "account", "affected"),
    [
        ("cooldown", "a", {"a", "b"}),
        ("backoff", "a", {"a", "b"}),
        ("daily", "b", {"a", "b"}),
        ("excluded", "a", {"a", "b"}),
        ("cooldown", "c", {"c"}),
        ("overload", "a", {"a"}),
        ("disabled", "a", {"a"}),
    ],
)
def test_what_one_node_is_refused_keeps_the_others_away(kind: EffectKind, account: str, affected: set[str]) -> None:
    one, other = Node(), Node(late=50.0)
    one.refuse(1.0, kind, account, seconds=20.0)
    deliver(1.0, one, other)
    assert {name for name in "abc" if not other.usable(1.5, name)} == affected
    assert one.state(1.5) == other.state(1.5)


def test_a_roll_back_reaches_the_others() -> None:
    one, other = Node(), Node(late=50.0)
    one.refuse(1.0, "overload", seconds=20.0)
    one.refuse(2.0, "fault", "c")
    deliver(2.0, one, other)
    assert not other.usable(3.0)
    one.pool.roll_back(one.receipts)
    deliver(4.0, one, other)
    assert other.usable(4.0)
    assert other.state(4.0) == Node().state(4.0)


def test_a_success_and_a_person_end_cooldowns_on_all_nodes() -> None:
    one, other = Node(), Node(late=50.0)
    one.refuse(1.0, "excluded")
    one.refuse(1.0, "disabled", "c")
    deliver(1.0, one, other)
    assert not other.usable(2.0) and not other.usable(2.0, "c")
    other.refuse(2.0, "answered")
    other.pool.runtimes["gemini", "c"].wake()
    deliver(3.0, one, other)
    assert one.usable(3.0) and one.usable(3.0, "c")


def test_steps_of_a_backoff_add_up_over_the_nodes() -> None:
    one, other, alone = Node(), Node(late=50.0), Node()
    for at, node in ((0.0, one), (3.0, other), (8.0, one)):
        node.refuse(at, "backoff")
        deliver(at, one, other)
        alone.refuse(at, "backoff")
    assert one.state(8.0) == other.state(8.0) == alone.state(8.0)


def test_a_fact_about_a_key_does_not_hold_for_another_key_of_the_same_name() -> None:
    one, other = Node(), Node()
    other.pool.reload([credential("c", key="another-key-of-that-name")])
    other.replica.attach()
    one.refuse(1.0, "disabled", "c")
    deliver(1.0, one, other)
    assert other.usable(2.0, "c")


def test_what_is_known_of_an_account_holds_when_it_comes_later() -> None:
    one, other = Node(), Node()
    other.pool.reload([])
    other.replica.attach()
    one.refuse(1.0, "cooldown", seconds=60.0)
    deliver(1.0, one, other)
    other.pool.reload([credential("b", project=PROJECT)])
    other.replica.attach()
    other.tell(2.0)
    assert not other.usable(2.0, "b")


def test_an_account_that_is_enabled_wakes_on_all_nodes() -> None:
    one, other = Node(), Node()
    one.refuse(1.0, "disabled", "c")
    one.refuse(1.0, "cooldown", "c", seconds=600.0)
    deliver(1.0, one, other)
    one.pool.reload([credential("c", enabled=False)])
    one.replica.attach()
    one.pool.reload([credential("c")])
    one.replica.attach()
    deliver(2.0, one, other)
    assert one.usable(2.0, "c") and other.usable(2.0, "c")


def test_a_node_that_has_started_again_knows_its_own_facts() -> None:
    one, other = Node(), Node()
    one.refuse(1.0, "backoff")
    one.refuse(1.0, "overload", "c", seconds=30.0)
    deliver(1.0, one, other)
    again = Node(late=500.0, attached=False)
    for name, runtime in one.pool.runtimes.items():
        entries = [*runtime.own.entries(), *runtime.shared.entries()]
        moved = (msgspec.structs.replace(each, at=each.at - 500.0, sent=each.sent - 500.0) for each in entries)
        again.pool.restore(name, moved)
    again.replica.receive(list(one.replica.facts), 5.0 - 500.0)
    again.replica.attach()
    deliver(5.0, again)
    assert again.sent == []
    assert again.state(5.0) == one.state(5.0)
    other.pool.runtimes["gemini", "c"].wake()
    deliver(6.0, other, again)
    assert again.usable(6.0, "c")


def test_after_a_sleep_entries_have_the_times_of_their_facts() -> None:
    one, other = Node(), Node()
    one.refuse(1.0, "cooldown", seconds=60.0)
    deliver(1.0, one, other)
    # The machine of the second node sleeps for 40 s: its monotonic clock stands still.
    other.pool.age(40.0)
    other.late += 40.0
    other.tell(42.0)
    other.replica.rebase(NOON + other.late, 2.0)
    assert other.state(42.0) == one.state(42.0)
    other.tell(42.0)
    assert other.sent == []


KINDS: tuple[EffectKind, ...] = (
    "cooldown",
    "backoff",
    "daily",
    "overload",
    "excluded",
    "disabled",
    "fault",
    "answered",
)
ACTIONS = st.tuples(
    st.floats(0.0, 400.0),
    st.integers(0, 2),
    st.sampled_from([*KINDS, "wake", "roll back", "tell", "expire", "snapshot"]),
    st.sampled_from("abc"),
    st.integers(0, 2),
    st.floats(0.0, 0.99),
)


@given(st.lists(ACTIONS, max_size=40), st.randoms(use_true_random=False))
def test_nodes_agree_once_they_have_heard_the_same(
    actions: list[tuple[float, int, str, str, int, float]], choices: random.Random
) -> None:
    nodes = [Node(late) for late in (0.0, 17.3, 4_000.1)]
    now = 5_000.0
    for wait, number, action, account, other, share in actions:
        now += wait * share
        node = nodes[number]
        if action == "tell":
            node.tell(now)
            for message in node.sent[-3:]:
                nodes[other].hear(now, message)
        elif action == "expire":
            node.tell(now)
            node.replica.expire(now - node.late)
        elif action == "snapshot":
            node.tell(now)
            nodes[other].hear(now, encoded(node.replica.facts))
        elif action == "roll back":
            node.pool.roll_back(node.receipts[-2:])
        elif action == "wake":
            node.pool.runtimes["gemini", account].wake()
        else:
            seconds = wait * 20 if action in ("cooldown", "overload") else 0.0
            kind: EffectKind = action  # type: ignore[assignment]
            node.refuse(now, kind, account, seconds=seconds, jitter=share, sent=now - wait * share / 2)
    deliver(now, *nodes, order=lambda messages: _shuffle(messages, choices))
    deliver(now, *nodes, order=lambda messages: _shuffle(messages, choices))
    for at in (now, now + 1.0, now + 30.0, now + 700.0):
        assert nodes[0].state(at) == nodes[1].state(at) == nodes[2].state(at)


def _shuffle(messages: list[bytes], choices: random.Random) -> None:
    messages += messages[:3]
    choices.shuffle(messages)


def test_nothing_is_said_twice() -> None:
    one, other = Node(), Node()
    one.refuse(1.0, "cooldown", seconds=60.0)
    deliver(1.0, one, other)
    deliver(2.0, one, other)
    assert (len(one.sent), len(other.sent)) == (1, 0)


def test_a_reason_that_is_no_text_in_utf_8_is_replicated() -> None:
    one, other = Node(), Node()
    apply(one.pool, "cooldown", 1.0, seconds=60.0, reason="half \ud83d of it", wall=NOON)
    deliver(1.0, one, other)
    assert one.state(2.0) == other.state(2.0)
    assert not other.usable(2.0)


def test_facts_that_are_over_are_not_applied() -> None:
    fact = Fact(run="x", number=1, kind="delay", provider="gemini", account="c", proof="?", at=NOON, seconds=1.0)
    node = Node()
    node.hear(2.0, encoded([fact]))
    assert list(node.replica.facts) == []
