"""Calls of the model APIs, served from the callbacks of the HTTP protocol, without ASGI between.

A call begins when its body has arrived, so it needs no task that waits for messages: a client that hangs up is a
callback. Head and first piece of a response are one write.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from bm.errors import RequestError
from bm.gateway.call import Write
from bm.server.asgi import declares_more, latin, plain_body, too_large
from bm.upstream.headers import Headers

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNSAFE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Call(Protocol):
    """A request whose head has arrived. One that is `refused` for its head is answered without its body."""

    @property
    def refused(self) -> bool: ...

    @property
    def limit_mb(self) -> int: ...

    async def serve(self, client: DirectClient) -> None:
        """Answer it."""

    def left(self) -> None:
        """The client has left before its request was complete."""


class Connection(Protocol):
    """The part of the HTTP protocol that a call needs."""

    transport: asyncio.Transport
    flow: FlowControl
    loop: asyncio.AbstractEventLoop
    tasks: set[asyncio.Task[None]]

    def on_response_complete(self) -> None: ...


class _NoEvent:
    """Where uvicorn sets an event for ASGI applications."""

    def set(self) -> None: ...


class DirectClient:
    """The client of one call. It takes the place of uvicorn's cycle, whose members it has.

    `headers` are sent beside a response's own. `status` is 0 until the response has begun.
    """

    message_event = _NoEvent()

    def __init__(self, connection: Connection, call: Call, *, version: str, keep_alive: bool, expects: bool) -> None:
        self._connection = connection
        self._call: Call | None = call
        self._refused, self._limit = call.refused, call.limit_mb * 1024 * 1024
        self._expects, self._may_chunk = expects, version != "1.0"
        self._pieces: list[bytes] = []
        self._size = 0
        self._head = b""
        self._chunked = False
        self._work: asyncio.Task[None] | None = None
        self._waits_for_it = self._complete = self._begun = False
        self.keep_alive = keep_alive
        self.disconnected = self.response_complete = self.is_cut = False
        self.status = 0
        self.headers: Headers = []

    # The protocol calls these.

    def begin(self) -> None:
        """It is this request's turn: those before it on the connection have been answered."""
        self._begun = True
        if self._refused or self._is_whole:
            self._run()
        elif self._expects:
            self._connection.transport.write(_CONTINUE)

    def feed(self, piece: bytes) -> None:
        """Take a piece of the body."""
        if self._work is not None:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._begun and self._is_whole:
            self._run()

    def complete(self) -> None:
        """The whole body has arrived."""
        self._complete = True
        if self._begun and self._work is None:
            self._run()

    def lost(self) -> None:
        """The client has closed its connection."""
        self.disconnected = True
        if self._call is not None:
            self._call.left()
        elif self._work is not None and self._waits_for_it:
            self._work.cancel()

    @property
    def _is_whole(self) -> bool:
        """Whether all of the body is here that will be read."""
        return self._complete or self._size > self._limit

    def _run(self) -> None:
        call, self._call = self._call, None
        assert call is not None
        self._work = self._connection.loop.create_task(self._serve(call))
        self._connection.tasks.add(self._work)
        self._work.add_done_callback(self._connection.tasks.discard)

    async def _serve(self, call: Call) -> None:
        try:
            await call.serve(self)
        finally:
            if not self.response_complete:
                self.response_complete = True
                self._connection.transport.close()

    # The call's server calls these.

    async def read(self, headers: Mapping[str, str], limit_mb: int) -> bytes:
        """The body of the request, decompressed if necessary.

        Raises:
            RequestError: it is too large, or its encoding is unknown or invalid.
        """
        if self._size > limit_mb * 1024 * 1024 or declares_more(headers, limit_mb):
            raise RequestError(too_large(limit_mb))
        pieces, self._pieces = self._pieces, []
        return plain_body(pieces[0] if len(pieces) == 1 else b"".join(pieces), headers, limit_mb)

    async def while_there(self, work: Awaitable[None]) -> None:
        """Await `work`, which is cancelled if the client hangs up."""
        task = self._work
        assert task is not None
        self._waits_for_it = True
        try:
            if not self.disconnected:
                await work
        except asyncio.CancelledError:
            if not self.disconnected:
                raise
            task.uncancel()
        finally:
            self._waits_for_it = False

    async def start(self, status: int, headers: Headers) -> None:
        """Begin the response. Its head goes out with the first piece of its body."""
        self.status = status
        fields = [*headers, *self.headers] if self.headers else headers
        framed = any(name == "content-length" for name, _ in fields)
        self._chunked = self._may_chunk and not framed
        if not (framed or self._chunked):
            self.keep_alive = False
        last = b"" if self.keep_alive else b"connection: close\r\n"
        if self._chunked:
            last += b"transfer-encoding: chunked\r\n"
        self._head = STATUS_LINE[status] + _lines(fields) + last + b"\r\n"

    async def send(self, data: bytes) -> None:
        """Send a piece of the body, as soon as the client has read enough of those before."""
        if self._connection.flow.write_paused and not self.disconnected:
            await self._connection.flow.drain()
        if not self.disconnected and (framed := self._framed(data)):
            self._connection.transport.write(framed)

    @property
    def write(self) -> Write | None:
        return None if self._connection.flow.write_paused or self.disconnected else self._write

    def _write(self, data: bytes) -> None:
        self._connection.transport.write(self._framed(data))

    async def end(self, rest: bytes = b"") -> None:
        """Send the last piece and complete the response."""
        if self._connection.flow.write_paused and not self.disconnected:
            await self._connection.flow.drain()
        if self.disconnected:
            return
        framed = self._framed(rest)
        self._connection.transport.write(framed + b"0\r\n\r\n" if self._chunked else framed)
        self.response_complete = True
        if not self.keep_alive:
            self._connection.transport.close()
        self._connection.on_response_complete()

    def _framed(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        if self._chunked and data:
            return b"%b%x\r\n%b\r\n" % (head, len(data), data)
        return head + data if head else data

    async def cut(self) -> None:
        """Leave the response without its end. The connection is closed once the exchange is over."""
        self.is_cut = True

    async def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Send a complete response."""
        await self.start(status, [*headers, ("content-length", str(len(body)))])
        await self.end(body)


def _lines(fields: Headers) -> bytes:
    """Header fields as they are sent. Names of models and accounts may hold characters that headers may not."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields]).encode("latin-1", "backslashreplace")
    if lines.count(b"\r") == lines.count(b"\n") == len(fields) and _UNSAFE.search(lines) is None:
        return lines
    return b"".join(b"%b: %b\r\n" % (name.encode("latin-1"), latin(value)) for name, value in fields)
