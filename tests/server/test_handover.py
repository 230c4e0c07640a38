"""A daemon hands over: running answers end where they began, all others begin at the next daemon."""

from __future__ import annotations

import http.client
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bm.config.files import is_held
from bm.config.paths import Paths
from bm.daemon import runtime
from bm.daemon.client import ask, find
from bm.daemon.restart import restart
from bm.server.handover import FORMAT
from bm.simulator import Rule, Simulator
from tests.daemon.conftest import paths
from tests.gateway.world import World
from tests.server.test_serve import gone, running_answer, started
from tests.support.daemon import Daemon, daemon
from tests.support.waiting import soon

__all__ = ["paths"]

LONG = Rule(text="word " * 60, chunks=60, delay=0.1)


def detached(paths: Paths) -> None:
    """Let the daemon look like one that `bm start` has started; tests run it in the foreground."""
    found = runtime.read(paths.runtime)
    assert found is not None
    runtime.write(paths.runtime, msgspec.structs.replace(found, foreground=False))


@pytest.fixture
def served(paths: Paths) -> Iterator[tuple[Simulator, Daemon]]:
    with Simulator() as simulator, daemon(paths.config.parent, *started(simulator)) as running:
        detached(paths)
        yield simulator, running


def status(paths: Paths, key: str) -> Any:
    found = find(paths)
    assert found and found.answers
    return ask(found.daemon, "GET", "/admin/status", key=key).body


def test_a_running_answer_is_finished_while_the_next_daemon_serves(
    paths: Paths, served: tuple[Simulator, Daemon]
) -> None:
    simulator, old = served
    simulator.script(LONG)
    with running_answer(simulator, old) as (_, answer):
        done = restart(paths, os.environ, 30)
        assert (done.handed_over, done.stopped) == (runtime.read(paths.runtime) and done.handed_over, None)
        assert done.started.daemon.pid != old.process.pid and done.started.daemon.url == old.url
        while (now := status(paths, old.key)) and now["predecessor"]["active"] != 1:
            assert not answer.done()
        assert now["pid"] == done.started.daemon.pid and now["predecessor"]["pid"] == old.process.pid
        with httpx.Client(base_url=old.url, headers=old.headers, trust_env=False, verify=False) as other:
            assert World(simulator, old, other).ask("anthropic").complete
        assert answer.result().complete
    assert old.process.wait(timeout=10) == 0
    assert runtime.read(paths.runtime) == done.started.daemon, "the old daemon removes only its own daemon.json"
    while status(paths, old.key)["predecessor"] is not None:
        pass


def test_what_the_old_daemon_learns_last_is_known_to_the_next(paths: Paths, served: tuple[Simulator, Daemon]) -> None:
    simulator, old = served
    simulator.script(Rule(status=429, retry_info="600s", head_delay=2.0))
    client = httpx.Client(base_url=old.url, headers=old.headers, timeout=90, trust_env=False, verify=False)
    with client as web, ThreadPoolExecutor(1) as user:
        answer = user.submit(World(simulator, old, web).ask, "gemini")
        simulator.wait(lambda log: bool(log))
        restart(paths, os.environ, 30)
        assert answer.result().status == 429
    assert old.process.wait(timeout=10) == 0
    found = find(paths)
    assert found is not None

    def cooldowns() -> list[Any]:
        (row,) = ask(found.daemon, "GET", "/admin/accounts", key=old.key).body["accounts"]
        listed: list[Any] = row["cooldowns"]
        return listed

    assert soon(lambda: bool(cooldowns()), 30)
    assert cooldowns()[0]["seconds"] > 500


@pytest.mark.parametrize(("path", "words"), [("/healthz?challenge=x", ""), ("/readyz", '"ready":true')])
def test_a_used_connection_is_answered_once_more(
    paths: Paths, served: tuple[Simulator, Daemon], path: str, words: str
) -> None:
    """Also when it is the connection of a balancer, for which nothing ends: the next daemon serves."""
    _, old = served
    found = runtime.read(paths.runtime)
    assert found is not None
    connection = http.client.HTTPConnection(found.address, found.port, timeout=10)
    said: list[str | None] = []
    while "close" not in said:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (words or found.proof("x")) in answer.read().decode(), "the old daemon answers"
        said.append(answer.getheader("connection"))
        if len(said) == 1:
            restart(paths, os.environ, 30)
    connection.close()
    assert said[0] is None
    assert old.process.wait(timeout=10) == 0


@contextmanager
def meeting() -> Iterator[tuple[str, socket.socket]]:
    with tempfile.TemporaryDirectory(prefix="bm-") as folder, socket.socket(socket.AF_UNIX) as place:
        place.bind(f"{folder}/next")
        place.listen(1)
        yield f"{folder}/next", place


def invitation(to: str, permit: str, **members: Any) -> dict[str, Any]:
    return {"format": FORMAT, "to": to, "permit": permit} | members


@pytest.mark.parametrize("listener", [True, False])
def test_it_goes_on_if_the_next_daemon_does_not_serve(
    paths: Paths, served: tuple[Simulator, Daemon], listener: bool
) -> None:
    simulator, old = served
    found = runtime.read(paths.runtime)
    assert found is not None
    with meeting() as (path, place):
        asked = invitation(path, found.permit(path), listener=listener)
        assert ask(found, "POST", "/admin/handover", key=old.key, body=asked).status == 200
        channel, _ = place.accept()
        _, descriptors, _, _ = socket.recv_fds(channel, 4096, 4)
        assert len(descriptors) == 1 + listener
        for descriptor in descriptors:
            socket.close(descriptor)
        with ThreadPoolExecutor(1) as user, httpx.Client(base_url=old.url, headers=old.headers, trust_env=False) as web:
            if listener:
                waiting = user.submit(World(simulator, old, web).ask, "gemini")
                channel.close()
                assert waiting.result().complete, "a connection that was made meanwhile is served"
            channel.close()
    while gone(old):
        pass
    assert is_held(paths.lock)
    paths.runtime.unlink()
    again = find(paths)
    assert again and again.answers and again.daemon.token == found.token
    detached(paths)
    assert restart(paths, os.environ, 30).handed_over == found


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"permit": "0" * 128}, 403), ({"format": 0}, 409), ({"to": "/nowhere/at/all"}, 409), ({"format": "x"}, 400)],
)
def test_who_may_not_have_the_sockets(
    paths: Paths, served: tuple[Simulator, Daemon], changed: dict[str, Any], status: int
) -> None:
    _, old = served
    found = runtime.read(paths.runtime)
    assert found is not None
    to = str(changed.get("to", "/tmp/next"))
    asked = invitation(to, found.permit(to)) | changed
    assert ask(found, "POST", "/admin/handover", key="another", body=asked).status == 401
    assert ask(found, "POST", "/admin/handover", key=old.key, body=asked).status == status
    assert ask(found, "GET", "/healthz").status == 200
    assert found.proof(to) != found.permit(to), "whoever asks /healthz gets no permit"


def test_a_websocket_gets_its_answer_and_is_closed(paths: Paths) -> None:
    with Simulator() as simulator:
        config, accounts = started(simulator)
        config += "[server]\nwebsocket = true\n"
        with daemon(paths.config.parent, config, accounts) as old:
            detached(paths)
            simulator.script(Rule(text="word " * 20, chunks=20, delay=0.1))
            address = old.url.replace("http", "ws", 1) + "/v1/responses"
            given = {"authorization": f"Bearer {old.key}", "openai-beta": "responses_websockets=2026-02-06"}
            with connect(address, additional_headers=given, proxy=None) as busy:
                with connect(address, additional_headers=given, proxy=None) as idle:
                    busy.send(json.dumps({"type": "response.create", "model": "gpt-5", "input": "hi"}))
                    simulator.wait(lambda log: bool(log) and log[0].events > 1)
                    restart(paths, os.environ, 30)
                    with pytest.raises(ConnectionClosed):
                        idle.recv(timeout=10)
                    assert idle.close_code == 1012
                events: list[str] = []
                with pytest.raises(ConnectionClosed):
                    while True:
                        events.append(json.loads(busy.recv(timeout=10))["type"])
            assert events[-1] == "response.completed" and busy.close_code == 1012
            assert old.process.wait(timeout=10) == 0
