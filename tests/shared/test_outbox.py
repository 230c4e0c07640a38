"""Commands go out in order, together, and again after the store was away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bm.shared.outbox import BATCH_BYTES, Outbox
from bm.shared.store import Store
from tests.shared.conftest import opened
from tests.shared.nodes import nodes
from tests.support.valkey import Valkey
from tests.support.waiting import until


async def test_commands_go_out_in_order_and_are_answered(valkey: Valkey) -> None:
    answers: list[Any] = []
    async with nodes(valkey.url, "a") as (node,):
        for number in range(1_200):
            node.outbox.put(("RPUSH", "list", number), answers.append)
        await node.settled()
        assert answers == list(range(1, 1_201))
        assert await node.store.command("LRANGE", "list", 0, -1) == [b"%d" % number for number in range(1_200)]


async def test_one_waits_for_its_own_command_and_for_none_that_came_later(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a") as (node,):
        first = node.outbox.put(("SET", "key", 1))
        await node.settled()
        node.outbox.put(("SET", "key", 2))
        await node.outbox.settled(first)
        assert node.outbox.waiting == 1 and await node.store.get("key") == b"1"


async def test_a_function_says_at_the_last_moment_what_is_sent(valkey: Valkey) -> None:
    waiting, answers = [1], list[Any]()
    async with nodes(valkey.url, "a") as (node,):
        node.outbox.put(lambda: ("SET", "sum", sum(waiting)))
        node.outbox.put(lambda: None, answers.append)
        waiting.append(2)
        await node.settled()
        assert await node.store.get("sum") == b"3" and answers == []


async def test_a_command_that_is_refused_holds_up_no_other(valkey: Valkey) -> None:
    answers: list[Any] = []
    async with nodes(valkey.url, "a") as (node,):
        node.outbox.put(("HSET", "only half"), answers.append)
        node.outbox.put(("SET", "next", 1), answers.append)
        await node.settled()
        assert answers in ([True], [b"OK"]) and await node.store.get("next") == b"1"


async def test_what_was_put_while_the_store_was_away_is_sent_on_return(fresh: Valkey) -> None:
    async with nodes(fresh.url, "a") as (node,):
        fresh.stop()
        number = node.outbox.put(("SET", "kept", 1))
        await until(lambda: node.store.is_away, 10)
        await node.outbox.settled(number)
        node.outbox.put(("SET", "too", 1))
        fresh.start()
        await until(lambda: not node.store.is_away, 10)
        await node.settled()
        assert await node.store.get("kept") == await node.store.get("too") == b"1"


class Slow(Store):
    """A store that answers everything."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.batches: list[int] = []

    is_away = False

    async def batch(self, commands: Any) -> list[Any]:
        self.sent += commands
        self.batches.append(len(commands))
        return [None] * len(commands)


@pytest.mark.parametrize("bound", [{"most": 2}, {"most_bytes": 25}])
async def test_the_oldest_goes_when_too_much_waits(bound: dict[str, int]) -> None:
    store = Slow()
    outbox = Outbox(store, **bound)
    for number in range(3):
        outbox.put(("SET", "k", number))
    assert (outbox.waiting, outbox.dropped) == (2, 1)
    await outbox.flush()
    assert store.sent == [("SET", "k", 1), ("SET", "k", 2)]
    assert outbox.waiting == 0


async def test_a_function_that_waits_is_never_dropped() -> None:
    store = Slow()
    outbox = Outbox(store, most=2)
    outbox.put(lambda: ("SET", "sum", 3))
    for number in range(4):
        outbox.put(("SET", "key", number))
    await outbox.flush()
    assert sorted(store.sent) == [("SET", "key", 3), ("SET", "sum", 3)]
    assert (outbox.waiting, outbox.dropped) == (0, 3)


async def test_large_values_are_not_sent_together() -> None:
    store = Slow()
    outbox = Outbox(store)
    for _ in range(3):
        outbox.put(("SET", "key", bytes(BATCH_BYTES)))
    await outbox.flush()
    assert store.batches == [1, 1, 1]


async def test_what_is_put_while_a_batch_is_under_way_waits_for_its_own_time() -> None:
    class Answering(Slow):
        async def batch(self, commands: Any) -> list[Any]:
            outbox.put(("SET", "next", 2))
            return await super().batch(commands)

    store = Answering()
    outbox = Outbox(store)
    outbox.put(("SET", "first", 1))
    await outbox.flush()
    assert store.sent == [("SET", "first", 1)]
    assert outbox.waiting == 1


async def test_a_node_that_ends_sends_what_waits(valkey: Valkey) -> None:
    async with opened(valkey.url) as store:
        outbox = Outbox(store)
        outbox.put(("SET", "last", 1))
        await outbox.flush()
        assert await store.get("last") == b"1"


async def test_no_response_waits_longer_than_a_moment(fresh: Valkey) -> None:
    async with nodes(fresh.url, "a") as (node,):
        with fresh.silent():
            number = node.outbox.put(("SET", "key", 1))
            async with asyncio.timeout(1.5):
                await node.outbox.settled(number)
