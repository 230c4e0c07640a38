"""The way of one node to the store, which can be cut as a partition of the network cuts it: nothing is refused, nothing
arrives, and neither side learns why."""

from __future__ import annotations

import asyncio
import contextlib


class Link:
    """Forwards what is sent to `port` of `host` to a port of this machine, unless it is cut."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._to, self.host = port, host
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._accept, self.host, 0)

    @property
    def port(self) -> int:
        """Where a node connects to."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Let nothing through in either direction, on connections that are there and on new ones."""
        self._whole.clear()

    def heal(self) -> None:
        """Let what was held up through, and what comes."""
        self._whole.set()

    async def close(self) -> None:
        """End all connections."""
        self.heal()
        if self._server is not None:
            self._server.close()
        for way in list(self._ways):
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    async def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._ways.add(task)
        try:
            await self._whole.wait()
            far, forth = await asyncio.open_connection("127.0.0.1", self._to)
            try:
                await asyncio.gather(self._forward(near, forth), self._forward(far, back))
            finally:
                forth.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._ways.discard(task)
            back.transport.abort()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(64 * 1024):
            await self._whole.wait()
            sink.write(data)
            await sink.drain()
        with contextlib.suppress(OSError):
            sink.transport.abort()
