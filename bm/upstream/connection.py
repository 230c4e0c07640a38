"""One connection to a server. A request goes out and its response comes in, as fast as the other side takes them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, cast

from bm.upstream.tls import ResumingContext
from bm.upstream.wire import CutOff, Malformed, ResponseReader

HIGH_WATER: Final = 256 * 1024
"""Bytes of a response that may wait for their reader. Then nothing more is read from the socket."""

SLAB: Final = 256 * 1024
"""Bytes of a request's body that are handed to the socket at a time."""

_JOINED: Final = 16 * 1024
"""A body up to this size is sent together with its head."""


class NoHead(Exception):
    """The head of the response did not arrive in time."""


class Connection(asyncio.Protocol):
    """A connection to one server, for one request at a time.

    It is in `open_ones` as long as it is open. `response` is what has arrived of the response to the last request.
    `idle_since` is for the pool: when the last request ended. `taker` is asked to take what arrives while a task waits
    for it; the task goes on if it returns false.
    """

    def __init__(self, open_ones: set[Connection]) -> None:
        self._loop = asyncio.get_running_loop()
        self._open_ones = open_ones
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._fault: Exception | None = None
        self._unsent = memoryview(b"")
        self._busy = self._holds_back = self._paused = False
        self._session_kept = False
        self.taker: Callable[[], bool] | None = None
        self.response = ResponseReader()
        self.idle_since = 0.0

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's have no common base with it
        self._open_ones.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._unsent = memoryview(b"")
        self._end(exc or ConnectionResetError("the connection is gone"))
        self.response.close()
        self._open_ones.discard(self)

    def data_received(self, data: bytes) -> None:
        if not self._busy:
            self.abort()  # whatever it says, nothing was asked
            return
        response = self.response
        try:
            response.feed(data)
        except Malformed as error:
            self._end(error)
            self.abort()
            return
        if response.size > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        if self._waiter is None or (self.taker is not None and not response.complete and self.taker()):
            return
        self._wake()

    def eof_received(self) -> bool:
        self._end(None)
        return False  # the transport closes itself

    def pause_writing(self) -> None:
        self._holds_back = True

    def resume_writing(self) -> None:
        self._holds_back = False
        self._send_on()

    # Its user calls these.

    @property
    def local_address(self) -> str:
        """The address of this machine that it leaves from; empty if it is gone."""
        name = self._transport and self._transport.get_extra_info("sockname")
        return str(name[0]) if name else ""

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent, as far as is known."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, head: bytes, body: bytes) -> None:
        """Begin a request. A body that the server does not take yet waits."""
        self.response.begin()
        self._fault = self.taker = None
        self._busy = True
        if self._transport is None:
            self._end(ConnectionResetError("the connection is gone"))
        elif len(body) <= _JOINED:
            self._transport.write(head + body)
        else:
            view = memoryview(body)
            self._unsent = view[SLAB:]
            self._transport.writelines([head, view[:SLAB]])
            self._send_on()

    def _send_on(self) -> None:
        while self._unsent and not self._holds_back and self._transport is not None:
            piece, self._unsent = self._unsent[:SLAB], self._unsent[SLAB:]
            self._transport.write(piece)

    async def head(self, seconds: float | None) -> None:
        """Wait for status and headers of the response.

        Raises:
            NoHead: they did not arrive within `seconds`.
            Exception: the connection was lost, or the response is malformed.
        """
        timer = None if seconds is None else self._loop.call_later(seconds, self._give_up)
        try:
            while not self.response.headed:
                await self.progress()
        finally:
            if timer is not None:
                timer.cancel()

    def _give_up(self) -> None:
        # On a busy loop the head may have arrived in the same turn.
        if not self.response.headed:
            self._end(NoHead())

    def take(self) -> bytes:
        """The bytes of the body that have arrived; possibly nothing."""
        data = self.response.take()
        if self._paused:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return data

    async def progress(self) -> None:
        """Wait until something has happened.

        Raises:
            Exception: what ended the response too early.
        """
        if self._fault is not None:
            raise self._fault
        if self.response.complete:
            return
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def finish(self) -> bool:
        """End the exchange. Whether another request can be sent; otherwise the connection is closed at once."""
        response = self.response
        if response.complete and response.reusable and not self._unsent and self.is_open:
            self._busy = False
            self.take()
            self._keep_session()
            return True
        self.abort()
        return False

    def _keep_session(self) -> None:
        if self._session_kept or self._transport is None:
            return
        self._session_kept = True
        made = self._transport.get_extra_info("ssl_object")
        if isinstance(made, ssl.SSLObject) and isinstance(made.context, ResumingContext):
            made.context.remember(made)

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def _end(self, error: Exception | None) -> None:
        """The response ends here, by the server's closing or by an error."""
        if self._busy and self._fault is None and not self.response.complete:
            try:
                if error is None:
                    self.response.end()
            except CutOff as cut:
                error = cut
            self._fault = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
