"""Two daemons behind a real nginx with the configuration of deploy/: streams, failover, large bodies."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from bm.simulator import Rule, Simulator
from tests.gateway.world import World
from tests.support.daemon import Daemon, daemon
from tests.support.nginx import adapted, needs_nginx, nginx
from tests.support.waiting import soon

pytestmark = needs_nginx


@dataclass
class Pair:
    """Two nodes and what stands in front of them."""

    simulator: Simulator
    nodes: list[Daemon]
    url: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.nodes[0].headers, timeout=30, trust_env=False)

    def served(self, node: int) -> int:
        """How many requests a node has answered."""
        with httpx.Client(headers=self.nodes[node].headers, trust_env=False) as http:
            return int(http.get(f"{self.nodes[node].url}/admin/status").json()["requests"]["total"])


@contextmanager
def pair(home: Path, port: int, more: str = "") -> Iterator[Pair]:
    homes = [home / name for name in ("one", "two", "front")]
    for each in homes:
        each.mkdir()
    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator())
        config = f'{more}[gemini]\nbase_url = "{simulator.url}"\n'
        nodes = [stack.enter_context(daemon(homes[0], config, {"one": "key-of-the-account-one"}))]
        # Without a database they have the same key because they have the same file.
        shutil.copy(nodes[0].paths.accounts, homes[1])
        nodes.append(stack.enter_context(daemon(homes[1], config)))
        address = [each.url.removeprefix("http://") for each in nodes]
        yield Pair(simulator, nodes, stack.enter_context(nginx(homes[2], adapted(address, port), port)))


@pytest.fixture
def both(bm_home: Path, free_port: int) -> Iterator[Pair]:
    with pair(bm_home, free_port) as found:
        yield found


def test_what_passes_through(both: Pair) -> None:
    with both.client() as http:
        world = World(both.simulator, both.nodes[0], http)
        for _ in range(4):
            assert world.ask("anthropic").complete
        assert both.served(0) and both.served(1), "both nodes serve"

        both.simulator.script(Rule(text="one two three four", chunks=4, delay=0.3))
        before = len(both.simulator.log())
        body = {"model": "opus", "max_tokens": 99, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        with http.stream("POST", "/v1/messages", json=body) as answer:
            pieces = answer.iter_text()
            assert any("one" in piece for piece in pieces)
            assert both.simulator.log()[before].events < 4, "an event goes out before the next one has come"
            assert "message_stop" in "".join(pieces)

        large = "x" * (24 * 1024 * 1024)
        assert world.ask("gemini", text=large, stream=False).complete
        assert http.get("/readyz").status_code == 200
        for path in ("/admin/status", "/metrics"):
            assert http.get(path).status_code == 404, "administration is not for those in front"
        assert httpx.post(f"{both.url}/v1/messages", json=body, trust_env=False).status_code == 401


def test_a_websocket_passes_through(bm_home: Path, free_port: int) -> None:
    with pair(bm_home, free_port, "[server]\nwebsocket = true\n") as both:
        both.simulator.script(Rule(text="the answer"))
        given = {"authorization": f"Bearer {both.nodes[0].key}", "openai-beta": "responses_websockets=2026-02-06"}
        address = both.url.replace("http", "ws", 1) + "/v1/responses"
        with connect(address, additional_headers=given, proxy=None) as connection:
            connection.send(json.dumps({"type": "response.create", "model": "gpt-5", "input": "hi"}))
            events: list[dict[str, Any]] = []
            while not events or events[-1]["type"] != "response.completed":
                events.append(json.loads(connection.recv(timeout=10)))
    assert "".join(each["delta"] for each in events if each["type"] == "response.output_text.delta") == "the answer"


def test_no_request_fails_while_a_node_drains_and_ends(bm_home: Path, free_port: int) -> None:
    with pair(bm_home, free_port, "[server]\ndrain_delay = 1\n") as both, both.client() as http:
        world = World(both.simulator, both.nodes[0], http)
        both.simulator.script(*[Rule(text="word " * 12, chunks=12, delay=0.2)] * 2)
        with ThreadPoolExecutor(2) as users:
            running = [users.submit(world.ask, "gemini") for _ in range(2)]
            both.simulator.wait(lambda log: len(log) == 2 and all(each.events > 1 for each in log))
            first = both.nodes[0].process
            first.send_signal(signal.SIGTERM)
            while first.poll() is None:
                assert world.ask("gemini").complete
            assert all(each.result().complete for each in running)
        assert first.wait(10) == 0
        before = both.served(1)
        for _ in range(3):
            assert world.ask("anthropic", stream=False).complete
        assert both.served(1) == before + 3


def test_a_node_that_is_killed_is_left_out(both: Pair) -> None:
    with both.client() as http:
        world = World(both.simulator, both.nodes[0], http)
        assert all(world.ask("gemini").complete for _ in range(2))
        both.nodes[1].process.kill()
        both.nodes[1].process.wait()
        assert soon(lambda: world.ask("gemini").complete)
        assert all(world.ask("gemini").complete for _ in range(4))
