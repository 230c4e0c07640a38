"""Responses over WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from bm.keys.file import update
from bm.server import websocket
from bm.server.websocket import WebSocketClient
from bm.simulator import Rule, Simulator
from tests.gateway.world import World
from tests.support.daemon import Daemon, daemon
from tests.support.waiting import soon


@pytest.fixture(scope="module")
def running(sealed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, Daemon]]:
    """A daemon that takes WebSocket connections."""
    home = tmp_path_factory.mktemp("websocket")
    with Simulator() as simulator:
        config = f'[server]\nwebsocket = true\n[gemini]\nbase_url = "{simulator.url}"\n'
        with daemon(home, config) as started:
            yield simulator, started


@contextmanager
def connected(world: World, **headers: str) -> Iterator[ClientConnection]:
    given = {"authorization": f"Bearer {world.daemon.key}", "openai-beta": "responses_websockets=2026-02-06"}
    address = world.daemon.url.replace("http", "ws", 1) + "/v1/responses"
    with connect(address, additional_headers=given | headers, proxy=None, open_timeout=10) as connection:
        yield connection


def exchange(connection: ClientConnection, **members: Any) -> list[dict[str, Any]]:
    """The events that answer a request."""
    connection.send(json.dumps({"type": "response.create", "model": "gpt-5", **members}))
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in ("response.completed", "response.failed", "error"):
        events.append(json.loads(connection.recv(timeout=10)))
    return events


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


def test_a_clients_key_and_its_limits(world: World) -> None:
    key = world.key("ci", models=("gpt-*",), rpm=1)["x-api-key"]
    with connected(world, authorization=f"Bearer {key}") as connection:
        assert exchange(connection, input=[said("hi")])[-1]["type"] == "response.completed"
        assert soon(lambda: [row["key"] for row in world.admin("requests?limit=1")["requests"]] == ["ci"])
        assert "limited to 1 requests per minute" in str(exchange(connection, input=[said("hi")])[-1])
        update(world.daemon.paths.keys, lambda old: old.revoke("ci"))
        assert world.admin("reload", {})["ok"]
        assert "the key ci is revoked" in str(exchange(connection, input=[said("hi")])[-1])


def test_a_conversation_over_one_connection(world: World) -> None:
    with connected(world) as connection:
        first = exchange(connection, input=[said("the word is plum")], store=False)
        assert first[0]["type"] == "response.created" and first[-1]["type"] == "response.completed"
        name = first[-1]["response"]["id"]
        exchange(connection, input=[said("which word?")], store=False, previous_response_id=name)
    sent = json.dumps(world.calls()[-1].body)
    assert "the word is plum" in sent and "which word?" in sent
    assert "responses_websockets" not in str(world.calls()[-1].headers)


def test_a_request_that_only_prepares_calls_no_upstream(world: World) -> None:
    with connected(world) as connection:
        events = exchange(connection, input=[said("the word is plum")], generate=False)
        assert [event["type"] for event in events] == ["response.created", "response.completed"]
        assert world.calls() == []
        exchange(connection, input=[], previous_response_id=events[-1]["response"]["id"])
    assert "the word is plum" in json.dumps(world.calls()[-1].body)


def test_an_error_leaves_the_connection_open(world: World) -> None:
    world.sim.script(Rule(status=400))
    with connected(world) as connection:
        assert (refused := exchange(connection, input="hi")[-1])["status"] == 400 and refused["error"]["message"]
        assert exchange(connection, input="hi", previous_response_id="resp_9")[-1]["type"] == "error"
        for message in ("no JSON", '{"type":"response.steer"}', '{"type":"response.create"}'):
            connection.send(message)
            assert json.loads(connection.recv(timeout=10))["type"] == "error"
        assert exchange(connection, input="hi")[-1]["type"] == "response.completed"


def test_a_client_that_leaves_cancels_its_request(world: World) -> None:
    world.sim.script(Rule(first_token_delay=30.0))
    with connected(world) as connection:
        connection.send(json.dumps({"type": "response.create", "model": "gpt-5", "input": "hi"}))
        world.sim.wait(lambda log: bool(log), seconds=5)
    log = world.sim.wait(lambda log: bool(log) and log[0].aborted, seconds=20)
    assert len(log) == 1


async def test_a_broken_response_closes_the_connection() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    client = WebSocketClient(send)
    await client.start(200, [])
    await client.send(b'event: a\ndata: {"type":"a"}\n\n: keep-alive\n\n')
    await client.cut()
    assert sent == [{"type": "websocket.send", "text": '{"type":"a"}'}, {"type": "websocket.close", "code": 1011}]


async def test_a_client_that_takes_no_close_holds_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(message: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(websocket, "_CLOSING", 0.01)
    async with asyncio.timeout(5):
        await WebSocketClient(send).cut()
