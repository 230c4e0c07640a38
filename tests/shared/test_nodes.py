"""The nodes of a team know of each other, and of clocks and names that do not fit, over a real server."""

from __future__ import annotations

import time

import msgspec
import pytest

from bm.shared.nodes import FORGET, LAPSE, Node, Nodes
from bm.shared.store import Store
from bm.tasks import failures, note
from tests.shared.conftest import opened
from tests.support.valkey import Valkey

A = Node(name="a", run="1", version="1.0", url="http://a", home="x", since=1.0)
B = msgspec.structs.replace(A, name="b", run="2", url="http://b", home="y", since=2.0)


def team(store: Store, *nodes: Node) -> list[Nodes]:
    return [Nodes(store, each) for each in nodes]


async def test_each_node_sees_the_others_until_they_leave(valkey: Valkey) -> None:
    async with opened(valkey.url) as store:
        a, b = team(store, A, B)
        await a.tell()
        assert a.here == (a.own,)
        await b.tell()
        await a.tell()
        assert [each.name for each in a.here] == [each.name for each in b.here] == ["a", "b"]
        await b.leave()
        await a.tell()
        assert a.here == (a.own,)


async def test_a_node_that_is_silent_counts_as_gone_and_is_forgotten_later(valkey: Valkey) -> None:
    async with opened(valkey.url) as store:
        (a,) = team(store, A)

        async def seen(ago: float) -> list[tuple[str, bool]]:
            valkey.command("HSET", store.key("nodes"), B.run, f"{time.time() - ago} ".encode() + msgspec.json.encode(B))
            await a.tell()
            return [(each.node.name, each.is_gone) for each in a.seen]

        assert await seen(LAPSE + 1) == [("a", False), ("b", True)]
        await seen(FORGET + 1)
        await a.tell()
        assert [each.node.name for each in a.seen] == ["a"]


async def test_clocks_that_differ_are_reported(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(valkey.url) as store:
        a, b = team(store, A, B)
        await a.tell()
        real = time.time
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: real() + 60)
            await b.tell()
            assert abs(b.clock() - real()) < 1
        assert any("the clock of node b is 60 s ahead of that of a" in each for each in failures())
        await b.tell()
        assert not any("the clock of node" in each for each in failures())


async def test_two_daemons_of_one_name_are_reported_unless_one_takes_over_from_the_other(valkey: Valkey) -> None:
    async with opened(valkey.url) as store:
        next_run = msgspec.structs.replace(A, run="3")
        namesake = msgspec.structs.replace(B, name="a")
        a, later = team(store, A, next_run)
        await a.tell()
        await later.tell()
        assert not any("two nodes are called" in each for each in failures())
        (other,) = team(store, namesake)
        await other.tell()
        assert any("two nodes are called a, here and at http://a" in each for each in failures())
        note("the names of the nodes", "")


async def test_a_row_of_a_newer_bm_is_passed_over(valkey: Valkey) -> None:
    async with opened(valkey.url) as store:
        valkey.command("HSET", store.key("nodes"), "9", f"{time.time()} [1]")
        (a,) = team(store, A)
        await a.tell()
        assert a.here == (a.own,)


async def test_a_store_that_has_lost_its_data_is_filled_again(valkey: Valkey) -> None:
    async with opened(valkey.url) as store:
        (a,) = team(store, A)
        await a.tell()
        valkey.command("FLUSHALL")
        await a.tell()
        assert store.away is not None
        assert "lost" in store.away[0]
