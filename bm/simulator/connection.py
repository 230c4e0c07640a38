"""HTTP/1.1 over one TCP connection, with access to the socket.

A server framework hides what the simulator needs: to notice at once that a client disconnected, and to end a connection
with a reset.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Literal, cast

import h11

_log = logging.getLogger(__name__)
_LARGEST_HEAD = 256 * 1024
_LINGER_NOT = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
_GRACE = 0.02
"""Seconds between the last bytes and a reset; a reset discards what the peer has not read."""

Handler = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request with its body, and the response to it."""

    def __init__(self, connection: Connection, head: h11.Request, body: bytes) -> None:
        target = head.target.decode("ascii", "replace")
        self.method = head.method.decode("ascii")
        self.path, _, self.query = target.partition("?")
        self.headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
        self.body = body
        self._connection = connection

    async def head(self, status: int, headers: dict[str, str]) -> None:
        """Send the status and headers. Without `content-length` the body is sent in chunks."""
        lines = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await self._connection.send(h11.Response(status_code=status, headers=lines))

    async def data(self, data: bytes) -> None:
        """Send a part of the body."""
        await self._connection.send(h11.Data(data=data))

    async def end(self) -> None:
        """End the response normally."""
        await self._connection.send(h11.EndOfMessage())

    async def respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Send a response with a `content-length`."""
        await self.head(status, headers | {"content-length": str(len(body))})
        if self.method != "HEAD":
            await self.data(body)
        await self.end()

    def retire(self, how: Literal["close", "reset"]) -> None:
        """After this response, close the connection, or reset it when the next request comes."""
        self._connection.retired = how

    async def reset(self) -> None:
        """End the connection with a TCP reset."""
        await asyncio.sleep(_GRACE)
        self._connection.reset()


class Connection(asyncio.Protocol):
    """The requests of one connection, in order. `gone` is called with an exchange if the client disconnects."""

    def __init__(self, handler: Handler, alive: set[Connection], gone: Callable[[Exchange], None]) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
        self._handler = handler
        self._alive = alive
        self._gone = gone
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self.retired: Literal["close", "reset"] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The transport of uvloop is not a subclass of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._writable.set()
        self._alive.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._alive.discard(self)
        self._writable.set()
        if self._task is not None and self._exchange is not None:
            self._gone(self._exchange)
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self.retired == "reset" and self._task is None:
            self.reset()
            return
        self._http.receive_data(data)
        self._advance()

    def _advance(self) -> None:
        try:
            self._read()
        except h11.RemoteProtocolError as error:
            self._refuse(str(error))

    def _read(self) -> None:
        while self._task is None:
            event = self._http.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                if self._http.they_are_waiting_for_100_continue:
                    self._write(h11.InformationalResponse(status_code=100, headers=[]))
                return
            if isinstance(event, h11.Request):
                self._head = event
                self._body.clear()
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                self._exchange = Exchange(self, self._head, bytes(self._body))
                self._task = asyncio.get_running_loop().create_task(self._serve(self._exchange))
            elif isinstance(event, h11.ConnectionClosed):
                self.close()
                return

    async def _serve(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange)
        except Exception:  # noqa: BLE001 - the edge: a fault here must not end the server
            _log.exception("the simulator failed on %s %s", exchange.method, exchange.path)
        self._task = self._exchange = None
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            if self.retired == "close":
                asyncio.get_running_loop().call_later(_GRACE, self.close)
            self._advance()
        else:
            self.close()

    def _refuse(self, reason: str) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = reason.encode()
            lines = [("content-length", str(len(body))), ("connection", "close")]
            self._write(h11.Response(status_code=400, headers=lines))
            self._write(h11.Data(data=body))
        self.close()

    def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if self._transport is not None and data:
            self._transport.write(data)

    async def send(self, event: h11.Event) -> None:
        """Send a part of a response. Wait while the send buffer is full."""
        await self._writable.wait()
        self._write(event)

    def close(self) -> None:
        """Close after everything written is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once. What is not sent yet is lost."""
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Close at once with a TCP reset."""
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self._task = self._exchange = None
        self.abort()
