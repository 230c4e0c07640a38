"""Calls without ASGI: turns on a connection, bodies, responses as they are sent, clients that leave or do not read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from bm.errors import RequestError
from bm.server.direct import DirectClient
from tests.server.test_http import serving

Answer = Callable[["Call", DirectClient], Awaitable[None]]
HEAD = b"POST /x HTTP/1.1\r\nhost: localhost\r\n"
BODY = b"content-length: 5\r\n\r\nhello"


class Call:
    """A call that is answered by a function of the test."""

    limit_mb = 1

    def __init__(self, answer: Answer, headers: dict[str, str]) -> None:
        self._answer, self.headers = answer, headers
        self.refused = "x-refused" in headers
        self.has_left = False

    async def serve(self, client: DirectClient) -> None:
        await self._answer(self, client)

    def left(self) -> None:
        self.has_left = True


class App:
    """An application of such calls."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.calls: list[Call] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def direct(self, method: str, path: str, query: str, headers: list[tuple[bytes, bytes]]) -> Call:
        self.calls.append(Call(self._answer, {name.decode(): value.decode() for name, value in headers}))
        return self.calls[-1]


async def whole(call: Call, client: DirectClient) -> None:
    try:
        body = await client.read(call.headers, call.limit_mb)
    except RequestError as error:
        body = error.failure.message.encode()
    await client.respond(200, [("x-name", call.headers.get("x-name", ""))], body or b"nothing")


async def stream(call: Call, client: DirectClient) -> None:
    await client.start(200, [("content-type", "text/event-stream")])
    await client.send(b"one")
    await client.send(b"")
    await client.send(b"two")
    await client.end(b"three")


async def cut(call: Call, client: DirectClient) -> None:
    await client.start(200, [])
    await client.send(b"one")
    await client.cut()


async def received(answer: Answer, *pieces: bytes, app: App | None = None) -> bytes:
    """All that comes back until the connection closes, or has been silent for a moment."""
    async with serving(app or App(answer)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        found = b""
        with suppress(TimeoutError):
            while piece := await asyncio.wait_for(reader.read(65536), 0.2):
                found += piece
        writer.close()
    return found


@pytest.mark.parametrize(
    ("answer", "request_", "response"),
    [
        (whole, HEAD + BODY, b"x-name: \r\ncontent-length: 5\r\n\r\nhello"),
        (whole, HEAD + b"x-name: \xe6\x01\x7f\r\n" + BODY, b"400 "),
        (stream, HEAD + BODY, b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"),
        (stream, HEAD.replace(b"1.1", b"1.0") + BODY, b"connection: close\r\n\r\nonetwothree"),
        (cut, HEAD + BODY, b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n"),
        (whole, HEAD + b"connection: close\r\n" + BODY, b"content-length: 5\r\nconnection: close\r\n\r\nhello"),
    ],
)
async def test_what_is_sent(answer: Answer, request_: bytes, response: bytes) -> None:
    found = await received(answer, request_)
    assert response in found
    assert found.startswith(b"HTTP/1.1 ")
    assert found.endswith(response) or b" 400 " in found


async def test_names_in_headers_cannot_break_out_of_them() -> None:
    async def named(call: Call, client: DirectClient) -> None:
        await client.respond(200, [("x-model", "a\r\nset-cookie: b"), ("x-account", "模型\x00")], b"")

    found = await received(named, HEAD + BODY)
    assert b"x-model: a  set-cookie: b\r\nx-account: \\u6a21\\u578b \r\n" in found


async def test_a_call_waits_for_its_body_unless_it_is_refused() -> None:
    assert await received(whole, HEAD + b"content-length: 9\r\n\r\nhi") == b""
    assert await received(whole, HEAD + b"x-refused: 1\r\ncontent-length: 9\r\n\r\n") != b""


@pytest.mark.parametrize("refused", [False, True])
async def test_only_a_call_that_is_not_refused_is_asked_for_its_body(refused: bool) -> None:
    extra = b"x-refused: 1\r\n" if refused else b""
    found = await received(whole, HEAD + extra + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n", b"hello")
    assert found.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200") is not refused


async def test_a_body_beyond_the_limit_is_answered_before_its_end() -> None:
    found = await received(whole, HEAD + b"transfer-encoding: chunked\r\n\r\n200000\r\n" + b"x" * (1 << 20), b"x" * 9)
    assert b"larger than 1 MiB" in found


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    async def slow(call: Call, client: DirectClient) -> None:
        await asyncio.sleep(0.05 if call.headers["x-name"] == "1" else 0)
        await whole(call, client)

    three = b"".join(HEAD + b"x-name: %d\r\n" % number + BODY for number in (1, 2, 3))
    found = await received(slow, three)
    assert [found.index(b"x-name: %d" % number) for number in (1, 2, 3)] == sorted(
        found.index(b"x-name: %d" % number) for number in (1, 2, 3)
    )


@pytest.mark.parametrize("sent", [HEAD + BODY, HEAD + b"content-length: 9\r\n\r\nhi"])
async def test_a_client_that_leaves(sent: bytes) -> None:
    ended = asyncio.Event()

    async def long(call: Call, client: DirectClient) -> None:
        try:
            await client.while_there(asyncio.sleep(60))
        finally:
            ended.set()

    app = App(long)
    async with serving(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await asyncio.sleep(0.05)
    assert (app.calls[0].has_left, ended.is_set()) == ((False, True) if sent.endswith(b"hello") else (True, False))


async def test_a_client_that_does_not_read_holds_up_what_is_sent() -> None:
    sent = 0

    async def much(call: Call, client: DirectClient) -> None:
        nonlocal sent
        await client.start(200, [])
        for _ in range(1000):
            await client.send(b"x" * 65536)
            sent += 1
        await client.end()

    async with serving(App(much)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(HEAD + BODY)
        await asyncio.sleep(0.2)
        held = sent
        while not (await reader.read(1 << 20)).endswith(b"0\r\n\r\n"):
            pass
        writer.close()
    assert held < 500
    assert sent == 1000
