"""What requests of an earlier daemon change reaches the one that serves, once, by the wall clock."""

from __future__ import annotations

import msgspec

from bm.accounts.affinity import Affinities
from bm.accounts.changes import AccountChanges, AccountWatch, merge
from bm.accounts.pool import Pool
from tests.accounts.build import NOON, apply, credential, target, usable

AHEAD = 1_000.0
"""The other daemon counts its monotonic seconds from here: both may run on machines that have slept."""


class Two:
    """Two daemons with the same accounts, and the watch of the earlier one."""

    def __init__(self, *names: str, project: str = "") -> None:
        self.old, self.new = (Pool([credential(name, project=project) for name in names]) for _ in range(2))
        self.turns, self.later = (Affinities(size=9, ttl=100) for _ in range(2))
        apply(self.old, "excluded", 1.0, to=target(model="before"))
        self.old.runtimes["gemini", "a"].count(NOON, requests=5)
        self.watch = AccountWatch(self.old, self.turns, 2.0)

    def report(self, now: float) -> AccountChanges:
        changes = self.watch.changes(now, NOON + now)
        decoded = msgspec.json.decode(msgspec.json.encode(changes), type=AccountChanges)
        merge(self.new, self.later, decoded, now=now + AHEAD, wall=NOON + now)
        return changes


def test_a_cooldown_arrives_and_what_was_there_before_does_not_come_back() -> None:
    two = Two("a", "b")
    apply(two.old, "cooldown", 10.0, seconds=60)
    two.report(11.0)
    two.report(12.0)
    assert not usable(two.new, 69.0 + AHEAD) and usable(two.new, 71.0 + AHEAD)
    assert usable(two.new, 12.0 + AHEAD, target(model="before"))
    assert usable(two.new, 12.0 + AHEAD, target("b"))


def test_amounts_are_added_once() -> None:
    two = Two("a", "b", project="p")
    now = 10.0
    two.new.begin(target(), now=now + AHEAD, wall=NOON + now).end()
    two.old.begin(target(), now=now, wall=NOON + now).end()
    two.old.runtimes["gemini", "b"].meter.count("m", 700, "tokens", now=now, wall=NOON + now)
    for later in (11.0, 12.0):
        two.report(later)
    runtime = two.new.runtimes["gemini", "a"]
    used = {(gauge.unit, gauge.window): gauge.used for gauge in runtime.meter.all()}
    assert used["requests", "day"] == 2 and used["tokens", "day"] == 700
    assert runtime.today.requests == 2


def test_health_and_the_account_of_a_conversation_arrive() -> None:
    two = Two("a")
    for _ in range(8):
        apply(two.old, "fault", 10.0)
    two.turns.set("talk", ("gemini", "a"), 10.0)
    two.turns.set("gone", ("gemini", "removed"), 10.0)
    two.report(11.0)
    assert two.new.runtimes["gemini", "a"].health.score(11.0 + AHEAD) < 0.5
    assert two.later.get("talk", 11.0 + AHEAD) == ("gemini", "a")
    assert two.later.get("gone", 11.0 + AHEAD) is None


def test_nothing_new_is_an_empty_report() -> None:
    assert Two("a", "b").report(11.0) == AccountChanges()


def test_another_key_of_the_same_name_is_another_account() -> None:
    two = Two("a")
    two.new.reload([credential("a", key="another-key-0123456789")])
    apply(two.old, "cooldown", 10.0, seconds=60)
    two.report(11.0)
    assert usable(two.new, 12.0 + AHEAD)
