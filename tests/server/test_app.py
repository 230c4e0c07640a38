"""The application over real sockets: health checks, keys, response headers and disconnects."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from bm.simulator import Rule
from tests.gateway.world import EVERY_CLIENT, EVERY_PROTOCOL, MODELS, World, path_of
from tests.simulator.streams import body_of


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/"), ("HEAD", "/api/hello"), ("GET", "/api/hello")])
def test_health_checks_need_no_key_and_call_no_upstream(world: World, method: str, path: str) -> None:
    with httpx.Client(base_url=world.daemon.url, trust_env=False, verify=False) as http:
        assert http.request(method, path).status_code == 200
        assert http.request(method, path, headers={"host": "evil.example"}).status_code == 403
    assert world.sim.log() == []


@EVERY_CLIENT
def test_a_response_names_its_target(world: World, protocol: str, stream: bool) -> None:
    answer = world.ask(protocol, stream=stream)
    assert answer.complete
    assert answer.bm("request-id").startswith("req_")
    assert answer.bm("provider") == "gemini" and answer.bm("account") == world.asked()[0]
    assert answer.bm("model") == world.calls()[0].model and answer.bm("attempts") == "1"
    assert ("request-id" in answer.headers) is (protocol == "anthropic")
    assert "server" not in answer.headers and "set-cookie" not in answer.headers


@EVERY_PROTOCOL
def test_an_error_names_the_last_target(world: World, protocol: str) -> None:
    world.sim.script(Rule(status=400))
    answer = world.ask(protocol)
    assert answer.bm("provider") == "gemini" and answer.bm("account") == world.asked()[0]
    assert answer.bm("attempts") == "1"


def test_dropped_fields_are_named(world: World) -> None:
    answer = world.ask("openai-chat", stream=False, logit_bias={"50256": -100})
    assert answer.complete and answer.bm("dropped") == "logit_bias"


@EVERY_PROTOCOL
@pytest.mark.parametrize("place", ["x-api-key", "authorization", "x-goog-api-key", "query"])
def test_the_key_is_accepted_in_every_place(world: World, protocol: str, place: str) -> None:
    key = world.daemon.key
    path = path_of(protocol, MODELS[protocol], stream=False)
    headers = {"x-api-key": key, "authorization": f"Bearer {key}", "x-goog-api-key": key}
    given = {place: headers[place]} if place in headers else {}
    with httpx.Client(base_url=world.daemon.url, trust_env=False, verify=False, timeout=10) as http:
        body = body_of(protocol, model=MODELS[protocol], stream=False)
        answer = http.post(path, json=body, headers=given, params={} if given else {"key": key})
    assert answer.status_code == 200
    assert key not in str(world.calls()[0].headers) + str(world.calls()[0].query)


@pytest.mark.parametrize("before_content", [True, False], ids=["before the first content", "in the stream"])
@EVERY_PROTOCOL
def test_a_disconnect_cancels_the_upstream_request(world: World, protocol: str, before_content: bool) -> None:
    slow = Rule(first_token_delay=30.0) if before_content else Rule(chunks=40, delay=0.2, text="word " * 40)
    world.sim.script(slow)
    disconnect(world, protocol, wait_for_bytes=not before_content)
    log = world.sim.wait(lambda log: bool(log) and log[0].aborted, seconds=5)
    assert len(log) == 1, "no other target is tried for a client that has disconnected"
    limit = time.monotonic() + 3
    while (row := world.account(log[0].account))["inflight"] and time.monotonic() < limit:
        time.sleep(0.02)
    assert (row["inflight"], row["state"], row["failures_today"]) == (0, "usable", 0)
    assert world.ask(protocol).complete


def disconnect(world: World, protocol: str, *, wait_for_bytes: bool) -> None:
    """Send a request, optionally read the first bytes of its response, and disconnect."""
    parts = urlsplit(world.daemon.url)
    assert parts.hostname is not None and parts.port is not None
    path = path_of(protocol, MODELS[protocol], stream=True)
    request = httpx.Request("POST", world.daemon.url + path, json=body_of(protocol, model=MODELS[protocol]))
    head = "".join(f"{name}: {value}\r\n" for name, value in {**request.headers, **world.daemon.headers}.items())
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as sock:
        sock.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + request.content)
        world.sim.wait(lambda log: bool(log) and log[0].status == 200)
        if wait_for_bytes:
            assert sock.recv(100).startswith(b"HTTP/1.1 200")


def test_a_disconnect_before_the_request_is_complete(world: World) -> None:
    parts = urlsplit(world.daemon.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as sock:
        key = f"x-api-key: {world.daemon.key}\r\n"
        sock.sendall(f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\n{key}content-length: 100\r\n\r\n{{".encode())
        time.sleep(0.1)
    assert world.ask("anthropic").complete
    assert world.daemon.logs("the client left before its request was complete")


def test_one_connection_serves_many_requests(world: World) -> None:
    for protocol in ("anthropic", "gemini", "openai-chat", "anthropic"):
        assert world.ask(protocol, stream=False).complete
        assert world.send(protocol, path_of(protocol, "x", stream=False), b"{").status == 400
