"""Keys with budgets and rates through two daemons that share a store."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from bm.keys.file import new_key
from bm.keys.file import update as update_keys
from bm.keys.key import Key
from bm.shared import limits
from bm.simulator import Rule, Simulator
from bm.simulator.rules import Usage
from tests.gateway.world import MODELS, PATHS, path_of
from tests.simulator.streams import body_of
from tests.support.daemon import Daemon, daemon
from tests.support.valkey import Valkey, valkey_server
from tests.support.waiting import soon

PRICE = 10e-6
"""US dollars for a token of Claude Sonnet's answers."""
_numbers = itertools.count()


@dataclass
class Pair:
    """Two nodes, a and b, and what they share."""

    sim: Simulator
    store: Valkey
    nodes: list[Daemon]

    def key(self, **limits: Any) -> tuple[str, dict[str, str]]:
        """The name of a new key with these limits, and the header by which it is sent."""
        made = new_key(Key(name=f"key-{next(_numbers)}", **limits), datetime.now(UTC))
        for node in self.nodes:
            update_keys(node.paths.keys, lambda old: old.add(made.stored))
            assert httpx.post(f"{node.url}/admin/reload", headers=node.headers).json()["ok"]
        return made.stored.name, {"x-api-key": made.secret}

    def ask(self, node: int, key: dict[str, str], protocol: str = "anthropic") -> httpx.Response:
        url = f"{self.nodes[node].url}{path_of(protocol, MODELS[protocol], stream=False)}"
        body = body_of(protocol, model="claude-sonnet-5", stream=False)
        return httpx.post(url, json=body, headers=key, timeout=10)

    def spending(self, node: int, name: str) -> tuple[float, float]:
        """What a node says is spent and reserved of a key's first budget."""
        daemon = self.nodes[node]
        rows = httpx.get(f"{daemon.url}/admin/keys", headers=daemon.headers).json()["keys"]
        (row,) = [row for row in rows if row["name"] == name]
        return row["spending"][0]["spent"], row["spending"][0]["reserved"]

    def costing(self, dollars: float) -> None:
        """Answers cost so much from now on."""
        self.sim.reset()
        self.sim.script(Rule(usage=Usage(input=0, output=round(dollars / PRICE)), times=None))


@pytest.fixture(scope="module")
def pairs(sealed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Pair]]:
    """A pair for each value of `[shared] fail`; the second is one node only."""
    with ExitStack() as stack:
        sim = stack.enter_context(Simulator())
        found = {}
        for fail, names in (("open", "ab"), ("closed", "c")):
            store = stack.enter_context(valkey_server(tmp_path_factory.mktemp(fail)))
            nodes = []
            for name in names:
                home = sealed / f"limits-{name}"
                home.mkdir()
                nodes.append(stack.enter_context(daemon(home, config(sim, store, name, fail))))
            found[fail] = Pair(sim, store, nodes)
        yield found


def config(sim: Simulator, store: Valkey, name: str, fail: str) -> str:
    return f"""
[pool]
max_wait = 0
[gemini]
base_url = "{sim.url}"
[providers.anthropic]
enabled = true
mode = "exclusive"
base_url = "{sim.url}"
api_key = "key-of-anthropic"
protocols = ["anthropic", "openai-chat", "openai-responses", "gemini"]
[shared]
url = "{store.url}"
node = "{name}"
fail = "{fail}"
"""


@pytest.fixture
def pair(pairs: dict[str, Pair]) -> Pair:
    return pairs["open"]


def test_what_one_node_has_spent_the_other_refuses_and_shows(pair: Pair) -> None:
    name, key = pair.key(budgets=("1/day",))
    pair.costing(1.5)
    assert pair.ask(0, key).status_code == 200
    assert soon(lambda: 1.5 <= pair.spending(1, name)[0] < 1.51 and not pair.spending(1, name)[1])
    refused = pair.ask(1, key)
    assert (refused.status_code, refused.headers["x-should-retry"]) == (400, "false")
    assert "$1/day, is spent ($1.50)" in refused.json()["error"]["message"]
    environ = {**os.environ, "BM_HOME": str(pair.nodes[1].paths.config.parent)}
    listed = subprocess.run([sys.executable, "-m", "bm", "keys"], env=environ, capture_output=True, text=True)
    assert "$1.50 of $1/day" in listed.stdout


def test_a_rate_holds_over_both_nodes(pair: Pair) -> None:
    _, key = pair.key(rpm=3)
    pair.costing(0.0)
    assert [pair.ask(number % 2, key).status_code for number in range(4)] == [200, 200, 200, 429]
    for node in (0, 1):
        answer = pair.ask(node, key)
        assert 15 <= int(answer.headers["retry-after"]) <= 20
        assert "limited to 3 requests per minute: try again in" in answer.json()["error"]["message"]


def test_a_dollar_under_two_hundred_streams_through_both_nodes(pair: Pair) -> None:
    """Aborts included, it is exceeded by no more than a request has reserved."""
    name, key = pair.key(budgets=("1/day",))
    pair.sim.reset()
    usage = Usage(input=100, output=4_000)
    pair.sim.script(Rule(text="word " * 30, chunks=3, delay=0.01, usage=usage, times=None))
    statuses = Counter[int]()
    for _ in range(8):
        found = asyncio.run(streams([node.url for node in pair.nodes], key, 200))
        statuses.update(found)
        if set(found) == {400}:
            break
    assert soon(lambda: [pair.spending(node, name)[1] for node in (0, 1)] == [0, 0])
    spent = {round(pair.spending(node, name)[0], 9) for node in (0, 1)}
    assert soon(lambda: {round(sum(by_key(node, name) for node in pair.nodes), 9)} == spent)
    (ledger,) = spent
    assert 1 <= ledger <= 1 + 4_096 * PRICE + 0.001, statuses
    assert set(statuses) == {200, 400, 429}


def by_key(node: Daemon, name: str) -> float:
    rows = httpx.get(f"{node.url}/admin/usage?by=key", headers=node.headers).json()["rows"]
    return float(sum(row["cost"] or 0 for row in rows if row["name"] == name))


async def streams(urls: list[str], key: dict[str, str], count: int) -> list[int]:
    """The statuses of so many streams at the same time. Every fourth is aborted after its first bytes."""
    many = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(headers=key, limits=many, timeout=30, trust_env=False) as http:

        async def one(number: int) -> int:
            url = urls[number % len(urls)]
            body = body_of("anthropic", model="claude-sonnet-5")
            async with http.stream("POST", f"{url}{PATHS['anthropic']}", json=body) as response:
                async for _ in response.aiter_raw():
                    if number % 4 == 0:
                        break
                return response.status_code

        return await asyncio.gather(*map(one, range(count)))


def test_apart_each_node_goes_on_with_its_share(pair: Pair) -> None:
    name, key = pair.key(budgets=("1/day",))
    _, limited = pair.key(rpm=2)
    free = pair.key()[1]
    pair.costing(0.3)
    assert pair.ask(0, key).status_code == 200
    assert soon(lambda: pair.spending(1, name)[0] > 0)
    with pair.store.silent():
        for node in (0, 1):
            assert [pair.ask(node, key).status_code for _ in range(3)] == [200, 200, 503]
            refused = pair.ask(node, key)
            assert refused.headers["retry-after"] == "30"
            assert "this node's share of the budget of the key" in refused.json()["error"]["message"]
            assert [pair.ask(node, limited).status_code for _ in range(2)] == [200, 429]
            assert pair.ask(node, free).status_code == 200
        assert pair.nodes[0].logs("requests with budgets or rates go on with this node's share, 1 of 2")
    assert soon(lambda: [round(pair.spending(node, name)[0], 1) for node in (0, 1)] == [1.5, 1.5], 10)
    assert pair.ask(0, key).status_code == 400


@pytest.mark.every_protocol
def test_closed_what_must_ask_the_store_is_refused_while_it_is_away(pairs: dict[str, Pair], protocol: str) -> None:
    pair = pairs["closed"]
    keys = [pair.key(budgets=("1/day",))[1], pair.key(rpm=9)[1]]
    free = pair.key()[1]
    pair.costing(0.0)
    with pair.store.silent():
        for key in keys:
            refused = pair.ask(0, key, protocol)
            found = refused.status_code, refused.headers["retry-after"], refused.headers["x-should-retry"]
            assert found == (503, "5", "true")
            assert "[shared] fail is closed: try again in 5 s" in refused.json()["error"]["message"]
        assert pair.ask(0, free, protocol).status_code == 200
    assert soon(lambda: [pair.ask(0, key, protocol).status_code for key in keys] == [200, 200], 10)


def test_what_the_other_node_has_just_released_is_not_refused(pair: Pair) -> None:
    """A node whose last look says that all is reserved asks the store before it refuses."""
    name, key = pair.key(budgets=("0.01/day",))
    pair.sim.reset()
    pair.sim.script(Rule(text="word " * 40, chunks=40, delay=0.2))
    body = body_of("anthropic", model="claude-sonnet-5")
    with httpx.stream("POST", f"{pair.nodes[0].url}{PATHS['anthropic']}", json=body, headers=key) as response:
        pieces = response.iter_raw()
        assert next(pieces)
        refused = pair.ask(1, key)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert "reserved by requests that are running" in refused.json()["error"]["message"]
    assert soon(lambda: not pair.spending(0, name)[1])
    assert soon(lambda: pair.ask(1, key).status_code == 200, limits.BEAT / 2)
