"""Heads of requests that no client writes: one request is one request, and what is none is refused before any key."""

from __future__ import annotations

import json

import pytest

from tests.attacks.stage import Stage, answered
from tests.simulator.streams import body_of

BODY = json.dumps(body_of("anthropic", "hello", "claude-sonnet-5", stream=False)).encode()
SMUGGLED = b"POST /admin/stop HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"


def post(key: str, *lines: bytes, body: bytes = BODY, length: bool = True) -> bytes:
    """A request for a message with further lines in its head."""
    own = [b"host: localhost", b"x-api-key: " + key.encode(), *lines]
    own += [b"content-length: %d" % len(body)] if length else []
    return b"\r\n".join([b"POST /v1/messages HTTP/1.1", *own]) + b"\r\n\r\n" + body


def status_of(received: bytes) -> int:
    return int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/1.1 ") else 0


def chunked(*pieces: bytes, trailer: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        [b"x: " + b"a" * 70_000],
        [b"x-%d: a" % number + b"b" * 40 for number in range(2000)],
        [b"a" * 70_000 + b": x"],
        [b": no name"],
        [b"no colon"],
        [b"space before : colon"],
        [b"x: a\x00b"],
        [b"x: a\rb"],
        [b"host: evil.example"],
        [b"content-length: 5, 6"],
        [b"content-length: -1"],
        [b"content-length: +5"],
        [b"content-length: 99999999999999999999999"],
        [b"transfer-encoding: chunked", b"content-length: 5"],
        [b"transfer-encoding: xchunked"],
        [b"transfer-encoding: chunked, identity"],
        [b"transfer-encoding: \x0bchunked"],
        [b"content-length : 5"],
    ],
    ids=lambda lines: repr(lines[0][:24]),
)
def test_a_head_that_is_none_is_refused_and_the_connection_closed(stage: Stage, lines: list[bytes]) -> None:
    stage.set_up("anthropic", rescued=False)
    received = stage.raw(post(stage.daemon.key, *lines) + SMUGGLED)
    assert status_of(received) in (400, 403, 413, 431), received[:200]
    assert received.count(b"HTTP/1.1 ") == 1 and stage.hostile.asked == []
    assert stage.world.admin("status")


def test_a_head_without_an_end_takes_no_memory(stage: Stage) -> None:
    pieces = [b"x-%d: " % number + b"a" * 8000 + b"\r\n" for number in range(200)]
    received = stage.raw(b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\n", *pieces)
    assert status_of(received) in (0, 431)
    endless = stage.raw(b"POST /v1/messages HTTP/1.1\r\nx: ", *[b"a" * 8000] * 200)
    assert status_of(endless) in (0, 431)


@pytest.mark.parametrize("upgrade", [b"h2c", b"TLS/1.0", b"websocket, h2c"])
def test_an_offer_to_upgrade_is_passed_over_with_its_body(stage: Stage, upgrade: bytes) -> None:
    stage.set_up("anthropic")
    stage.hostile.says = lambda asked: answered(b"{}")
    lines = [
        b"connection: Upgrade, HTTP2-Settings, close",
        b"upgrade: " + upgrade,
        b"http2-settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ]
    received = stage.raw(post(stage.daemon.key, *lines), patience=0.5)
    assert status_of(received) == 200 and b"x-bm-provider: together" in received


@pytest.mark.parametrize(
    ("trailer", "status"),
    [(b"x-api-key: %s\r\n", 401), (b"authorization: Bearer %s\r\n", 401), (b"host: localhost\r\n", 403)],
)
def test_a_trailer_is_no_header(stage: Stage, trailer: bytes, status: int) -> None:
    key = stage.daemon.key.encode()
    trailer = trailer % key if b"%s" in trailer else trailer
    host, given = (b"evil.example", b"x-api-key: " + key) if status == 403 else (b"localhost", b"x: y")
    head = b"POST /v1/messages HTTP/1.1\r\nhost: " + host + b"\r\n" + given + b"\r\ntransfer-encoding: chunked\r\n"
    received = stage.raw(head + b"connection: close\r\n\r\n" + chunked(BODY, trailer=trailer))
    assert status_of(received) == status and received.count(b"HTTP/1.1 ") == 1


def test_bytes_behind_a_body_are_a_request_of_their_own_with_its_own_key(stage: Stage) -> None:
    stage.set_up("anthropic")
    stage.hostile.says = lambda asked: answered(b"{}")
    received = stage.raw(post(stage.daemon.key) + SMUGGLED, patience=0.6)
    statuses = [int(line.split(b" ")[0]) for line in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 401]


def test_a_body_in_chunks_with_extensions_is_read(stage: Stage) -> None:
    stage.set_up("anthropic")
    stage.hostile.says = lambda asked: answered(b"{}")
    half = len(BODY) // 2
    body = b"%x;a=b\r\n%s\r\n" % (half, BODY[:half]) + chunked(BODY[half:])
    received = stage.raw(
        post(stage.daemon.key, b"transfer-encoding: chunked", b"connection: close", body=body, length=False)
    )
    assert status_of(received) == 200


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\r\n" * 5000, b"\x00" * 500, b"PRI * HTTP/2.0\r\n\r\n"]
)
def test_bytes_that_are_not_http_do_no_harm(stage: Stage, noise: bytes) -> None:
    assert status_of(stage.raw(noise, patience=0.2)) in (0, 400)
    assert stage.world.admin("status")
