"""The daemon that has handed over to this one and finishes its answers: what it reports, and the orders it gets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

import msgspec

from bm.chat.parts import Json
from bm.gateway.services import Services
from bm.server.changes import merge
from bm.server.handover import Hello, Order, Report, read_line, write_line

_LONGEST_LINE = 256 * 1024 * 1024
_MARGIN, _HASTE = 2.0, 0.3
"""Seconds beyond its time in which the earlier daemon closes its files, and how long it is waited for without any."""
_log = logging.getLogger("bm")


class Predecessor:
    """The earlier daemon. `active` is the number of answers that it is still sending."""

    def __init__(self, channel: socket.socket, hello: Hello) -> None:
        self._channel, self._hello = channel, hello
        self._writer: asyncio.StreamWriter | None = None
        self._gone = asyncio.Event()
        self.active = 0

    def serving(self) -> None:
        """Tell it that this daemon serves, so that it can leave.

        Raises:
            OSError: it has ended.
        """
        self._channel.sendall(msgspec.json.encode(Order(serving=True)) + b"\n")
        self._channel.setblocking(False)

    async def follow(self, services: Services) -> None:
        """Apply what it reports until it has ended."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._channel, limit=_LONGEST_LINE)
        try:
            while (report := await read_line(reader, Report)) is not None:
                self.active = report.active
                merge(services, report.changes)
        finally:
            self.active = 0
            self._gone.set()
            self._writer.close()
        _log.info("the earlier daemon (pid %d) has finished", self._hello.pid)

    async def end(self, drain: float) -> None:
        """Let it finish within so many seconds, as this daemon is about to end, and wait for it."""
        if self._gone.is_set() or self._writer is None:
            return
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(drain + _MARGIN if drain else _HASTE):
                await write_line(self._writer, Order(drain=drain))
                await self._gone.wait()

    def to_json(self) -> Json | None:
        """The earlier daemon for `bm status`; None once it has ended."""
        if self._gone.is_set():
            return None
        return {"pid": self._hello.pid, "version": self._hello.version, "active": self.active}
