"""Handing over to the next daemon, which takes the listening socket while this one finishes its answers.

1. The next daemon is ready to serve. It listens on a local socket and asks `/admin/handover` to come there.
2. This daemon stops accepting, so that connections wait in the system's queue, and saves its state for the last time.
3. It sends the descriptors of its listening socket and of its lock (SCM_RIGHTS, unix(7)).
4. The next daemon serves, writes daemon.json and says so. Until then this one can go on as if nothing had happened.
5. This daemon finishes what it has begun and reports what changes, until its last connection is closed.

Both sides send lines of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request

from bm.chat.parts import Json
from bm.config.files import lend_lock, take_back_lock
from bm.errors import BmError, Failure, RequestError
from bm.gateway.services import Services
from bm.server.changes import Changes, Watch
from bm.tasks import spawn

FORMAT: Final = 1
"""The version of what the two daemons say to each other."""
TAKES: Final = 30.0
"""Seconds in which the next daemon must serve."""
_REPORT_EVERY: Final = 0.5
_log = logging.getLogger("bm")


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """Where the next daemon waits, and whether it takes the listening socket or has an address of its own."""

    format: int
    to: str
    permit: str
    listener: bool = True


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The first line, which comes with the descriptors: of the lock, and of the listening socket if it is wanted."""

    pid: int
    version: str


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the next daemon says: that it serves, or that answers may take so many seconds more."""

    serving: bool = False
    drain: float | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the earlier daemon says: how many answers it is still sending, and what has changed since."""

    active: int = 0
    changes: Changes = Changes()


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What only one daemon has, and what the next one gets. `lock` is the descriptor of the lock; `bind` listens on the
    address again; `permits` tells whether a path and its permit come from a reader of daemon.json."""

    lock: int
    bind: Callable[[], socket.socket]
    permits: Callable[[str, str], bool]


class Listener(Protocol):
    """The server, as far as handing over concerns it."""

    def pause(self) -> socket.socket:
        """Accept no more connections. Gives the socket in which they wait."""

    async def resume(self, sock: socket.socket) -> None:
        """Accept connections again."""

    def leave(self, drain: float | None) -> None:
        """End when the answers have ended, or after so many seconds."""


class Handover:
    """How one daemon hands over. `begun` says that the next one has been sent what it needs, and may serve by now."""

    def __init__(
        self,
        services: Services,
        version: str,
        place: Place,
        *,
        retire: Callable[[], Awaitable[None]],
        return_: Callable[[], None],
    ) -> None:
        """`retire` ends the work that one daemon at a time does, and saves its results; `return_` begins it again."""
        self._services, self._version, self._place = services, version, place
        self._retire, self._return = retire, return_
        self.listener: Listener | None = None
        self.begun = False
        self._watch: Watch | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def answer(self, request: Request) -> Json:
        """Meet the next daemon and hand it the sockets.

        Raises:
            RequestError: it may not have them, or cannot be met. This daemon goes on.
        """
        asked = msgspec.json.decode(await request.body(), type=Invitation)
        if asked.format != FORMAT:
            raise _refusal("the running version of bm hands over in another way")
        if not self._place.permits(asked.to, asked.permit):
            raise RequestError(Failure(kind="forbidden", message="the permit is not of this daemon"))
        if self.begun or self.listener is None:
            raise _refusal("the daemon is already handing over")
        self.begun = True
        sock = self.listener.pause()
        await self._retire()
        if not asked.listener:
            sock.close()
        lock = lend_lock(self._place.lock)
        try:
            channel = self._meet(asked.to, [lock, sock.fileno()] if asked.listener else [lock])
        except OSError as error:
            await self._go_on(sock, lock)
            raise _refusal(f"the next daemon cannot be met: {error.strerror or error}") from None
        spawn(self._follow(channel, sock, lock), "handing over")
        return {"handing_over": True}

    def _meet(self, place: str, descriptors: list[int]) -> socket.socket:
        """The connection to the next daemon, with the descriptors sent."""
        channel = socket.socket(socket.AF_UNIX)
        try:
            channel.connect(place)
            hello = Hello(pid=os.getpid(), version=self._version)
            socket.send_fds(channel, [msgspec.json.encode(hello) + b"\n"], descriptors)
        except OSError:
            channel.close()
            raise
        channel.setblocking(False)
        return channel

    async def _follow(self, channel: socket.socket, sock: socket.socket, lock: int) -> None:
        """Wait until the next daemon serves, then leave and do what it says."""
        reader, self._writer = await asyncio.open_unix_connection(sock=channel)
        try:
            async with asyncio.timeout(TAKES):
                order = await read_line(reader, Order)
        except TimeoutError:
            order = None
        if order is None or not order.serving:
            self._writer.close()
            _log.warning("the next daemon has not started; this one goes on")
            await self._go_on(sock, lock)
            return
        assert self.listener is not None
        sock.close()
        os.close(lock)
        self._watch = Watch(self._services)
        self.listener.leave(None)
        _log.info("handed over to the next daemon; %d answers are finished here", self._services.calls.active)
        reports = spawn(self._report(self._writer), "reporting to the next daemon")
        while (order := await read_line(reader, Order)) is not None:
            self.listener.leave(order.drain)
        reports.cancel()
        # The next daemon has ended and no longer says how long answers may take.
        self.listener.leave(self._services.config.server.drain)

    async def _go_on(self, sock: socket.socket, lock: int) -> None:
        """Serve again, because the next daemon does not."""
        assert self.listener is not None
        self.begun = False
        take_back_lock(self._place.lock, lock)
        try:
            await self.listener.resume(sock if sock.fileno() >= 0 else self._place.bind())
        except (BmError, OSError) as error:
            _log.error("bm cannot listen on its address again: %s", error)
            self.listener.leave(self._services.config.server.drain)
        self._return()

    async def _report(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(_REPORT_EVERY)
            await self._tell(writer)

    async def _tell(self, writer: asyncio.StreamWriter) -> None:
        assert self._watch is not None
        with contextlib.suppress(OSError):
            await write_line(writer, Report(active=self._services.calls.active, changes=self._watch.changes()))

    async def close(self) -> None:
        """Report for the last time, at the end of a daemon that has handed over."""
        if self._writer is not None and self._watch is not None:
            await self._tell(self._writer)
            self._writer.close()


def _refusal(message: str) -> RequestError:
    return RequestError(Failure(kind="bad_request", message=message, status=409))


async def read_line(reader: asyncio.StreamReader, kind: type[Any]) -> Any:
    """The next line; None once the other side has ended or says what cannot be read."""
    try:
        line = await reader.readline()
        return msgspec.json.decode(line, type=kind) if line else None
    except (OSError, ValueError, msgspec.DecodeError) as error:
        _log.warning("the other daemon cannot be understood: %s", error)
        return None


async def write_line(writer: asyncio.StreamWriter, said: msgspec.Struct) -> None:
    """Say something.

    Raises:
        OSError: the other side has ended.
    """
    writer.write(msgspec.json.encode(said) + b"\n")
    await writer.drain()
