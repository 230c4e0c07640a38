"""HTTP on the wire: what a framework would do, and the reset it would not."""

from __future__ import annotations

import json
import re
import socket
from typing import Literal

import httpx
import pytest

from bm.simulator import Rule, Simulator
from tests.simulator.streams import ask, body_of, path_of


def raw(sim: Simulator, *sent: bytes) -> bytes:
    """What the server answers to bytes, until it closes."""
    got = bytearray()
    with socket.create_connection((sim.host, sim.port), timeout=5) as sock:
        for data in sent:
            sock.sendall(data)
        while chunk := sock.recv(65536):
            got += chunk
    return bytes(got)


def message(connection: str = "close", *, path: str = "/v1/chat/completions") -> bytes:
    body = json.dumps(body_of("openai-chat", stream=False)).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\nconnection: {connection}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def test_one_connection_serves_many_requests(sim: Simulator, http: httpx.Client) -> None:
    assert [ask(http, "openai-chat").status_code for _ in range(3)] == [200, 200, 200]
    assert len(sim.log()) == 3


def test_requests_sent_at_once_are_answered_in_turn(sim: Simulator) -> None:
    answer = raw(sim, message("keep-alive") + message())
    assert answer.count(b"HTTP/1.1 200") == 2


def test_a_request_may_come_in_pieces(sim: Simulator) -> None:
    whole = message()
    assert b"HTTP/1.1 200" in raw(sim, whole[:10], whole[10:70], whole[70:])


def test_a_client_that_waits_to_be_asked_for_the_body_is_asked(sim: Simulator) -> None:
    whole = message().replace(b"connection: close", b"connection: close\r\nexpect: 100-continue")
    head, body = whole.split(b"\r\n\r\n")
    with socket.create_connection((sim.host, sim.port), timeout=5) as sock:
        sock.sendall(head + b"\r\n\r\n")
        assert sock.recv(1024).startswith(b"HTTP/1.1 100")
        sock.sendall(body)
        assert sock.recv(1024).startswith(b"HTTP/1.1 200")


def test_what_is_not_http_is_refused_and_harms_no_other_request(sim: Simulator, http: httpx.Client) -> None:
    assert raw(sim, b"this is not HTTP\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert ask(http, "openai-chat").status_code == 200


@pytest.mark.parametrize("path", ["/", "/v1/messages", "/anything/else"])
def test_head_is_answered_everywhere_without_a_body(http: httpx.Client, path: str) -> None:
    answer = http.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert http.head(path).status_code == 200


def test_a_reset_is_a_reset_and_not_an_orderly_close(sim: Simulator) -> None:
    sim.script(Rule(cut_after=0))
    with socket.create_connection((sim.host, sim.port), timeout=5) as sock:
        sock.sendall(message())
        with pytest.raises(ConnectionResetError):
            while sock.recv(65536):
                pass


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_may_end_after_an_answer_without_a_word(sim: Simulator, how: Literal["close", "reset"]) -> None:
    sim.script(Rule(afterwards=how))
    with socket.create_connection((sim.host, sim.port), timeout=5) as sock, sock.makefile("rb") as received:
        sock.sendall(message("keep-alive"))
        head = b"".join(iter(received.readline, b"\r\n"))
        length = re.search(rb"content-length: (\d+)", head)
        assert length and b"connection: close" not in head
        received.read(int(length[1]))
        if how == "close":
            assert received.read() == b""
            return
        sock.sendall(message("keep-alive"))
        with pytest.raises(ConnectionResetError):
            received.read()


def test_what_was_sent_before_a_reset_arrives(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(cut_after=3))
    got = bytearray()
    with (
        pytest.raises(httpx.ReadError),
        http.stream("POST", path_of("anthropic"), json=body_of("anthropic")) as response,
    ):
        for chunk in response.iter_raw():
            got += chunk
    assert b"content_block_start" in got


def test_a_slow_reader_gets_everything(sim: Simulator, http: httpx.Client) -> None:
    text = "0123456789" * 800_000
    sim.script(Rule(text=text))
    answer = ask(http, "openai-chat", stream=False)
    assert answer.json()["choices"][0]["message"]["content"] == text
