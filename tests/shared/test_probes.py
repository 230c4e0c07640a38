"""One node at a time probes an account, and no request waits to learn whether it may."""

from __future__ import annotations

import pytest

from bm.shared.probes import Probes
from tests.shared.nodes import nodes
from tests.support.valkey import Valkey
from tests.support.waiting import until

PLACE = ("gemini", "one"), "m"
OTHER = ("gemini", "two"), "m"


async def test_one_node_probes_at_a_time(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = (Probes(node.store, node.leases) for node in found)
        assert not a.may_probe(PLACE), "the first request goes elsewhere"
        await until(lambda: a.may_probe(PLACE))
        a.begun(PLACE)
        assert not a.may_probe(PLACE) and not b.may_probe(PLACE)
        await until(lambda: b.may_probe(OTHER))
        assert not b.may_probe(PLACE)
        a.ended(PLACE)
        await until(lambda: b.may_probe(PLACE))
        b.begun(PLACE)
        b.ended(PLACE)


async def test_a_lease_that_is_not_used_is_given_back(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bm.shared.probes.UNUSED", 0.05)
    async with nodes(valkey.url, "a", "b") as found:
        a, b = (Probes(node.store, node.leases) for node in found)
        a.may_probe(PLACE)
        await until(lambda: a.may_probe(PLACE))
        await until(lambda: b.may_probe(PLACE))


async def test_without_the_store_each_node_probes_for_itself(fresh: Valkey) -> None:
    async with nodes(fresh.url, "a") as (node,):
        fresh.stop()
        probes = Probes(node.store, node.leases)
        await until(lambda: probes.may_probe(PLACE))
        probes.begun(PLACE)
        probes.ended(PLACE)
