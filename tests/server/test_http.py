"""Limits of requests before any key is checked: heads, time, connections; trailers and offers to upgrade."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from bm.server import http
from bm.server.direct import DirectClient
from bm.server.http import LimitedHttp

FLOOD = 16 * 1024 * 1024
HEAD = b"POST /x HTTP/1.1\r\nhost: localhost\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what the application was given."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(0.3)
        await send({"type": "websocket.send", "text": "still here"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    content = json.dumps({"headers": headers, "body": body.decode(), "method": scope["method"]}).encode()
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": content})


class DirectEcho:
    """The same for requests that do not come by ASGI; others do."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)

    def direct(self, method: str, path: str, query: str, headers: list[tuple[bytes, bytes]]) -> EchoCall | None:
        return EchoCall(method, headers) if method == "POST" else None


class EchoCall:
    refused = False
    limit_mb = 1

    def __init__(self, method: str, headers: list[tuple[bytes, bytes]]) -> None:
        self._method, self._headers = method, [[name.decode(), value.decode()] for name, value in headers]

    async def serve(self, client: DirectClient) -> None:
        body = await client.read({}, self.limit_mb)
        content = json.dumps({"headers": self._headers, "body": body.decode(), "method": self._method}).encode()
        await client.respond(200, [], content)

    def left(self) -> None: ...


@pytest.fixture(params=[echo, DirectEcho()], ids=["asgi", "direct"])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    async with serving(request.param) as found:
        yield found


@asynccontextmanager
async def serving(app: Any = echo) -> AsyncIterator[int]:
    config = uvicorn.Config(app, lifespan="off", log_config=None, ws="wsproto", proxy_headers=False)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: LimitedHttp(config, state, {}), "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for each in list(state.connections):
            each.transport.abort()


async def sent(port: int, *pieces: bytes, length: int = 100_000) -> bytes:
    """What comes back before the connection closes or an answer is complete."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            while not found.endswith(b"}") and (piece := await reader.read(length)):
                found += piece
    except ConnectionError:
        pass
    finally:
        writer.close()
    return found


def echoed(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_a_request_in_pieces(port: int) -> None:
    whole = HEAD + b"content-length: 5\r\n\r\nhello"
    found = echoed(await sent(port, *(whole[at : at + 1] for at in range(len(whole)))))
    assert found["body"] == "hello"


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"x-note: " + b"a" * 200_000,
        HEAD + b"x-note: " + b"a" * 80_000 + b"\r\n\r\n",
        HEAD + b"".join(b"x-%d: %s\r\n" % (n, b"a" * 1000) for n in range(80)) + b"\r\n",
        b"GET /" + b"a" * 80_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
)
async def test_a_head_is_cut_off(port: int, head: bytes) -> None:
    pieces = [head[at : at + 10_000] for at in range(0, len(head), 10_000)]
    answer = await sent(port, *pieces)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


async def test_a_long_body_is_no_head(port: int) -> None:
    body = b"a" * 300_000
    found = echoed(await sent(port, HEAD + b"content-length: 300000\r\n\r\n" + body[:7], body[7:]))
    assert found["body"] == body.decode()


async def flood(scope: Any, receive: Any, send: Any) -> None:
    """Answer with more than the buffers on the way hold."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % FLOOD)]})
    await send({"type": "http.response.body", "body": b"x" * FLOOD})


@pytest.mark.parametrize("reads", [True, False])
async def test_a_client_that_reads_nothing_of_a_whole_response_is_let_go(
    monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    monkeypatch.setattr(LimitedHttp, "unread_seconds", staticmethod(lambda: 0.2))
    async with serving(flood) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        writer.write(HEAD + b"\r\n")
        await reader.readline()
        await asyncio.sleep(0 if reads else 1.0)
        received = 0
        with contextlib.suppress(ConnectionError):
            while received < FLOOD and (piece := await reader.read(1 << 20)):
                received += len(piece)
        writer.close()
    assert (received >= FLOOD) is reads


@pytest.mark.parametrize(
    "tail",
    [
        b"0\r\nx: " + b"a" * 200_000,
        b"0\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"a" * 1000) for n in range(80)) + b"\r\n",
        b"2;" + b"a" * 200_000,
    ],
    ids=["trailer", "trailers", "extension"],
)
async def test_what_follows_a_body_is_cut_off_like_a_head(port: int, tail: bytes) -> None:
    whole = HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n" + tail
    pieces = [whole[at : at + 10_000] for at in range(0, len(whole), 10_000)]
    assert await sent(port, *pieces) == b""


@pytest.mark.parametrize("trailer", [b"x-api-key: key", b"host: evil.example", b"content-encoding: gzip"])
async def test_trailers_are_no_headers(port: int, trailer: bytes) -> None:
    chunks = b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + trailer + b"\r\n\r\n"
    found = echoed(await sent(port, HEAD + chunks))
    assert found == {
        "method": "POST",
        "body": "hi",
        "headers": [["host", "localhost"], ["transfer-encoding", "chunked"]],
    }


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"host: evil.example\r\n\r\n",
        b"POST /x\x00 HTTP/1.1\r\n\r\n",
        b"no HTTP\r\n\r\n",
        HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
)
async def test_what_is_no_valid_head(port: int, request_: bytes) -> None:
    answer = await sent(port, request_)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"connection: close" in answer


async def test_the_host_of_an_absolute_address_counts(port: int) -> None:
    found = echoed(await sent(port, b"GET http://evil.example:81/x HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    assert found["headers"] == [["host", "evil.example:81"]]


@pytest.mark.parametrize("pause", [False, True])
@pytest.mark.parametrize(
    "body", [b"content-length: 5\r\n\r\nhello", b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
async def test_an_offer_to_upgrade_is_ignored_and_the_body_is_read(port: int, pause: bool, body: bytes) -> None:
    offer = HEAD + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEA\r\n" + body
    pieces = (offer[:-9], offer[-9:]) if pause else (offer,)
    found = echoed(await sent(port, *pieces))
    assert found["body"] == "hello"
    assert "upgrade" not in dict(found["headers"])


async def test_requests_follow_each_other_after_an_offer(port: int) -> None:
    offer = HEAD + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nhi"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(3):
        writer.write(offer)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert json.loads(await reader.readuntil(b"}"))["body"] == "hi"
    writer.close()


@pytest.mark.parametrize("app", [echo, DirectEcho()], ids=["asgi", "direct"])
@pytest.mark.parametrize("beginning", [b"", b"POST /x HT", HEAD, b"\r\n", HEAD + b"content-length: 9\r\n\r\nhi"])
async def test_silence_ends_a_connection(monkeypatch: pytest.MonkeyPatch, beginning: bytes, app: Any) -> None:
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(http, "BODY_SECONDS", 0.1)
    async with serving(app) as port:
        assert await sent(port, beginning) == b""


async def test_the_limits_end_where_a_websocket_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(http, "BODY_SECONDS", 0.05)
    asks = b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    async with serving() as port:
        offer = b"GET /x HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        assert b"still here" in await sent(port, offer + asks)


async def test_the_oldest_idle_connection_gives_way(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(http, "most_connections", lambda: 3)
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(9)]
    found = echoed(await sent(port, HEAD + b"content-length: 5\r\n\r\nhello"))
    assert found["body"] == "hello"
    async with asyncio.timeout(5):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await held[0][0].readexactly(1)
    for _, writer in held:
        writer.close()
