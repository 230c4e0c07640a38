"""Budgets and rates of several nodes, against a real store; each test says when a node speaks to it."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import pytest

from bm.config.budget import limits_of
from bm.config.schema import Shared
from bm.keys.bucket import Rate, rates, whole_seconds
from bm.keys.common import Answer, Ask
from bm.keys.key import Key
from bm.keys.spending import Budget, Hold, Scope, Spending, Used
from bm.shared import limits
from bm.shared.client import Word
from bm.shared.limits import SharedLimits
from bm.shared.store import Script, Store, StoreAway
from bm.tasks import failures
from tests.support.valkey import Valkey

TOTAL = Scope("total")


@dataclass
class Node:
    """One of the nodes."""

    spending: Spending
    limits: SharedLimits

    @property
    def budget(self) -> Budget:
        """Its first budget, as it knows it."""
        return next(iter(self.spending))

    async def ask(self, *asks: Ask) -> list[Answer]:
        """Ask the store all of this in one call."""
        asking = [asyncio.ensure_future(self.limits.ask(ask)) for ask in asks]
        await asyncio.sleep(0)
        await self.limits.step()
        return await asyncio.gather(*asking)

    async def reserve(self, *amounts: float, key: str = "main", regardless: bool = False) -> list[Hold | None]:
        """A hold for each amount of money that a request may cost; None where it is refused."""
        holds = [self.spending.hold(key) for _ in amounts]
        asks = [Ask((), hold, Used("groq", most, 0), regardless) for hold, most in zip(holds, amounts, strict=True)]
        answers = await self.ask(*asks)
        return [hold if answer.held else None for hold, answer in zip(holds, answers, strict=True)]

    async def settle(self, hold: Hold | None, money: float) -> None:
        """The request has ended, and the store learns it."""
        assert hold is not None
        hold.settle([Used("groq", money, 0)] if money else [], time.time())
        await self.tell()

    async def tell(self) -> None:
        """Tell and learn what is new, as in every beat."""
        self.limits._looked = self.limits._searched = float("-inf")
        await self.limits.step()


class Disturbed(Store):
    """A store that may lose replies, or be out of reach."""

    lost = gone = False

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Word] = ()) -> Any:
        if self.gone:
            raise StoreAway("gone")
        reply = await super().run(script, keys, arguments)
        if self.lost:
            raise StoreAway("lost")
        return reply


Make = Callable[..., Node]


@pytest.fixture
async def store(valkey: Valkey) -> AsyncIterator[Disturbed]:
    store = Disturbed(Shared(url=valkey.url), limit=30.0)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def make(store: Disturbed) -> Make:
    """Makes nodes that share budgets, which are in all unless a scope is given."""

    def made(*budgets: str, scope: Scope = TOTAL, nodes: int = 3, is_closed: bool = False) -> Node:
        spending = Spending(UTC)
        found = [(scope, limit) for text in budgets for limit in limits_of(text)]
        spending.configure(found, frozenset(), time.time())
        shared = SharedLimits(store, spending, nodes=lambda: nodes, is_closed=is_closed)
        return Node(spending, shared)

    return made


async def test_what_one_node_reserves_and_spends_every_node_knows(make: Make) -> None:
    one, two = make("1/day"), make("1/day")
    (hold,) = await one.reserve(0.75)
    await two.tell()
    assert (two.budget.spent, two.budget.reserved) == (0, 0.75)
    await one.settle(hold, 0.5)
    await two.tell()
    assert (two.budget.spent, two.budget.reserved) == (0.5, 0)
    assert (one.budget.spent, one.budget.reserved) == (0.5, 0)


async def test_the_last_of_a_budget_is_reserved_once(make: Make) -> None:
    nodes = [make("1/day") for _ in range(3)]
    held = await asyncio.gather(*(node.reserve(0.6, 0.6) for node in nodes))
    assert sum(hold is not None for holds in held for hold in holds) == 2
    for node in nodes:
        await node.tell()
        denial = node.spending.denial("main", "groq", time.time())
        assert denial is not None and denial.retry_after == 5


async def test_a_request_that_the_rest_may_not_stop_is_counted_all_the_same(make: Make) -> None:
    one, two = make("1/day"), make("1/day")
    await one.reserve(2.0)
    assert await two.reserve(0.5) == [None]
    (hold,) = await two.reserve(0.5, regardless=True)
    await two.settle(hold, 0.25)
    assert (two.budget.spent, two.budget.reserved) == (0.25, 2.0)


async def test_budgets_of_others_are_not_touched(make: Make) -> None:
    one, two = (make("1/day", scope=Scope("key", "ci")) for _ in range(2))
    assert await one.reserve(5.0, 5.0) != [None, None]
    assert len([hold for hold in await one.reserve(1.0, 1.0, key="ci") if hold]) == 1
    assert await two.reserve(1.0, key="ci") == [None]
    assert None not in await two.reserve(1.0, key="main")


async def test_a_client_that_leaves_while_the_store_is_asked_reserves_nothing(make: Make) -> None:
    one, two = make("1/day"), make("1/day")
    asking = asyncio.ensure_future(one.limits.ask(Ask((), one.spending.hold("main"), Used("groq", 1.0, 0))))
    await asyncio.sleep(0)
    stepping = asyncio.ensure_future(one.limits.step())
    await asyncio.sleep(0)
    asking.cancel()
    await stepping
    await one.tell()
    assert None not in await two.reserve(1.0)


async def test_a_lost_reply_counts_nothing_twice_and_holds_nothing(make: Make, store: Disturbed) -> None:
    one, two = make("9/day"), make("9/day")
    holds = await one.reserve(1.0, 1.0)
    store.lost = True
    for hold in holds:
        await one.settle(hold, 1.0)
    (answer,) = await one.ask(Ask((), one.spending.hold("main"), Used("groq", 4.0, 0)))
    assert answer.away
    store.lost = False
    await one.tell()
    await two.tell()
    assert (two.budget.spent, two.budget.reserved) == (2.0, 0.0)
    assert (one.budget.spent, one.budget.reserved) == (2.0, 0.0)


async def test_what_a_dead_node_held_lapses_and_what_it_spent_stays(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LAPSE", 0.05)
    dead, alive = make("1/day"), make("1/day")
    first, _ = await dead.reserve(0.4, 0.5)
    await dead.settle(first, 0.4)
    await alive.tell()
    assert (alive.budget.spent, alive.budget.reserved) == (0.4, 0.5)
    await asyncio.sleep(0.06)
    await alive.tell()
    assert (alive.budget.spent, alive.budget.reserved) == (0.4, 0.0)
    # It was only silent: what it still holds counts again.
    await dead.tell()
    await alive.tell()
    assert alive.budget.reserved == 0.5


async def test_a_store_that_forgets_learns_what_nodes_know(make: Make, store: Disturbed) -> None:
    one, two = make("9/day"), make("9/day")
    (hold,) = await one.reserve(2.0)
    await one.settle(hold, 2.0)
    (hold,) = await two.reserve(1.0)
    await store.command("FLUSHALL")
    await two.tell()
    await two.settle(hold, 0.5)
    await one.tell()
    assert one.budget.spent == two.budget.spent == 2.5


async def test_what_a_ledger_knows_of_before_counts_once(make: Make) -> None:
    """Each node reads it when it starts, and with a ledger for all each reads the same."""
    for _ in range(2):
        node = make("9/day")
        node.spending.restore(node.budget, [("main", Used("groq", 1.5, 0))])
        await node.tell()
        assert node.budget.spent == 1.5


async def test_each_period_has_its_own_sum(make: Make, store: Disturbed) -> None:
    one, two = make("1/hour"), make("1/hour")
    (hold,) = await one.reserve(1.0)
    await one.settle(hold, 1.0)
    next_hour = one.budget.end + 1
    for node in (one, two):
        assert [budget.spent for budget in node.spending.now(next_hour)] == [0.0]
        node.limits._budget(call := limits._Call("n", store.key), node.budget)
        assert await store.command("EXISTS", *call.keys()) == 0


@pytest.mark.parametrize("nodes", [1, 2, 3])
async def test_apart_each_node_has_its_share_of_the_rest(make: Make, store: Disturbed, nodes: int) -> None:
    """Of $1, $0.40 was spent."""
    several = [make("1/day", nodes=nodes) for _ in range(nodes)]
    (hold,) = await several[0].reserve(0.4)
    await several[0].settle(hold, 0.4)
    for node in several:
        await node.tell()
    store.gone = True
    for node in several:
        assert (await node.ask(Ask((), node.spending.hold("main"), Used("groq", 0.1, 0))))[0].away
        spent = 0.0
        while (denial := node.spending.denial("main", "groq", time.time())) is None:
            node.spending.hold("main").settle([Used("groq", 0.01, 0)], time.time())
            spent += 0.01
        assert spent == pytest.approx(0.6 / nodes, abs=0.011)
        assert (denial.apart, denial.retry_after) == ((True, 30) if nodes > 1 else (False, None))
        assert "the store by which the nodes share it is away" in denial.message or nodes == 1
    store.gone = False
    for node in several * 2:
        await node.tell()
    assert all(node.budget.spent == pytest.approx(1.0, abs=0.04) and node.budget.is_spent for node in several)


async def test_a_period_that_begins_while_the_store_is_away_is_shared_out(make: Make, store: Disturbed) -> None:
    node = make("1/hour", nodes=4)
    await node.tell()
    store.gone = True
    await node.tell()
    (budget,) = node.spending.now(node.budget.end + 1)
    assert budget.limit.amount - budget.reserved == 0.25


async def test_that_the_store_is_away_and_back_is_said_once(
    make: Make, store: Disturbed, caplog: pytest.LogCaptureFixture
) -> None:
    node = make("1/day")
    store.gone = True
    for _ in range(3):
        await node.tell()
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the shared store does not answer: requests with budgets or rates go on with this node's share, 1 of 3 (gone)"
    ]
    assert said[0].removesuffix(" (gone)") in failures()
    # No request waits for a store that is known to be away.
    assert await node.limits.ask(Ask()) == Answer(away=True)
    store.gone = False
    await node.tell()
    assert not node.limits.away and not any("shared store" in each for each in failures())


async def test_a_store_that_is_silent_counts_as_away(
    make: Make, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PATIENCE", 0.05)
    node = make("1/day")
    with valkey.silent():
        (answer,) = await node.ask(Ask((), node.spending.hold("main"), Used("groq", 0.1, 0)))
        assert answer.away
    monkeypatch.undo()
    await node.tell()
    assert not node.limits.away and node.budget.reserved == 0


async def test_what_a_newer_version_wrote_is_left_alone(make: Make, store: Disturbed) -> None:
    node = make("1/day")
    node.limits._budget(call := limits._Call("n", store.key), node.budget)
    await store.command("HSET", call.keys()[0], "format", 2, "spent", "?")
    await node.tell()
    assert node.limits.away
    assert await store.command("HGET", call.keys()[0], "spent") == b"?"


def taking(key: Key, tokens: int = 0) -> Ask:
    return Ask(rates(key, tokens))


async def test_requests_per_minute_hold_over_all_nodes(make: Make) -> None:
    nodes, key = [make() for _ in range(3)], Key(name="ci", rpm=6)
    answers = [(await node.ask(taking(key)))[0] for node in itertools.islice(itertools.cycle(nodes), 8)]
    assert [whole_seconds(answer.wait) for answer in answers] == [0, 0, 0, 0, 0, 0, 10, 10]
    assert (await nodes[0].ask(taking(Key(name="other", rpm=6))))[0].wait == 0


@pytest.mark.parametrize(
    ("taken", "wanted", "wait"),
    [(0, 600, 0), (600, 10, 1), (600, 12, 2), (600, 300, 30), (900, 300, 60), (600, 5_000, 60), (0, 5_000, 0)],
)
async def test_the_wait_for_tokens_is_right_to_the_second(make: Make, taken: int, wanted: int, wait: int) -> None:
    """A minute fills 600; another node has used them, and reports it when its answer has ended."""
    one, two, key = make(), make(), Key(name="ci", tpm=600)
    one.limits.use(Rate("ci:tpm", key.tpm, taken))
    await one.limits.step()
    (answer,) = await two.ask(taking(key, wanted))
    assert whole_seconds(answer.wait) == wait


async def test_what_was_taken_too_much_comes_back_once(make: Make, store: Disturbed) -> None:
    one, two, key = make(), make(), Key(name="ci", tpm=600)
    await one.ask(taking(key, 600))
    one.limits.use(Rate("ci:tpm", key.tpm, -300))
    store.lost = True
    await one.limits.step()
    store.lost = False
    await one.limits.step()
    assert [answer.wait == 0 for answer in await two.ask(taking(key, 300), taking(key, 100))] == [True, False]


async def test_a_changed_limit_begins_with_a_full_bucket(make: Make) -> None:
    node = make()
    waits = [(await node.ask(taking(Key(name="ci", rpm=limit))))[0].wait > 0 for limit in (1, 1, 2, 2, 2)]
    assert waits == [False, True, False, False, True]


async def test_a_rate_is_taken_even_if_a_budget_refuses(make: Make) -> None:
    node, key = make("1/day"), Key(name="ci", rpm=1)
    await node.reserve(1.0)
    asks = [Ask(rates(key, 0), node.spending.hold("ci"), Used("groq", 0.1, 0)) for _ in range(2)]
    refused, limited = await node.ask(*asks)
    assert (refused.held, refused.wait) == (False, 0)
    assert whole_seconds(limited.wait) == 60


async def in_step(nodes: Sequence[Node], what: Callable[[], Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(node.limits.keep_in_step()) for node in nodes]
    try:
        await what()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.seeds(25, 100)
async def test_a_dollar_under_two_hundred_streams_of_three_nodes(
    make: Make, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With aborts, it is exceeded by one reservation at most, at any moment, and all of it may be spent."""
    monkeypatch.setattr(limits, "PATIENCE", 30.0)
    chance, nodes = random.Random(seed), [make("1/day") for _ in range(3)]
    spent, largest, held = 0.0, 0.0, 0.0

    async def stream(node: Node) -> None:
        nonlocal spent, largest, held
        for _ in range(50):
            most, hold = chance.uniform(0.001, 0.2), node.spending.hold("main")
            answer = await node.limits.ask(Ask((), hold, Used("groq", most, 0)))
            assert not answer.away
            if not answer.held:
                if node.budget.is_spent:
                    return
                await asyncio.sleep(0.005)
                continue
            held, largest = held + most, max(largest, most)
            assert spent + held <= 1 + largest + 1e-9
            await asyncio.sleep(0)
            cost = most * chance.choice((1.0, chance.random(), 0.0))
            spent, held = spent + cost, held - most
            hold.settle([Used("groq", cost, 0)] if cost else [], time.time())
            node.limits.tell()

    async def all_streams() -> None:
        await asyncio.gather(*(stream(nodes[number % 3]) for number in range(200)))

    await in_step(nodes, all_streams)
    for node in nodes * 2:
        await node.tell()
    assert 1 <= spent <= 1 + largest
    assert {(round(node.budget.spent, 9), node.budget.reserved) for node in nodes} == {(round(spent, 9), 0.0)}
