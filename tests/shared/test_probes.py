"""One node at a time probes an account, and a request waits no longer than a moment to learn whether it may."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from bm.accounts.cooldowns import LONG as LONG_COOLDOWN
from bm.accounts.cooldowns import PROBE_AFTER
from bm.accounts.pool import Pool
from bm.gateway.account_updates import AccountUpdates
from bm.gateway.record import Record
from bm.shared.probes import Probes
from bm.simulator import Rule, Simulator
from tests.accounts.build import apply, credential, target
from tests.shared.nodes import nodes
from tests.support.daemon import daemon
from tests.support.valkey import Valkey
from tests.support.waiting import LONG, until

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


@pytest.mark.parametrize(("elsewhere", "left"), [(False, 0.0), (True, 1.0)])
async def test_a_request_waits_for_the_word_whether_it_may_probe(valkey: Valkey, elsewhere: bool, left: float) -> None:
    """As on one node: the first request is sent, and another waits for a second while it is on its way."""
    async with nodes(valkey.url, "a", "b") as found:
        a, b = (Probes(node.store, node.leases) for node in found)
        if elsewhere:
            b.may_probe(PLACE)
            assert await b.decided(LONG) and b.may_probe(PLACE)
            b.begun(PLACE)
        pool = Pool([credential("one")])
        pool.probes = a
        apply(pool, "cooldown", time.monotonic() - PROBE_AFTER, to=target("one"), seconds=2 * LONG_COOLDOWN)
        record = Record(id="req_1", at=0.0, protocol="anthropic", model="m", stream=False)
        updates = AccountUpdates(pool, record, b"{}")
        assert updates.cooldown_left(target("one")) == 1.0
        assert await updates.cooldown_once_known(target("one")) == left


async def test_a_store_that_is_silent_holds_a_request_up_for_a_moment_only(fresh: Valkey) -> None:
    async with nodes(fresh.url, "a") as (node,):
        probes = Probes(node.store, node.leases)
        assert not await probes.decided(LONG), "nothing is asked"
        with fresh.silent():
            probes.may_probe(PLACE)
            assert await probes.decided(0.01) and not probes.may_probe(PLACE)


async def test_without_the_store_each_node_probes_for_itself(fresh: Valkey) -> None:
    async with nodes(fresh.url, "a") as (node,):
        fresh.stop()
        probes = Probes(node.store, node.leases)
        await until(lambda: probes.may_probe(PLACE))
        probes.begun(PLACE)
        probes.ended(PLACE)


def test_a_request_that_may_probe_is_sent_and_not_refused(bm_home: Path, valkey: Valkey) -> None:
    """There is one account, whose known limit is used up: the service's word counts, so each request asks it."""
    with Simulator() as simulator:
        left = {"x-ratelimit-limit-requests": "2", "x-ratelimit-remaining-requests": "1"}
        simulator.script(Rule(headers=left), Rule(times=None))
        config = f"""
[pool]
max_wait = 0
[gemini]
base_url = "{simulator.url}"
[shared]
url = "{valkey.url}"
node = "a"
"""
        with daemon(bm_home, config, {"one": "key-of-the-account-one"}) as running:
            url = f"{running.url}/v1beta/models/gemini-2.5-flash:generateContent"
            body = {"contents": [{"parts": [{"text": "hello"}]}]}
            statuses = [httpx.post(url, json=body, headers=running.headers, timeout=30).status_code for _ in range(8)]
    # The store may once be slower than a request waits.
    assert statuses.count(200) >= 7, statuses
