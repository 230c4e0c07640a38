"""A client that takes little CPU, so that hundreds of them fit beside the daemon they load. No code of bm is in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import h11


class Broken(Exception):
    """The response broke off. `body` is what had arrived."""

    def __init__(self, what: str, body: bytes) -> None:
        super().__init__(what)
        self.body = body


class Caller:
    """One connection, for one request after another; opened when it is needed. `keeps` it open between requests.

    `received` is what has arrived of the last response, `headers` are its headers.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, keeps: bool = True) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._headers, self._keeps = [("host", parts.netloc), *headers.items()], keeps
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._protocol = h11.Connection(h11.CLIENT)
        self.received = bytearray()
        self.headers: dict[str, str] = {}

    async def post(
        self, path: str, body: bytes, *, leaves: bool = False, on_head: Callable[[], None] = lambda: None
    ) -> tuple[int, bytes]:
        """Status and body of a response. `leaves` means to hang up within it. `on_head` is called when it begins.

        Raises:
            OSError: no connection could be made.
            Broken: the response broke off.
        """
        received = self.received = bytearray()
        try:
            reader, writer = await self._connected()
            headers = [*self._headers, ("content-length", str(len(body)))]
            writer.write(self._protocol.send(h11.Request(method="POST", target=path, headers=headers)) or b"")
            writer.write(
                (self._protocol.send(h11.Data(body)) or b"") + (self._protocol.send(h11.EndOfMessage()) or b"")
            )
            status = await self._read(reader, received, leaves, on_head)
        except (h11.ProtocolError, ConnectionResetError, BrokenPipeError) as error:
            self.close()
            raise Broken(repr(error), bytes(received)) from error
        except BaseException:
            self.close()
            raise
        if not self._keeps or self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            self.close()
        else:
            self._protocol.start_next_cycle()
        return status, bytes(received)

    async def _read(
        self, reader: asyncio.StreamReader, received: bytearray, leaves: bool, on_head: Callable[[], None]
    ) -> int:
        status = 0
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                self._protocol.receive_data(await reader.read(64 * 1024))
            elif isinstance(event, h11.Response):
                status = event.status_code
                self.headers = {name.decode(): value.decode() for name, value in event.headers}
                on_head()
            elif isinstance(event, h11.Data):
                received += event.data
                if leaves:
                    return status
            elif isinstance(event, h11.EndOfMessage):
                return status

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self._protocol = h11.Connection(h11.CLIENT)
            self._streams = await asyncio.open_connection(self._host, self._port)
        return self._streams

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
