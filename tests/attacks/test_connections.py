"""Connections that say nothing, too slowly or too much: other clients are served meanwhile."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.attacks.stage import Stage, answered
from tests.gateway.test_bad_input import SHAPES
from tests.support.daemon import daemon

BEGUN = [b"", b"P", b"POST /v1/messages HTTP/1.1\r\n", b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx: "]
BODY = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{"


@contextlib.contextmanager
def connections(url: str, count: int, *beginnings: bytes) -> Iterator[list[socket.socket]]:
    """So many connections on which no more comes than a beginning."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    with contextlib.ExitStack() as stack:
        opened = []
        for number in range(count):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            with contextlib.suppress(OSError):
                connection.sendall(beginnings[number % len(beginnings)])
            opened.append(connection)
        yield opened


def test_silent_connections_keep_no_other_client_waiting(stage: Stage) -> None:
    stage.set_up("anthropic")
    stage.hostile.says = lambda asked: answered(b"{}")
    with connections(stage.daemon.url, 150, *BEGUN, BODY):
        assert stage.ask("anthropic").complete
        assert stage.ask("gemini", stream=True).complete


def test_where_descriptors_are_few_idle_connections_give_way(bm_home: Path) -> None:
    with daemon(bm_home, "", {"one": "key-of-an-account"}) as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (200, 200))
        with connections(running.url, 140, *BEGUN, BODY), httpx.Client(base_url=running.url, trust_env=False) as client:
            for _ in range(5):
                assert client.get("/v1/models", headers=running.headers).status_code == 200
        with httpx.Client(base_url=running.url, trust_env=False) as client:
            assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("length", [b"999999999999", b"70000000"])
def test_a_body_that_is_announced_too_large_is_refused_at_once(stage: Stage, length: bytes) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: " + stage.daemon.key.encode()
    received = stage.raw(head + b"\r\nconnection: close\r\ncontent-length: " + length + b"\r\n\r\n{")
    assert received.startswith(b"HTTP/1.1 413 ") and SHAPES["anthropic"](
        httpx.Response(413, content=received.partition(b"\r\n\r\n")[2]).json()
    )


def test_clients_that_hang_up_in_their_requests_leave_nothing_behind(stage: Stage) -> None:
    stage.set_up("anthropic")
    before = len(stage.daemon.log().splitlines())
    for beginning in (*BEGUN, BODY):
        with connections(stage.daemon.url, 20, beginning):
            pass
    stage.hostile.says = lambda asked: answered(b"{}")
    assert stage.ask("anthropic").complete
    assert not [
        line for line in stage.daemon.log().splitlines()[before:] if "Traceback" in line or "internal error" in line
    ]
    assert stage.world.admin("status")["active"] == 0 if "active" in stage.world.admin("status") else True
