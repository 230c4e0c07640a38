"""What one node says, all others hear, in order and once."""

from __future__ import annotations

import time

from bm.shared.news import Item
from tests.shared.nodes import Node, nodes
from tests.support.valkey import Valkey
from tests.support.waiting import until


def heard(node: Node) -> list[str]:
    """What a node hears of one kind."""
    found: list[str] = []

    def read(item: Item) -> None:
        assert 0 <= item.age < 60
        found.append(f"{item.subject}={item.value}")

    node.news.on("word", read)
    return found


def say(node: Node, subject: str, value: str, kind: str = "word") -> None:
    node.outbox.put(node.news.words(kind, subject, value))


async def test_all_others_hear_what_a_node_says(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b", "c") as (a, b, c):
        own, other, third = heard(a), heard(b), heard(c)
        say(a, "x", "1")
        say(a, "x", "2", kind="unknown")
        await a.settled()
        say(b, "y", "3")
        await until(lambda: third == ["x=1", "y=3"])
        await until(lambda: (own, other) == (["y=3"], ["x=1"]))


async def test_a_node_that_comes_late_hears_what_it_has_missed(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a") as (a,):
        for number in range(2_500):
            say(a, "x", str(number))
        await a.settled()
        async with nodes(valkey.url, "late") as (late,):
            found = heard(late)
            await until(lambda: len(found) == 2_500)
    assert found == [f"x={number}" for number in range(2_500)]


async def test_news_are_as_old_as_the_clock_of_the_store_says(valkey: Valkey) -> None:
    """That of a node may be wrong."""
    ages: list[float] = []
    async with nodes(valkey.url, "a", "b", clock=lambda: time.time() + 3600) as (a, b):
        b.news.on("word", lambda item: ages.append(item.age))
        say(a, "x", "1")
        await until(lambda: ages)
    assert 3590 < ages[0] < 3660
