"""One node at a time works for all: leases expire, and a node that is late changes nothing."""

from __future__ import annotations

import asyncio

import pytest

from bm.shared.leases import Leases
from tests.shared.nodes import nodes
from tests.support.valkey import Valkey


class Words:
    """A finding for tests. A stored word is of use unless it is `refused`."""

    name = "words"

    def __init__(self, refused: bytes = b"") -> None:
        self._refused = refused

    def read(self, value: bytes, seconds: float) -> bytes | None:
        assert 0 < seconds <= 60
        return None if value == self._refused else value

    def write(self, result: bytes) -> tuple[bytes, float] | None:
        return (result, 60.0) if result else None


class Worker:
    """Counts how often the work is done, and how often at once."""

    def __init__(self, result: bytes = b"found") -> None:
        self.result, self.done, self.busy, self.most = result, 0, 0, 0

    async def __call__(self) -> bytes:
        self.busy += 1
        self.most = max(self.most, self.busy)
        await asyncio.sleep(0.02)
        self.busy -= 1
        self.done += 1
        return self.result


async def test_a_lease_is_one_nodes_until_it_is_given_back(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as (a, b):
        lease = await a.leases.take("work")
        assert lease is not None and await b.leases.take("work") is None
        assert await b.leases.take("other") is not None
        await a.leases.release(lease)
        assert await b.leases.take("work") is not None


async def test_the_lease_of_a_node_that_died_expires(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as (a, b):
        assert await Leases(a.store, seconds=0.05).take("work") is not None
        await asyncio.sleep(0.06)
        assert await b.leases.take("work") is not None


async def test_a_node_that_is_late_can_neither_store_nor_renew_nor_give_back(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as (a, b):
        late = await Leases(a.store, seconds=0.05).take("work")
        await asyncio.sleep(0.06)
        current = await b.leases.take("work")
        assert late is not None and current is not None
        key = a.store.key("result")
        assert not await a.leases.finish(late, key, b"late", 60) and await a.store.get(key) is None
        assert not await a.leases.renew(late)
        await a.leases.release(late)
        assert await b.leases.finish(current, key, b"current", 60) and await a.store.get(key) == b"current"


async def test_a_node_that_is_slow_keeps_its_lease(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as (a, b):
        short = Leases(a.store, seconds=0.06)
        lease = await short.take("work")
        assert lease is not None
        async with short.holding(lease):
            await asyncio.sleep(0.1)
            assert await b.leases.take("work") is None
        assert await b.leases.take("work") is not None


async def test_one_node_works_and_all_have_the_result(valkey: Valkey) -> None:
    worker = Worker()
    async with nodes(valkey.url, "a", "b", "c") as found:
        results = await asyncio.gather(*(node.leases.once(Words(), worker) for node in found for _ in range(3)))
    assert results == [b"found"] * 9 and worker.done == 1


async def test_work_is_done_again_where_its_result_is_of_no_use(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as (a, b):
        assert await a.leases.once(Words(), Worker(b"old")) == b"old"
        assert await b.leases.once(Words(refused=b"old"), Worker(b"new")) == b"new"
        assert await a.leases.once(Words(), Worker(b"unasked")) == b"new"


async def test_work_that_fails_is_done_by_the_next(valkey: Valkey) -> None:
    async def fail() -> bytes:
        raise RuntimeError("failed")

    async with nodes(valkey.url, "a", "b") as (a, b):
        with pytest.raises(RuntimeError, match="failed"):
            await a.leases.once(Words(), fail)
        assert await b.leases.once(Words(), Worker()) == b"found"


async def test_a_result_that_is_of_no_use_to_others_is_not_stored(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as (a, b):
        assert await a.leases.once(Words(), Worker(b"")) == b""
        assert await b.leases.once(Words(), Worker()) == b"found"


async def test_without_the_store_each_node_works_for_itself(fresh: Valkey) -> None:
    worker = Worker()
    async with nodes(fresh.url, "a", "b") as found:
        fresh.stop()
        assert await asyncio.gather(*(node.leases.once(Words(), worker) for node in found)) == [b"found"] * 2
    assert worker.done == 2
