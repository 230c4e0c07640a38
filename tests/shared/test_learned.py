"""What one node has learnt of models, all know."""

from __future__ import annotations

import time

from bm.dispatch.target import Target
from bm.gateway.learned import ContextLimits, LearnedRemedies, TokenCalibration
from bm.remedies.remedy import Remedy
from bm.shared.learned import Learned
from tests.gateway.matrix import providers
from tests.shared.nodes import Node, nodes
from tests.support.valkey import Valkey
from tests.support.waiting import until

GEMINI = providers()["gemini"]
TARGET = Target("gemini", "one", "m", "gemini")
REMEDY = Remedy("remove", "temperature")


class Models:
    """What a node has learnt, and shares."""

    def __init__(self, node: Node) -> None:
        self.calibration, self.limits, self.remedies = TokenCalibration(), ContextLimits(), LearnedRemedies()
        parts = self.calibration, self.limits, self.remedies
        self.learned = Learned(node.store, node.outbox, node.news, parts, lambda: [GEMINI])

    def learn(self) -> None:
        wall = time.time()
        self.remedies.learn(GEMINI, TARGET, REMEDY, wall=wall)
        self.limits.learn(GEMINI, "m", 1_000, wall=wall)
        self.calibration.learn(("gemini", "m"), 1_000, 1_500)

    @property
    def known(self) -> tuple[bool, int, int]:
        """Whether the remedy is known, the limit, and what an estimate of 100 tokens becomes."""
        remedied = self.remedies.of(("gemini", "m", "gemini")) == (REMEDY,)
        return remedied, self.limits.of("gemini").get("m", 0), self.calibration.correct(("gemini", "m"), 100)


ALL, NONE = (True, 1_000, 150), (False, 0, 100)


async def test_what_a_node_learns_all_know(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = map(Models, found)
        a.learn()
        await until(lambda: b.known == ALL)


async def test_a_node_that_joins_knows_what_was_learnt_before(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a") as (first,):
        Models(first).learn()
        await first.settled()
        await first.store.command("DEL", first.news.key)
        b = Models(first)
        assert b.known == NONE
        await b.learned.catch_up()
        assert b.known == ALL


async def test_a_store_that_has_lost_everything_is_filled_again(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a") as (node,):
        a = Models(node)
        a.learn()
        await node.settled()
        await node.store.command("FLUSHALL")
        await a.learned.catch_up()
        await node.settled()
        b = Models(node)
        await b.learned.catch_up()
        assert b.known[:2] == ALL[:2]


async def test_what_is_forgotten_of_a_model_is_forgotten_by_all(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = map(Models, found)
        a.learn()
        await until(lambda: b.known == ALL)
        assert b.remedies.forget_model("m") == 1
        await until(lambda: not a.known[0])
        c = Models(found[0])
        await c.learned.catch_up()
        assert not c.known[0]


async def test_a_factor_that_hardly_changes_is_no_news(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a") as (node,):
        a = Models(node)
        for counted in (1_500, 1_510, 1_520):
            a.calibration.learn(("gemini", "m"), 1_000, counted)
        await node.settled()
        assert await node.store.command("XLEN", node.news.key) == 1


async def test_a_factor_heard_of_from_another_node_is_no_news(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = map(Models, found)
        a.calibration.learn(("gemini", "m"), 1_000, 1_500)
        await until(lambda: b.known == (False, 0, 150))
        b.calibration.learn(("gemini", "m"), 1_000, 1_510)
        await found[1].settled()
        assert await found[0].store.command("XLEN", found[0].news.key) == 1


async def test_a_factor_changes_nothing_that_dispatch_plans_by(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = map(Models, found)
        before = b.limits.version, b.remedies.version
        a.calibration.learn(("gemini", "m"), 1_000, 1_500)
        await until(lambda: b.known == (False, 0, 150))
        assert (b.limits.version, b.remedies.version) == before
