"""Daemons of one team over a real store: what one learns of an account, the others know before they ask it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from bm.simulator import Simulator
from tests.gateway.world import World, soon
from tests.support.daemon import daemon
from tests.support.valkey import Valkey, valkey_server

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
