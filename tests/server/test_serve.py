"""Shutdown: running responses finish, a second signal ends them, and the port is released."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bm.config.edit import set_values
from bm.simulator import Rule, Simulator
from tests.gateway.world import Answer, World
from tests.support.daemon import Daemon, daemon
from tests.support.waiting import soon

SLOW = Rule(text="one two three four five six seven eight", chunks=8, delay=0.15)


def started(simulator: Simulator) -> tuple[str, dict[str, str]]:
    return f'[gemini]\nbase_url = "{simulator.url}"\n', {"one": "key-of-the-account-one"}


def gone(running: Daemon) -> bool:
    """Whether the port is closed."""
    parts = urlsplit(running.url)
    with socket.socket() as sock:
        return sock.connect_ex((str(parts.hostname), parts.port or 0)) != 0


def end(running: Daemon, http: httpx.Client, how: str) -> None:
    if how == "admin":
        assert http.post("/admin/stop").status_code == 202
    else:
        running.process.send_signal(signal.Signals[how])


@contextmanager
def running_answer(simulator: Simulator, running: Daemon) -> Iterator[tuple[httpx.Client, Future[Answer]]]:
    """A client, and a response that has begun."""
    client = httpx.Client(base_url=running.url, headers=running.headers, timeout=90, trust_env=False)
    with client as http, ThreadPoolExecutor(1) as user:
        answer = user.submit(World(simulator, running, http).ask, "gemini")
        simulator.wait(lambda log: bool(log) and log[0].events > 1)
        yield http, answer


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "admin"])
def test_running_responses_finish(bm_home: Path, how: str) -> None:
    with Simulator() as simulator, daemon(bm_home, *started(simulator)) as running:
        simulator.script(SLOW)
        with running_answer(simulator, running) as (_, answer):
            with httpx.Client(base_url=running.url, headers=running.headers, trust_env=False) as other:
                end(running, other, how)
            assert answer.result().complete
        assert running.process.wait(timeout=10) == 0
        assert gone(running) and not running.paths.runtime.exists()


@pytest.mark.parametrize("how", ["SIGTERM", "admin"])
def test_a_balancer_knows_before_connections_are_refused(bm_home: Path, how: str) -> None:
    """`/readyz` says 503 at once, `/healthz` does not; requests are served on, each the last on its connection."""
    with Simulator() as simulator:
        config, accounts = started(simulator)
        with daemon(bm_home, f"{config}[server]\ndrain_delay = 60\n", accounts) as running:
            simulator.script(SLOW)
            with running_answer(simulator, running) as (http, answer):
                assert http.get("/readyz").status_code == 200
                end(running, http, how)
                assert soon(lambda: http.get("/readyz").status_code == 503)
                said = http.get("/readyz")
                assert "about to end" in said.json()["reason"] and said.headers["connection"] == "close"
                assert http.get("/healthz").status_code == 200
                later = World(simulator, running, http).ask("gemini")
                assert later.complete and later.headers["connection"] == "close"
                assert answer.result().complete
            assert not gone(running), "it serves until the time is over"
            running.process.send_signal(signal.SIGTERM)
            if how == "admin":  # what `bm stop` asks for is not a signal yet
                running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(timeout=10) == 0


def test_then_running_responses_finish_without_new_ones(bm_home: Path) -> None:
    with Simulator() as simulator:
        config, accounts = started(simulator)
        with daemon(bm_home, f"{config}[server]\ndrain_delay = 0.2\n", accounts) as running:
            simulator.script(SLOW)
            with running_answer(simulator, running) as (_, answer):
                running.process.send_signal(signal.SIGTERM)
                assert soon(lambda: gone(running)) and not answer.done()
                assert answer.result().complete
            assert running.process.wait(timeout=10) == 0


def test_a_second_signal_ends_running_responses(bm_home: Path) -> None:
    with Simulator() as simulator, daemon(bm_home, *started(simulator)) as running:
        simulator.script(Rule(text="word " * 100, chunks=100, delay=0.3))
        with running_answer(simulator, running) as (_, answer):
            running.process.send_signal(signal.SIGTERM)
            simulator.wait(lambda log: log[0].events > 3)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(timeout=10) == 0
            assert not answer.result().complete
        simulator.wait(lambda log: log[0].aborted)


def test_a_forced_stop_ends_both_requests_of_a_race(bm_home: Path) -> None:
    with Simulator() as simulator:
        config, accounts = started(simulator)
        with daemon(
            bm_home, f"[timeouts]\nhedge = 0.2\n{config}", accounts | {"two": "key-of-the-account-two"}
        ) as running:
            simulator.script(*[Rule(silent=True)] * 2)
            client = httpx.Client(base_url=running.url, headers=running.headers, timeout=90, trust_env=False)
            with client as http, ThreadPoolExecutor(1) as user:
                answer = user.submit(World(simulator, running, http).ask, "gemini")
                simulator.wait(lambda log: len(log) == 2)
                running.process.send_signal(signal.SIGTERM)
                assert soon(lambda: gone(running))
                running.process.send_signal(signal.SIGTERM)
                assert running.process.wait(timeout=10) == 0
                simulator.wait(lambda log: all(record.aborted for record in log))
                assert isinstance(answer.exception(), httpx.HTTPError)
            assert "never retrieved" not in running.log() and "was destroyed" not in running.log()


def test_the_drain_limit_is_the_present_setting(bm_home: Path) -> None:
    with Simulator() as simulator, daemon(bm_home, *started(simulator)) as running:
        simulator.script(Rule(text="word " * 200, chunks=200, delay=0.3))
        with running_answer(simulator, running) as (http, answer):
            set_values(running.paths.config, {"server.drain": 1}, known=())
            assert http.post("/admin/reload").json()["ok"] is True
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(timeout=20) == 0, "it waits as long as configured at its start"
            assert not answer.result().complete


def test_a_websocket_that_is_not_wanted_is_refused_in_bms_own_words(bm_home: Path) -> None:
    asked = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "eA==",
    }
    with Simulator() as simulator, daemon(bm_home, *started(simulator)) as running:
        with httpx.Client(base_url=running.url, trust_env=False) as http:
            answer = http.get("/v1/responses", headers=running.headers | asked)
        assert answer.status_code == 426 and "POST" in answer.json()["error"]["message"]
        assert "426" in running.log() and "WebSocket library" not in running.log()


def test_an_answer_over_websocket_finishes_too(bm_home: Path) -> None:
    with Simulator() as simulator:
        config, accounts = started(simulator)
        with daemon(bm_home, f"{config}[server]\nwebsocket = true\n", accounts) as running:
            simulator.script(SLOW)
            given = {"authorization": f"Bearer {running.key}", "openai-beta": "responses_websockets=2026-02-06"}
            address = running.url.replace("http", "ws", 1) + "/v1/responses"
            events: list[str] = []
            with connect(address, additional_headers=given, proxy=None) as connection:
                connection.send(json.dumps({"type": "response.create", "model": "gpt-5", "input": "hi"}))
                simulator.wait(lambda log: bool(log) and log[0].events > 1)
                running.process.send_signal(signal.SIGTERM)
                with pytest.raises(ConnectionClosed):
                    while True:
                        events.append(json.loads(connection.recv(timeout=10))["type"])
            assert events[-1] == "response.completed"
            assert running.process.wait(timeout=10) == 0
