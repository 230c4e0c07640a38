"""A roster says what looking at every account would say, however the accounts have changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import get_args

import msgspec
import pytest

from bm.accounts.cooldowns import EXCLUDED_FOR, FORGET
from bm.accounts.pool import MAX_ON_ROSTERS, Lease, Pool, Receipt
from bm.accounts.quota import Unit, Window
from bm.accounts.roster import Roster, Standing
from bm.accounts.runtime import WINDOW, AccountRuntime
from bm.dispatch.candidates import is_usable, rank_of
from bm.dispatch.outcome import EffectKind
from tests.accounts.build import NOON, apply, credential, target

HERE = ("gemini", None, "m")
KINDS: tuple[EffectKind, ...] = tuple(kind for kind in get_args(EffectKind) if kind != "none")


def in_order(roster: Roster, now: float) -> list[str]:
    """The accounts in the order in which requests go to them."""
    roster.refresh(now)
    return [roster.name(number) for number in roster.rotation]


def expected(pool: Pool, now: float) -> list[str]:
    """The same from the state of every account."""
    usable = [each for each in pool.states(now)["gemini"] if is_usable(each, "m")]
    return [each.name for each in sorted(usable, key=lambda each: rank_of(each, "m"))]


class Traffic:
    """Requests under way, and what earlier ones have done to accounts."""

    def __init__(self, pool: Pool, rng: random.Random) -> None:
        self.pool, self.rng = pool, rng
        self.leases: list[Lease] = []
        self.receipts: list[Receipt] = []

    def change(self, now: float) -> None:
        """Make one of the changes that requests and people make."""
        rng, wall = self.rng, NOON + now
        to = target(rng.choice("abcdef"), rng.choice(["m", "m", "other"]))
        runtime = self.pool.runtimes[to.account_id]
        match rng.randrange(9):
            case 0 | 1:
                self.leases.append(self.pool.begin(to, now=now, wall=wall))
            case 2 | 3 if self.leases:
                self.leases.pop(rng.randrange(len(self.leases))).end()
            case 4 | 5:
                kind, seconds = rng.choice(KINDS), rng.choice([None, 3.0, 30.0, 7200.0])
                self.receipts.append(apply(self.pool, kind, now, to=to, seconds=seconds, jitter=rng.random()))
            case 6:
                left, resets = rng.choice([0, 1, 9, 10]), rng.choice([5.0, 60.0])
                gauge: tuple[str, Window, Unit] = (to.model, "minute", "requests")
                runtime.meter.learn(gauge, 10, left=left, resets=resets, now=now, wall=wall)
            case 7:
                self.pool.roll_back(self.receipts[-2:])
            case 8 if rng.random() < 0.2:
                runtime.wake()
            case _:
                runtime.health.merge([(now, rng.choice([0, -1, -1]))])


@pytest.mark.parametrize("seed", range(12))
def test_a_roster_agrees_with_the_state_of_every_account(seed: int) -> None:
    rng, now = random.Random(seed), 0.0
    pool = Pool(credential(name, project="p" if name in "ef" else "", weight=1 + (name == "b")) for name in "abcdef")
    traffic, hasty = Traffic(pool, rng), seed % 2
    for _ in range(200):
        roster = pool.roster(*HERE)
        traffic.change(now)
        assert in_order(roster, now) == expected(pool, now)
        # Times at which something ends exactly, and times between.
        steps = [0.0, 0.001, 1.0, 2.0, 17.3] if hasty else [2.0, 60.0, WINDOW, FORGET, 1800.0, EXCLUDED_FOR]
        now = roster.next_change if rng.random() < 0.2 and roster.next_change < now + 7200 else now + rng.choice(steps)
        assert in_order(roster, now) == expected(pool, now)
        assert {roster.name(number) for number in roster.out} == {*"abcdef"} - {*expected(pool, now)}


def test_the_health_of_an_account_moves_it() -> None:
    pool = Pool(map(credential, "ab"))
    health = pool.runtimes["gemini", "a"].health
    roster = pool.roster(*HERE)

    def after(what: str, now: float) -> list[str]:
        assert in_order(roster, now) == expected(pool, now), what
        return in_order(roster, now)

    assert after("nothing", 0.0) == ["a", "b"]
    for number in range(1, 6):
        health.fault(1.0, number)
    assert after("faults", 1.0) == ["b", "a"]
    health.good(2.0)
    assert after("an answer", 2.0) == ["a", "b"]
    health.merge([(3.0, -1), (3.0, -1)])
    assert after("faults of an earlier run", 3.0) == ["b", "a"]
    health.remove(frozenset({1, 2}))
    assert after("faults that were not its own", 3.0) == ["a", "b"]
    for number in range(6, 9):
        health.fault(4.0, number)
    assert after("faults", 4.0) == ["b", "a"]
    assert after("time", 3.0 + WINDOW) == ["a", "b"]


RELOADED: list[tuple[str, Callable[[Pool], object], list[str]]] = [
    ("an account is switched off", lambda pool: pool.reload([credential("a", enabled=False), credential("b")]), ["b"]),
    ("an account is removed", lambda pool: pool.reload([credential("b")]), ["b"]),
    ("an account is added", lambda pool: pool.reload(map(credential, "abc")), ["a", "b", "c"]),
    ("a model list arrives", lambda pool: pool.learn_models(("gemini", "a"), frozenset({"m"})), ["b"]),
    ("the provider is another service", lambda pool: pool.forget_models("gemini"), ["a", "b"]),
    ("the machine has slept", lambda pool: pool.age(10.0), ["a", "b"]),
]


@pytest.mark.parametrize(("change", "left"), [row[1:] for row in RELOADED], ids=[row[0] for row in RELOADED])
def test_rosters_are_made_anew(change: Callable[[Pool], object], left: list[str]) -> None:
    pool = Pool(map(credential, "ab"))
    generation = pool.generation
    assert in_order(pool.roster(*HERE), 0.0) == ["a", "b"]
    change(pool)
    assert pool.generation > generation
    assert in_order(pool.roster(*HERE), 0.0) == left


def test_an_account_switched_on_is_on_the_roster_again() -> None:
    pool = Pool([credential("a", enabled=False)])
    assert in_order(pool.roster(*HERE), 0.0) == []
    pool.reload([credential("a")])
    assert in_order(pool.roster(*HERE), 0.0) == ["a"]


def test_only_what_has_changed_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(map(credential, "abcdef"))
    roster = pool.roster(*HERE)
    roster.refresh(0.0)
    looked: list[str] = []
    standing = AccountRuntime.standing

    def seen(runtime: AccountRuntime, model: str, now: float) -> Standing:
        looked.append(runtime.id[1])
        return standing(runtime, model, now)

    monkeypatch.setattr(AccountRuntime, "standing", seen)
    roster.refresh(1.0)
    apply(pool, "cooldown", 1.0, to=target("c"), seconds=30.0)
    for now in (1.0, 2.0, 30.9, 31.1, 32.0):
        roster.refresh(now)
    assert looked == ["c", "c"]


def test_the_schedule_stays_small() -> None:
    pool = Pool(map(credential, "ab"))
    roster = pool.roster(*HERE)
    for number in range(500):
        apply(pool, "proactive", 1.0, seconds=60.0 - number / 10)
        apply(pool, "answered", 1.0)
        pool.remove(frozenset(range(number * 3)))
        roster.refresh(1.0)
    assert len(roster._schedule) <= 20


def test_model_names_without_end_are_noticed() -> None:
    pool = Pool(map(credential, "ab"))
    for number in range(MAX_ON_ROSTERS // 3 + 1):
        pool.roster("gemini", None, f"m{number}")
    assert pool.is_crowded
    pool.forget_rosters()
    assert not pool.is_crowded


def test_accounts_with_different_model_lists_are_on_different_rosters() -> None:
    pool = Pool(map(credential, "abc"))
    lists = frozenset({"m"}), frozenset({"m", "n"})
    pool.learn_models(("gemini", "a"), lists[0])
    pool.learn_models(("gemini", "c"), lists[1])
    assert pool.lists("gemini") == (lists[0], None, lists[1])
    assert [in_order(pool.roster("gemini", each, "m"), 0.0) for each in pool.lists("gemini")] == [["a"], ["b"], ["c"]]
    assert pool.lists("unknown") == ()


def test_an_account_that_is_out_keeps_the_reason() -> None:
    pool = Pool([credential("a")])
    apply(pool, "cooldown", 0.0, seconds=30.0, reason="too many requests")
    roster = pool.roster(*HERE)
    roster.refresh(10.0)
    (state, at) = roster.out[0]
    assert (state.state("m").cooldown, state.state("m").reason, at) == (20.0, "too many requests", 10.0)
    assert msgspec.structs.replace(state, states={}) == msgspec.structs.replace(roster.state(0, 10.0), states={})
