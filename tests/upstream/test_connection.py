"""The client against servers that misbehave, over real sockets: framing, flow, endings."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from bm.config.schema import Timeouts, UpstreamProxy
from bm.errors import Failure
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest, UpstreamResponse
from bm.upstream.connection import HIGH_WATER, SLAB, Connection, NoHead
from bm.upstream.wire import MAX_HEAD_BYTES
from tests.upstream.wire import Ending, Exchange, Server, answering, listening, read_head, serving, turns

PATIENT = Timeouts(connect=5, first_byte=5, idle=5)
DIRECT = UpstreamProxy(url="direct")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MIB = 1024 * 1024


async def opened(client: UpstreamClient, url: str, body: bytes = b"{}") -> UpstreamResponse:
    return await client.open(UpstreamRequest("acme", "POST", url, [], body), PATIENT, DIRECT)


async def asked(client: UpstreamClient, server: Server) -> bytes | Failure:
    """The body of a response, or why there is none."""
    try:
        return (await client.fetch(UpstreamRequest("acme", "POST", server.url, []), PATIENT, DIRECT, limit=MIB)).body
    except UpstreamError as error:
        return error.failure


WHOLE: dict[str, tuple[bytes, Ending, bytes, bool]] = {
    "a length": (OK + b"Content-Length: 3\r\n\r\nabc", "stay", b"abc", True),
    "chunks": (CHUNKED + b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", "stay", b"abc", True),
    "trailers": (CHUNKED + b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", "stay", b"abc", True),
    "interim responses": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: <a>\r\n\r\n" + OK + b"Content-Length: 3\r\n\r\nabc",
        "stay",
        b"abc",
        True,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "stay", b"", True),
    "line feeds alone": (b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "stay", b"abc", True),
    "until the close": (OK + b"\r\nabc", "close", b"abc", False),
    "until the half-close": (OK + b"\r\nabc", "half-close", b"abc", False),
    "nothing until the close": (OK + b"\r\n", "close", b"", False),
    "a length, then a close": (OK + b"Content-Length: 3\r\n\r\nabc", "close", b"abc", False),
    "a length, then a half-close": (OK + b"Content-Length: 3\r\n\r\nabc", "half-close", b"abc", False),
    "a length, then a reset": (OK + b"Content-Length: 3\r\n\r\nabc", "reset", b"abc", False),
    "chunks, then a close": (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", "close", b"abc", False),
    "connection: close": (OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc", "stay", b"abc", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "stay", b"abc", False),
    "a second response": (
        OK + b"Content-Length: 3\r\n\r\nabc" + OK + b"Content-Length: 4\r\n\r\nevil",
        "stay",
        b"abc",
        False,
    ),
    "bytes after the body": (OK + b"Content-Length: 3\r\n\r\nabcdef", "stay", b"abc", False),
}


@pytest.mark.parametrize("split", ["whole", "byte by byte"])
@pytest.mark.parametrize(("data", "ending", "body", "kept"), WHOLE.values(), ids=WHOLE.keys())
async def test_complete_responses(
    client: UpstreamClient, data: bytes, ending: Ending, body: bytes, kept: bool, split: str
) -> None:
    pieces = [data] if split == "whole" else [data[at : at + 1] for at in range(len(data))]
    async with answering(*pieces, ending=ending) as server:
        assert await asked(client, server) == body
        await turns(9 if ending != "reset" else 0)
        if ending == "reset":
            await asyncio.sleep(0.05)
        assert await asked(client, server) == body
        assert server.connections == (1 if kept else 2)


@pytest.mark.parametrize("name", ["a length", "chunks", "until the close"])
async def test_a_response_in_two_segments_split_at_every_position(client: UpstreamClient, name: str) -> None:
    data, ending, body, _ = WHOLE[name]
    for at in range(1, len(data)):
        async with answering(data[:at], data[at:], ending=ending) as server:
            assert await asked(client, server) == body, at


BROKEN: dict[str, tuple[bytes, Ending, str, str]] = {
    "a close ahead of the response": (b"", "close", "connection", "reset"),
    "a half-close ahead of the response": (b"", "half-close", "connection", "reset"),
    "a reset ahead of the response": (b"", "reset", "connection", "reset"),
    "a close in the head": (OK + b"X: y\r\n", "close", "connection", "reset"),
    "a reset in the head": (OK + b"X: y\r\n", "reset", "connection", "reset"),
    "a close after an interim response": (b"HTTP/1.1 100 Continue\r\n\r\n", "close", "connection", "reset"),
    "a close ahead of the body": (OK + b"Content-Length: 3\r\n\r\n", "close", "truncated", ""),
    "a close in the body": (OK + b"Content-Length: 3\r\n\r\nab", "close", "truncated", ""),
    "a half-close in the body": (OK + b"Content-Length: 3\r\n\r\nab", "half-close", "truncated", ""),
    "a reset in the body": (OK + b"Content-Length: 3\r\n\r\nab", "reset", "truncated", ""),
    "a reset in a body without a length": (OK + b"\r\nab", "reset", "truncated", ""),
    "a close in a chunk": (CHUNKED + b"3\r\nab", "close", "truncated", ""),
    "a close after a chunk": (CHUNKED + b"3\r\nabc\r\n", "close", "truncated", ""),
    "a close in the last chunk": (CHUNKED + b"3\r\nabc\r\n0\r\n", "close", "truncated", ""),
    "a reset after a chunk": (CHUNKED + b"3\r\nabc\r\n", "reset", "truncated", ""),
    "a bad chunk size": (CHUNKED + b"3\r\nabc\r\nxyz\r\n", "stay", "truncated", ""),
    "a chunk longer than its size": (CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", "stay", "truncated", ""),
    "a length and chunks": (
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "stay",
        "connection",
        "",
    ),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "stay", "connection", ""),
    "another protocol": (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "stay", "connection", ""),
    "another protocol after it": (
        b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
        "stay",
        "connection",
        "",
    ),
    "an endless header": (OK + b"x: " + b"y" * (MAX_HEAD_BYTES + 1), "stay", "connection", ""),
    "endless interim responses": (b"HTTP/1.1 100 Continue\r\n\r\n" * 11_000, "stay", "connection", ""),
    "unknown compression": (OK + b"Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc", "stay", "connection", ""),
}


@pytest.mark.parametrize(("data", "ending", "kind", "code"), BROKEN.values(), ids=BROKEN.keys())
async def test_no_other_response_looks_complete(
    client: UpstreamClient, data: bytes, ending: Ending, kind: str, code: str
) -> None:
    async with answering(*([data] if data else []), ending=ending) as server:
        for number in (1, 2):
            failure = await asked(client, server)
            assert isinstance(failure, Failure) and (failure.kind, failure.code) == (kind, code)
            assert "acme" in failure.message
            assert server.connections == number, "what failed is neither repeated nor reused"


async def test_what_arrived_ahead_of_the_end_is_read_first(client: UpstreamClient) -> None:
    async with answering(OK + b"Content-Length: 9\r\n\r\n", b"abc", ending="close") as server:
        response = await opened(client, server.url)
        await asyncio.sleep(0.02)
        assert await response.read_some() == b"abc"
        with pytest.raises(UpstreamError):
            await response.read_some()
        response.close()


Break = Callable[[Exchange], Awaitable[None]]


async def hangs_up(exchange: Exchange) -> None:
    exchange.writer.close()


async def resets(exchange: Exchange) -> None:
    exchange.reset()


async def begins_and_hangs_up(exchange: Exchange) -> None:
    await exchange.raw(b"H")
    exchange.writer.close()


async def continues_and_hangs_up(exchange: Exchange) -> None:
    await exchange.raw(b"HTTP/1.1 100 Continue\r\n\r\n")
    exchange.writer.close()


@pytest.mark.parametrize(
    ("ending", "repeated"),
    [(hangs_up, True), (resets, True), (begins_and_hangs_up, False), (continues_and_hangs_up, False)],
)
@pytest.mark.parametrize("used", [True, False])
async def test_a_request_is_repeated_once_if_a_used_connection_loses_it_ahead_of_the_response(
    client: UpstreamClient, ending: Break, repeated: bool, used: bool
) -> None:
    async def handler(exchange: Exchange) -> None:
        if used and len(server.exchanges) == 1:
            await exchange.answer(200, b"fine")
        else:
            await ending(exchange)

    async with serving(handler) as server:
        if used:
            assert await asked(client, server) == b"fine"
        failure = await asked(client, server)
        assert isinstance(failure, Failure) and (failure.kind, failure.code) == ("connection", "reset")
        assert server.connections == (2 if used and repeated else 1)


@pytest.mark.parametrize("used", [True, False])
async def test_408_on_a_used_connection_is_about_the_time_it_was_idle(client: UpstreamClient, used: bool) -> None:
    async def handler(exchange: Exchange) -> None:
        seen = [each for each in server.exchanges if each.writer is exchange.writer]
        await exchange.answer(200 if used and len(seen) == 1 else 408, b"fine")

    async with serving(handler) as server:
        if used:
            assert await asked(client, server) == b"fine"
        response = await opened(client, server.url)
        assert (response.status, server.connections) == ((200, 2) if used else (408, 1))
        response.close()


async def test_several_used_connections_that_are_dead_cost_one_repetition(client: UpstreamClient) -> None:
    served: set[asyncio.StreamWriter] = set()

    async def once(exchange: Exchange) -> None:
        if exchange.writer in served:
            exchange.writer.close()
        else:
            served.add(exchange.writer)
            await exchange.answer(200, b"fine")

    async with serving(once) as server:
        responses = [await opened(client, server.url) for _ in range(4)]
        for response in responses:
            await response.read(10)
            response.close()
        assert await asked(client, server) == b"fine"
        assert (server.connections, len(server.exchanges)) == (5, 6)


async def test_what_an_idle_connection_sends_is_no_response(client: UpstreamClient) -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(200, b"fine")
        await asyncio.sleep(0.02)
        await exchange.raw(OK + b"Content-Length: 4\r\n\r\nevil")

    async with serving(handler) as server:
        assert await asked(client, server) == b"fine"
        await asyncio.sleep(0.05)
        assert await asked(client, server) == b"fine"
        assert server.connections == 2


async def test_an_idle_connection_that_the_server_closes_is_not_used(client: UpstreamClient) -> None:
    async with serving(lambda exchange: exchange.answer(200, b"fine")) as server:
        assert await asked(client, server) == b"fine"
        server.exchanges[0].writer.close()
        await turns(9)
        assert await asked(client, server) == b"fine"
        assert [len(server.exchanges), server.connections] == [2, 2]


async def test_a_server_is_read_no_faster_than_its_response(client: UpstreamClient) -> None:
    sent = 0

    async def floods(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.raw(OK + b"Content-Length: %d\r\n\r\n" % (64 * MIB))
        for _ in range(64):
            await exchange.raw(bytes(MIB))
            sent += 1

    async with serving(floods) as server:
        response = await opened(client, server.url)
        await asyncio.sleep(0.1)
        assert sent < 32, "it waits in the server, not in bm"
        first = response.read_now()
        assert len(first) < HIGH_WATER + MIB
        size = len(first)
        while piece := await response.read_some():
            size += len(piece)
        assert (size, sent) == (64 * MIB, 64)
        response.close()
        response = await opened(client, server.url)
        assert server.connections == 1, "it goes on where it has paused"
        response.close()


async def test_a_request_is_written_no_faster_than_it_is_read() -> None:
    read, go_on, body = 0, asyncio.Event(), bytes(range(256)) * (32 * MIB // 256)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal read
        await read_head(reader)
        await go_on.wait()
        while read < len(body) and (piece := await reader.read(MIB)):
            assert body.startswith(piece[:256], read % 256)
            read += len(piece)
        writer.write(OK + b"Content-Length: 4\r\n\r\nread")

    async with listening(slow) as port:
        loop = asyncio.get_running_loop()
        transport, connection = await loop.create_connection(lambda: Connection(set()), "127.0.0.1", port)
        connection.send(b"POST / HTTP/1.1\r\nhost: a\r\n\r\n", body)
        await asyncio.sleep(0.05)
        _, high = transport.get_write_buffer_limits()
        assert transport.get_write_buffer_size() <= high + SLAB, "the rest of the body is not copied"
        go_on.set()
        await connection.head(5)
        while not connection.response.complete:
            await connection.progress()
        assert connection.take() == b"read" and read == len(body)
        assert connection.finish()
        transport.abort()
        await turns()


async def test_a_response_that_comes_ahead_of_the_end_of_its_request(client: UpstreamClient) -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 X\r\nContent-Length: 9\r\n\r\ntoo large")
        await asyncio.Event().wait()

    async with listening(refuses) as port:
        response = await opened(client, f"http://127.0.0.1:{port}", bytes(32 * MIB))
        assert (response.status, await response.read(100)) == (413, b"too large")
        response.close()
        await turns(9)
        assert client.drop_connections() == 0, "the rest of the request has nowhere to go"


@pytest.mark.parametrize("stage", ["head", "body", "request"])
async def test_cancelling_closes_the_connection_at_once(client: UpstreamClient, stage: str) -> None:
    hung_up = asyncio.Event()

    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        if stage == "body":
            writer.write(OK + b"Content-Length: 9\r\n\r\nabc")
        if stage == "request":
            await asyncio.sleep(0.05)
        with suppress(ConnectionError):
            while await reader.read(MIB):
                pass
        hung_up.set()

    async def work() -> None:
        response = await opened(client, f"http://127.0.0.1:{port}", bytes(32 * MIB if stage == "request" else 2))
        try:
            await response.read(100)
        finally:
            response.close()

    async with listening(patient) as port:
        working = asyncio.ensure_future(work())
        await asyncio.sleep(0.03)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        await asyncio.wait_for(hung_up.wait(), 5)
        await turns(9)
        assert client.drop_connections() == 0


async def test_a_head_that_arrives_in_the_turn_of_its_deadline() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(OK + b"Content-Length: 3\r\n\r\nab")
        time.sleep(0.02)  # noqa: ASYNC251 - the loop is busy beyond the deadline
        await asyncio.sleep(0.01)
        writer.write(b"c")

    async with listening(slow) as port:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(set()), "127.0.0.1", port)
        connection.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"")
        try:
            await connection.head(0.01)
        except NoHead:
            pass  # one of the two counts
        else:
            while not connection.response.complete:
                await connection.progress()
            assert connection.take() == b"abc"
        connection.abort()
        await turns()


async def test_a_server_that_reads_nothing_and_says_nothing(client: UpstreamClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(UpstreamError) as caught:
            await client.open(
                UpstreamRequest("acme", "POST", url, [], bytes(32 * MIB)), Timeouts(first_byte=0.1), DIRECT
            )
    assert (caught.value.failure.kind, caught.value.failure.code) == ("timeout", "first_byte")
    await turns(9)
    assert client.drop_connections() == 0
