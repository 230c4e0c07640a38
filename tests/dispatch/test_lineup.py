"""The first choice that is made without a plan, what it says of the others, and the plan that it begins."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from bm.accounts.pool import Pool
from bm.accounts.roster import Roster
from bm.dispatch.lineup import MOST_LINES, MOST_NAMED, Lineup, compiled
from bm.dispatch.plan import Plan, plan
from bm.dispatch.routes import resolve
from bm.dispatch.snapshot import AccountState, Member, RouteQuery, Snapshot
from tests.accounts.build import apply, credential, target
from tests.dispatch.world import MODEL, gemini, order, paid

STEPS = [number / 120 for number in range(120)]
QUERY = RouteQuery(model=MODEL, protocol="anthropic")


class World:
    """Providers and the accounts of a pool, and what requests lead to."""

    def __init__(self, *members: Member, accounts: int = 3) -> None:
        names = [each.provider.name for each in members]
        own = [credential(f"g{number}") for number in range(accounts)] if "gemini" in names else []
        keys = [credential(f"{name}{number}", provider=name) for name in names if name != "gemini" for number in "12"]
        self.pool = Pool([*own, *keys])
        self.members = members
        kinds = tuple(msgspec.structs.replace(each, accounts=self._kinds(each)) for each in members)
        snapshot = Snapshot(members=kinds)
        self.resolved = resolve(QUERY, snapshot.names, {}, None)
        found = compiled(self.resolved, snapshot, QUERY, self._roster)
        assert found is not None
        self.lineup: Lineup = found

    def _kinds(self, member: Member) -> tuple[AccountState, ...]:
        lists = self.pool.lists(member.provider.name)
        return tuple(AccountState(name=str(number), models=models) for number, models in enumerate(lists))

    def _roster(self, provider: str, number: int, model: str) -> Roster:
        return self.pool.roster(provider, self.pool.lists(provider)[number], model)

    def partial(self, number: float = 0.0, now: float = 0.0) -> Plan:
        first = self.lineup.first(now, tokens=0, affinity=None, random_number=number, patience=0.0)
        assert first is not None
        return self.lineup.plan(first, QUERY, self.resolved, number, now)

    def whole(self, number: float = 0.0, now: float = 0.0, partial: Plan | None = None) -> Plan:
        states = self.pool.states(now)
        members = (msgspec.structs.replace(each, accounts=states[each.provider.name]) for each in self.members)
        first = partial.choices[0] if partial else None
        return plan(Snapshot(members=tuple(members)), QUERY, random_number=number, first=first)


def test_each_slot_has_its_exact_share() -> None:
    world = World(gemini(), paid("one", "pooled"), paid("two", "pooled"), paid("three", "fallback"), accounts=2)
    shares = Counter(world.partial(number).targets[0].provider for number in STEPS)
    assert shares == {"gemini": 60, "one": 30, "two": 30}


@pytest.mark.parametrize("number", STEPS[::7])
def test_it_is_the_first_of_a_plan_and_the_rest_follows_in_its_order(number: float) -> None:
    world = World(gemini(), paid("one", "pooled"), paid("two", "pooled"), paid("three", "fallback"))
    for used, name in enumerate(["g1", "g0", "g2"]):
        world.pool.begin(target(name), now=float(used), wall=0.0).end()
    for used, name in enumerate(["one2", "one1", "two1", "two2", "three2", "three1"]):
        world.pool.begin(target(name, provider=name[:-1]), now=float(used), wall=0.0).end()
    partial, whole = world.partial(number, 10.0), world.whole(number, 10.0)
    assert order(partial) == order(whole)[:1]
    assert partial.choices[0].reason == whole.choices[0].reason
    assert order(world.whole(number, 10.0, partial)) == order(whole)


def test_the_rest_is_as_things_are_by_then() -> None:
    world = World(gemini(), paid("one", "pooled"), paid("three", "fallback"))
    partial = world.partial()
    first = partial.targets[0]
    apply(world.pool, "disabled", 1.0, to=first)
    other = next(name for name in ("g0", "g1", "g2") if name != first.account)
    apply(world.pool, "cooldown", 1.0, to=target(other, MODEL), seconds=20.0)
    completed = world.whole(0.0, 1.0, partial)
    assert [each.split("/")[0] for each in order(completed)] == ["gemini"] * 2 + ["one"] * 2 + ["three"] * 2
    assert completed.choices[0] == partial.choices[0]
    assert [each.target.account for each in completed.cooling_down] == [other]
    assert completed.disabled == ()
    assert [line.verdict for line in completed.considered if line.account == first.account] == ["ready"]


def test_it_says_of_each_account_that_is_out_why() -> None:
    world = World(gemini(), paid("one", "off"), paid("two", "fallback"))
    apply(world.pool, "cooldown", 0.0, to=target("g1", MODEL), seconds=30.0, reason="too many")
    apply(world.pool, "disabled", 0.0, to=target("g2"), reason="bad key")
    assert {*world.partial(now=5.0).considered} == {*world.whole(now=5.0).considered}
    later = {line.account: line.seconds for line in world.partial(now=20.0).considered}
    assert (later["g1"], later["g2"]) == (10.0, 0.0)


def test_many_accounts_that_are_ready_share_a_line() -> None:
    few, many = (World(gemini(), accounts=number) for number in (MOST_NAMED + 1, MOST_NAMED + 2))
    assert len(few.partial().considered) == MOST_NAMED + 1
    assert [line.account for line in many.partial().considered[1:]] == [""]
    assert f"{MOST_NAMED + 1} more accounts" in many.partial().considered[1].reason


def test_the_lines_are_limited_and_the_others_counted() -> None:
    providers = [paid(f"p{number}", "fallback") for number in range(MOST_LINES)]
    made = World(gemini(), *providers).partial()
    assert MOST_LINES <= len(made.considered) <= MOST_LINES + MOST_NAMED
    listed = {line.provider for line in made.considered}
    assert made.unlisted == 1 + MOST_LINES - len(listed)


def test_nothing_ready_is_left_to_a_plan() -> None:
    world = World(gemini())
    for name in ("g0", "g1", "g2"):
        apply(world.pool, "cooldown", 0.0, to=target(name, MODEL), seconds=30.0)
    assert world.lineup.first(0.0, tokens=0, affinity=None, random_number=0.0, patience=0.0) is None
