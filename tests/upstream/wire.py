"""Servers on loopback that send exact bytes, and minimal proxies."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

Handler = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request a server has read, and the way to answer it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter

    async def answer(self, status: int, body: bytes = b"", *headers: str) -> None:
        """A complete answer; the connection stays open."""
        await self.raw(f"HTTP/1.1 {status} X\r\n", *(f"{line}\r\n" for line in headers))
        await self.raw(f"content-length: {len(body)}\r\n\r\n", body)

    async def raw(self, *pieces: str | bytes) -> None:
        """Whatever there is to send."""
        for piece in pieces:
            self.writer.write(piece.encode() if isinstance(piece, str) else piece)
        await self.writer.drain()

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Server:
    """Where it listens, what it was asked, and over how many connections."""

    port: int
    exchanges: list[Exchange] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


async def read_head(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]]:
    """The method, the target and the headers of a request."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    return (
        method,
        target,
        {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])},
    )


@asynccontextmanager
async def listening(
    connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[int]:
    """A server whose every connection is handed to `connected`; gives its port."""
    open_writers: set[asyncio.StreamWriter] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            await connected(reader, writer)
        writer.close()

    server = await asyncio.start_server(guarded, host, 0, backlog=256, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_writers:
            writer.transport.abort()
        # Handlers end on the next turns of the loop, and close what they have opened themselves.
        for _ in range(5):
            await asyncio.sleep(0)


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """An HTTP server that answers each request by `handler`."""
    seen = Server(0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        while True:
            method, target, headers = await read_head(reader)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            exchange = Exchange(method, target, headers, body, writer)
            seen.exchanges.append(exchange)
            await handler(exchange)

    async with listening(connected, tls) as port:
        seen.port = port
        yield seen


@dataclass
class Proxy:
    """A proxy, and the targets it was asked to reach."""

    port: int = 0
    targets: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@asynccontextmanager
async def http_proxy(tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """An HTTP proxy: one request a connection, or a tunnel. It resolves every name to this machine."""
    proxy = Proxy()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, headers = await read_head(reader)
        proxy.targets.append(target)
        proxy.headers.append(headers)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await tunnel(reader, writer, int(target.rpartition(":")[2]))
            return
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        host, _, path = target.removeprefix("http://").partition("/")
        port = host.partition(":")[2]
        kept = "".join(f"{key}: {value}\r\n" for key, value in headers.items() if key != "proxy-authorization")
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", int(port))
        upstream.write(f"{method} /{path} HTTP/1.1\r\n{kept}\r\n".encode() + body)
        try:
            await copy(upstream_reader, writer)
        finally:
            upstream.transport.abort()

    async with listening(connected, tls) as proxy.port:
        yield proxy


@asynccontextmanager
async def socks_proxy(*, refuses: bool = False, login: tuple[str, str] | None = None) -> AsyncIterator[Proxy]:
    """A SOCKS5 proxy (RFC 1928); `login` is a user and a password (RFC 1929). It resolves names to this machine."""
    proxy = Proxy()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x02" if login else b"\x05\x00")
        if login:
            await reader.readexactly(1)
            given = tuple([(await reader.readexactly((await reader.readexactly(1))[0])).decode() for _ in range(2)])
            writer.write(b"\x01\x00" if given == login else b"\x01\x01")
        _, _, _, kind = await reader.readexactly(4)
        length = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
        address = await reader.readexactly(length)
        port = int.from_bytes(await reader.readexactly(2))
        host = address.decode() if kind == 3 else ".".join(map(str, address))
        proxy.targets.append(f"{host}:{port}")
        writer.write(bytes([5, 5 if refuses else 0, 0, 1, 0, 0, 0, 0, 0, 0]))
        if refuses:
            return
        await tunnel(reader, writer, port)

    async with listening(connected) as proxy.port:
        yield proxy


async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Carry bytes to a port of this machine and back."""
    upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", port)
    back = asyncio.ensure_future(copy(upstream_reader, writer))
    try:
        await copy(reader, upstream)
    finally:
        back.cancel()
        upstream.transport.abort()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes until there are no more."""
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()


Ending = Literal["stay", "close", "half-close", "reset"]


@asynccontextmanager
async def answering(*pieces: bytes, ending: Ending = "stay") -> AsyncIterator[Server]:
    """A server that answers each request by `pieces`, each of them a segment of its own, and then does as `ending`."""

    async def handler(exchange: Exchange) -> None:
        for piece in pieces:
            await exchange.raw(piece)
            await turns()
        if ending == "close":
            exchange.writer.close()
        elif ending == "half-close":
            exchange.writer.write_eof()
        elif ending == "reset":
            # A reset may overtake what was sent ahead of it.
            await asyncio.sleep(0.02)
            exchange.reset()

    async with serving(handler) as server:
        yield server


async def turns(number: int = 3) -> None:
    """Let the other side read what was sent."""
    for _ in range(number):
        await asyncio.sleep(0)
