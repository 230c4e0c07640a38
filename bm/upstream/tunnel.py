"""The way through a proxy to a server: HTTP's CONNECT, and SOCKS."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Final, cast

from bm.config.proxy import ProxyAddress
from bm.upstream.origin import Origin
from bm.upstream.proxy import credentials

_MAX_HEAD: Final = 64 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.\d (\d{3})(?: ([^\r\n]*))?\r?\n")
_END: Final = re.compile(rb"\r?\n\r?\n")
_NO_LIMIT: Final = 24 * 3600.0


class ProxyRefused(Exception):
    """The proxy does not lead to the server. The text says why."""


class Tunnel(asyncio.Protocol):
    """A connection to an HTTP proxy, until it has become one to a server behind it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _MAX_HEAD or _END.search(self._received):
            self._done()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._done()

    def _done(self) -> None:
        if not self._answer.done():
            self._answer.set_result(None)

    async def open(self, through: ProxyAddress, origin: Origin) -> asyncio.Transport:
        """Ask for the server. The transport then leads to it.

        Raises:
            ProxyRefused: the proxy does not open the tunnel.
        """
        fields = "".join(f"{name}: {value}\r\n" for name, value in credentials(through))
        if self._transport is not None:
            self._transport.write(f"CONNECT {origin.place} HTTP/1.1\r\nhost: {origin.place}\r\n{fields}\r\n".encode())
        await self._answer
        end = _END.search(self._received)
        status = _STATUS.match(self._received)
        if end is None or status is None:
            raise ProxyRefused(f"{through.place} closed the connection or does not speak HTTP")
        if not status[1].startswith(b"2"):
            reason = (status[2] or b"").decode("latin-1").strip()
            raise ProxyRefused(f"{through.place} answered {status[1].decode()} {reason}".rstrip())
        if end.end() < len(self._received):
            raise ProxyRefused(f"{through.place} sent something of its own into the tunnel")
        if self._transport is None:
            raise ProxyRefused(f"{through.place} closed the connection")
        return self._transport

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


async def through_socks(through: ProxyAddress, origin: Origin, seconds: float) -> socket.socket:
    """A socket that leads to the server by a SOCKS proxy, which also resolves the name.

    Raises:
        ProxyRefused: the proxy cannot be reached or refuses.
        TimeoutError: it took more than `seconds` (0 = no limit).
    """
    try:
        from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError, ProxyType
        from python_socks.async_.asyncio import Proxy
    except OSError as error:
        # Without a descriptor not even a module can be read.
        raise ProxyRefused(f"{through.place} was not asked: {error}") from error

    proxy = Proxy(
        ProxyType.SOCKS5,
        through.host,
        through.port,
        username=through.user or None,
        password=through.password or None,
        rdns=True,
    )
    try:
        return await proxy.connect(origin.host, origin.port, timeout=seconds or _NO_LIMIT)
    except ProxyTimeoutError as error:
        raise TimeoutError from error
    except (ProxyConnectionError, ProxyError, EOFError, OSError) as error:
        raise ProxyRefused(str(error) or f"{through.place} closed the connection") from error
