"""Daemons of one team over a real store: what one learns of an account, the others know before they ask it."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from bm.accounts.affinity import Affinities
from bm.accounts.pool import Pool
from bm.accounts.state_file import encoded, restore, save
from bm.shared import replica, replication
from bm.shared.nodes import Node, Nodes
from bm.shared.replication import Replication
from bm.shared.store import Store
from bm.simulator import Simulator
from bm.tasks import Work
from tests.accounts.build import apply, credential, target, usable
from tests.gateway.world import World
from tests.shared.conftest import opened
from tests.support.daemon import daemon
from tests.support.valkey import Valkey, valkey_server
from tests.support.waiting import soon, until

ACCOUNTS = ("aaaaa1", "bbbbb2")
KEYS = {name: f"key-of-the-account-{name}" for name in ACCOUNTS}


class Team:
    """Two daemons with the same accounts, one vendor and one store."""

    def __init__(self, sim: Simulator, store: Valkey, nodes: list[World]) -> None:
        self.sim, self.store, self.nodes = sim, store, nodes
        self.one, self.two = nodes

    def refuse(self, account: str, error: str, **more: object) -> None:
        """Have the vendor refuse an account from now on."""
        self.sim.script({"account": account, "error": error, "times": None, **more})


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, sealed: Path) -> Iterator[Team]:
    """The daemons run for all tests of this file."""
    with ExitStack() as stack:
        store = stack.enter_context(valkey_server(tmp_path_factory.mktemp("valkey")))
        sim = stack.enter_context(Simulator())
        nodes = []
        for name in ("one", "two"):
            config = f'[shared]\nurl = "{store.url}"\nnode = "{name}"\n[pool]\nmax_wait = 0\naffinity = false\n'
            config += f'[gemini]\nbase_url = "{sim.url}"\n'
            node = stack.enter_context(daemon(tmp_path_factory.mktemp(name), config, KEYS))
            http = httpx.Client(base_url=node.url, headers=node.headers, timeout=20, trust_env=False)
            nodes.append(World(sim, node, stack.enter_context(http)))
        yield Team(sim, store, nodes)


@pytest.fixture
def team(started: Team) -> Team:
    """The team with all accounts usable."""
    started.sim.reset()
    for name in ACCOUNTS:
        switch(started.one, name, on=False)
        switch(started.one, name, on=True)
    for node in started.nodes:
        assert soon(lambda node=node: set(node.states().values()) == {"usable"}, 10)  # type: ignore[misc]
    started.sim.reset()
    return started


def switch(node: World, name: str, *, on: bool) -> None:
    answer = node.http.patch(f"/admin/accounts/gemini/{name}", json={"enabled": on})
    assert answer.status_code == 200, answer.text


def test_an_account_that_one_node_puts_to_cooldown_is_not_asked_by_the_other(team: Team) -> None:
    team.refuse("aaaaa1", "rate_limit", retry_info="50s")
    while "aaaaa1" not in team.one.asked():
        assert team.one.ask("anthropic").status == 200
    assert soon(lambda: team.two.states()["aaaaa1"] == "cooling down")
    asked = len(team.two.calls())
    for _ in range(6):
        assert team.two.ask("anthropic").status == 200
    assert set(team.two.asked()[asked:]) == {"bbbbb2"}
    rows = [node.account("aaaaa1") for node in team.nodes]
    assert rows[0]["cooldowns"][0]["reason"] == rows[1]["cooldowns"][0]["reason"]


def test_a_refused_key_is_disabled_on_all_nodes_until_a_person_enables_it_on_one(team: Team) -> None:
    team.refuse("aaaaa1", "invalid_key")
    while "aaaaa1" not in team.one.asked():
        team.one.ask("openai-chat")
    assert soon(lambda: team.two.states()["aaaaa1"] == "disabled")
    team.sim.reset()
    switch(team.two, "aaaaa1", on=True)
    assert soon(lambda: [node.states()["aaaaa1"] for node in team.nodes] == ["usable", "usable"])


def test_an_account_that_is_switched_off_on_one_node_is_off_on_the_others(team: Team) -> None:
    switch(team.one, "bbbbb2", on=False)
    assert soon(lambda: team.two.states()["bbbbb2"] == "off")
    assert {team.two.ask("anthropic").status for _ in range(4)} == {200}
    assert set(team.two.asked()) == {"aaaaa1"}
    switch(team.two, "bbbbb2", on=True)
    assert soon(lambda: team.one.states()["bbbbb2"] == "usable")


def test_waking_an_account_on_one_node_wakes_it_on_the_others(team: Team) -> None:
    team.refuse("aaaaa1", "rate_limit", retry_info="50s")
    while "aaaaa1" not in team.one.asked():
        team.one.ask("gemini")
    assert soon(lambda: team.two.states()["aaaaa1"] == "cooling down")
    team.sim.reset()
    assert team.two.admin("probe", {"account": ["gemini", "aaaaa1"], "wake": True})["results"][0]["ok"]
    assert soon(lambda: [node.states()["aaaaa1"] for node in team.nodes] == ["usable", "usable"])


def test_what_a_node_learns_while_the_store_is_away_reaches_the_others_when_it_is_back(team: Team) -> None:
    team.store.stop()
    assert team.one.daemon.logs("this node goes on alone")
    for node, account in zip(team.nodes, ACCOUNTS, strict=True):
        team.refuse(account, "rate_limit", retry_info="500s")
        before = len(team.sim.log())
        while account not in [each.account for each in team.sim.log()[before:]]:
            node.ask("anthropic")
        team.sim.reset()
    assert team.one.states() == {"aaaaa1": "cooling down", "bbbbb2": "usable"}
    assert team.two.states() == {"aaaaa1": "usable", "bbbbb2": "cooling down"}
    team.store.start()
    for node in team.nodes:
        assert soon(lambda node=node: set(node.states().values()) == {"cooling down"}, 10)  # type: ignore[misc]


class Peer:
    """The replication of one node in this process."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.pool = store, Pool([credential("a"), credential("b")])
        own = Node(name=name, run=f"{name}-{next(RUNS)}", version="1", url="", home=name, since=0.0)
        self.nodes = Nodes(store, own)
        self.replication = Replication(store, self.nodes, self.pool, self.edit)
        self.work = Work(self.replication.loops)

    async def edit(self, change: object) -> None:
        raise AssertionError("nothing is switched here")

    def refuse(self, account: str, seconds: float = 100.0) -> None:
        apply(self.pool, "cooldown", time.monotonic(), to=target(account), seconds=seconds, wall=time.time())

    def cooling(self) -> set[str]:
        return {name for name in "ab" if not usable(self.pool, time.monotonic(), target(name))}


RUNS = itertools.count()


@asynccontextmanager
async def peer(url: str, name: str) -> AsyncIterator[Peer]:
    async with opened(url, limit=0.5) as store:
        node = Peer(store, name)
        await node.nodes.tell()
        await node.replication.start(edited=0.0)
        node.work.start()
        try:
            yield node
        finally:
            node.work.stop()


async def test_a_node_that_comes_later_learns_from_a_snapshot_what_was_trimmed(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "KEEP", -60.0)
    async with peer(valkey.url, "one") as one, peer(valkey.url, "two") as two:
        one.refuse("a")
        await until(lambda: two.cooling() == {"a"}, 10)
        await two.replication.store_snapshot()
        assert valkey.command("XLEN", "bm:{bm}:accounts") in (b":0\r\n", b":1\r\n")
        one.refuse("b")
        async with peer(valkey.url, "late") as late:
            await until(lambda: late.cooling() == {"a", "b"}, 10)


async def test_an_older_snapshot_does_not_replace_a_newer_one(valkey: Valkey) -> None:
    async with peer(valkey.url, "one") as one, peer(valkey.url, "two") as two:
        before = two.replication.position
        one.refuse("a")
        await until(lambda: two.cooling() == {"a"} and one.replication.position == two.replication.position, 10)
        await one.replication.store_snapshot()
        two.replication.position = before
        await two.replication.store_snapshot()
        assert valkey.command("GET", "bm:{bm}:accounts:upto").decode().split("\r\n")[1] == one.replication.position


async def test_a_store_that_has_lost_everything_is_filled_again(valkey: Valkey) -> None:
    async with peer(valkey.url, "one") as one:
        one.refuse("a")
        await until(lambda: valkey.command("XLEN", "bm:{bm}:accounts") == b":1\r\n", 10)
        valkey.command("FLUSHALL")
        await one.nodes.tell()
        await until(lambda: valkey.command("XLEN", "bm:{bm}:accounts") == b":1\r\n", 10)
        async with peer(valkey.url, "late") as late:
            await until(lambda: late.cooling() == {"a"}, 10)


async def test_nodes_that_were_parted_agree_once_the_store_answers_again(fresh: Valkey) -> None:
    async with peer(fresh.url, "one") as one, peer(fresh.url, "two") as two:
        one.refuse("a")
        await until(lambda: two.cooling() == {"a"}, 10)
        with fresh.silent():
            one.refuse("b")
            two.pool.runtimes["gemini", "a"].wake()
            await until(lambda: one.store.is_away and two.store.is_away, 10)
            assert (one.cooling(), two.cooling()) == ({"a", "b"}, set())
        await until(lambda: one.cooling() == two.cooling() == {"b"}, 10)


async def test_a_node_that_has_started_again_does_not_repeat_what_it_knows(valkey: Valkey, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with peer(valkey.url, "one") as one:
        one.refuse("a")
        await until(lambda: valkey.command("XLEN", "bm:{bm}:accounts") == b":1\r\n", 10)
        save(encoded(one.pool, Affinities(size=1, ttl=1.0), now=time.monotonic(), wall=time.time()), state)
    async with opened(valkey.url) as store:
        again = Peer(store, "one")
        restore(again.pool, Affinities(size=1, ttl=1.0), state, now=time.monotonic(), wall=time.time())
        with patch.object(replica, "OLD", 0.0):
            await again.replication.start(edited=0.0)
        await again.replication.publish()
        assert again.cooling() == {"a"}
        assert len(list(again.pool.runtimes["gemini", "a"].shared.entries())) == 1
        assert valkey.command("XLEN", "bm:{bm}:accounts") == b":1\r\n"
