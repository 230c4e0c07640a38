"""Nodes count together, and none asks far beyond what all of them have left."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import Credential
from bm.accounts.pool import Pool
from bm.accounts.quota import Meter, Unit, Window
from bm.dispatch.target import Target
from bm.shared.probes import Probes
from bm.shared.usage import Usage
from tests.shared.nodes import Node, nodes
from tests.support.valkey import Valkey
from tests.support.waiting import until

REQUESTS: tuple[str, Window, Unit] = ("m", "minute", "requests")


@dataclass
class Counting:
    """The meter of one node, which counts with others."""

    node: Node
    meter: Meter

    def count(self, amount: int = 1, unit: Unit = "requests") -> None:
        self.meter.count("m", amount, unit, now=time.monotonic(), wall=time.time())

    def learn(self, limit: int, left: int | None = None, resets: float | None = None) -> None:
        self.meter.learn(REQUESTS, limit, left=left, resets=resets, now=time.monotonic(), wall=time.time())

    def minute(self, unit: str = "requests") -> tuple[int, int | None]:
        """What all nodes have used in this minute, and the limit."""
        for gauge in self.meter.gauges(time.monotonic()):
            if (gauge.window, gauge.unit) == ("minute", unit):
                return gauge.used, gauge.limit
        return 0, None


def counting(node: Node, count_nodes: int = 2) -> Counting:
    meter = Meter()
    meter.quota = "a quota"
    usage = Usage(
        node.store, node.outbox, node.news, lambda quota: meter if quota == meter.quota else None, lambda: count_nodes
    )
    meter.totals = usage
    return Counting(node, meter)


async def test_a_node_that_counts_learns_what_the_others_have_counted(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = map(counting, found)
        a.count(3)
        a.count(500, "tokens")
        await a.node.settled()
        b.count()
        await until(lambda: b.minute() == (4, None) and b.minute("tokens") == (500, None))


async def test_a_limit_is_known_at_once_and_counts_from_its_half_on(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = map(counting, found)
        a.learn(10)
        await until(lambda: b.minute() == (0, 10))
        a.count(4)
        await a.node.settled()
        a.count(1)
        await until(lambda: b.minute() == (5, 10))


async def test_the_word_of_the_service_counts_on_all_nodes(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = map(counting, found)
        b.count(7)
        await b.node.settled()
        a.learn(100, left=40, resets=0.3)
        await until(lambda: b.minute() == (60, 100))
        await asyncio.sleep(0.3)
        b.count()
        await until(lambda: a.minute() == (1, 100) or b.minute() == (1, 100))


async def test_what_a_service_says_is_news_where_it_is_new_or_half_is_used(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a") as (node,):
        a, lengths = counting(node), list[int]()
        for left in (90, 80, 40, 95, 94):
            a.learn(100, left=left, resets=30)
            await node.settled()
            lengths.append(await node.store.command("XLEN", node.news.key))
    assert lengths == [1, 1, 2, 3, 3]


async def test_a_refused_request_has_used_nothing_unless_the_limit_was_reached(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = map(counting, found)
        a.learn(4)
        a.count(3)
        a.meter.uncount("m", time.monotonic())
        await until(lambda: b.minute() == (2, 4))
        a.count(2)
        await a.node.settled()
        a.meter.uncount("m", time.monotonic())
        b.count()
        await until(lambda: b.minute() == (5, 4))


TARGET = Target("gemini", "one", "m", "gemini")


def pool(node: Node, count_nodes: int) -> Pool:
    """The only account of a node, which others use too."""
    made = Pool([Credential(account=Account(name="one", key="k"), secret="k")])
    meter = made.runtimes["gemini", "one"].meter
    made.share_counts(Usage(node.store, node.outbox, node.news, lambda quota: meter, lambda: count_nodes))
    made.probes = Probes(node.store, node.leases)
    return made


@pytest.mark.parametrize(("limit", "names"), [(10, "ab"), (7, "abc"), (1, "abc"), (40, "ab")])
async def test_a_limit_is_exceeded_by_at_most_one_request_a_node(valkey: Valkey, limit: int, names: str) -> None:
    draw, sent = random.Random(limit), 0
    async with nodes(valkey.url, *names) as found:
        team = [pool(node, len(names)) for node in found]
        meters = [each.runtimes["gemini", "one"].meter for each in team]
        meters[0].learn(REQUESTS, limit, left=None, resets=None, now=time.monotonic(), wall=time.time())
        await until(lambda: all(any(gauge.limit == limit for gauge in each.all()) for each in meters))

        async def client(each: Pool) -> None:
            """Asks whenever it may. No answer comes before the end."""
            nonlocal sent
            for _ in range(25):
                if not each.cooldown_left(TARGET, now := time.monotonic()):
                    each.begin(TARGET, now=now, wall=time.time())
                    sent += 1
                await asyncio.sleep(draw.uniform(0.002, 0.012))

        await asyncio.gather(*(client(each) for each in team for _ in range(8)))
    assert limit <= sent <= limit + len(names)


async def test_a_request_beyond_a_limit_that_is_answered_lets_the_next_one_ask(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = (pool(node, 2) for node in found)
        spent = a.runtimes["gemini", "one"].meter
        spent.learn(REQUESTS, 1, left=0, resets=60.0, now=time.monotonic(), wall=time.time())
        await until(lambda: b.runtimes["gemini", "one"].meter.is_spent("m", time.monotonic()))
        for each, other in ((a, b), (b, a)):
            await until(lambda each=each: not each.cooldown_left(TARGET, time.monotonic()))  # type: ignore[misc]
            lease = each.begin(TARGET, now=time.monotonic(), wall=time.time())
            assert each.cooldown_left(TARGET, time.monotonic()) and other.cooldown_left(TARGET, time.monotonic())
            lease.end()


async def test_while_the_store_is_away_each_node_counts_for_itself_and_adds_it_on_return(fresh: Valkey) -> None:
    async with nodes(fresh.url, "a", "b") as found:
        a, b = map(counting, found)
        fresh.stop()
        a.count(2)
        b.count(3)
        assert (a.minute(), b.minute()) == ((2, None), (3, None))
        fresh.start()
        await until(lambda: 5 in (a.minute()[0], b.minute()[0]))
        await until(lambda: not any(node.store.is_away for node in found))
