"""Opens connections: names to addresses, addresses to sockets, sockets to connections with TLS."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Any, Final, Literal, TypeVar

from bm.config.proxy import ProxyAddress
from bm.upstream.connection import Connection
from bm.upstream.origin import Origin
from bm.upstream.pool import Route
from bm.upstream.public import is_public
from bm.upstream.tls import tls_context
from bm.upstream.tunnel import ProxyRefused, Tunnel, through_socks

STAGGER: Final = 0.25
"""Seconds for which an address is tried alone before the next one is tried beside it (RFC 8305, section 8)."""

NAMES_KEPT: Final = 10.0
"""Seconds for which the addresses of a name are remembered."""

_ALIVE: Final = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
    (socket.IPPROTO_TCP, "TCP_KEEPALIVE", 30),  # what macOS calls it
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 4),
)
"""Probes on a silent connection. A model that thinks sends nothing for minutes, and a router forgets a connection on
which nothing moves, some after a minute (openai-python, pull request 3270, 2026-05; Anthropic's SDK does the same)."""

_UNKNOWN_AUTHORITY: Final = (18, 19, 20, 21)
"""OpenSSL's codes for self-signed certificates and issuers that are not known (openssl-verify)."""
_REMEDY: Final = "if it is your company's proxy, name the file of its authority: bm config set upstream_proxy.ca_bundle"

Stage = Literal["dns", "connect", "tls", "proxy", "timeout", "descriptor"]
AnyProtocol = TypeVar("AnyProtocol", bound=asyncio.Protocol)
AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Unreachable(Exception):
    """No connection could be made. `stage` is what failed, or what was lacking; the text says how."""

    def __init__(self, stage: Stage, text: str, cause: BaseException | None = None) -> None:
        scarce = isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE)
        self.stage: Stage = "descriptor" if scarce else stage
        super().__init__(text)


class Dialer:
    """Opens connections. With `public_only` it connects to public addresses only, whatever names resolve to."""

    def __init__(self, *, public_only: bool = False) -> None:
        self._public_only = public_only
        self._lookups: dict[tuple[str, int], tuple[float, asyncio.Future[list[AddressInfo]]]] = {}

    async def dial(self, route: Route, make: Callable[[], Connection], seconds: float) -> Connection:
        """A new connection, made by `make`. The way to a server or a proxy takes at most `seconds` (0 = no limit), and
        so does the way from the proxy to the server.

        Raises:
            Unreachable: there is none.
            ConfigError: the CA bundle cannot be read.
        """
        context = tls_context(route.ca_bundle) if route.origin.is_secure else None
        try:
            return await self._dial(route, make, context, seconds)
        except TimeoutError:
            raise Unreachable("timeout", f"it took more than {seconds:g} s") from None
        except ProxyRefused as error:
            raise Unreachable("proxy", str(error), error.__cause__) from error

    def forget(self) -> None:
        """Ask for every name anew: the network is another one."""
        self._lookups.clear()

    async def _dial(
        self, route: Route, make: Callable[[], Connection], context: ssl.SSLContext | None, seconds: float
    ) -> Connection:
        origin, through = route.origin, route.through
        if through is None:
            async with asyncio.timeout(seconds or None):
                found = await self._socket(origin.host, origin.port, public_only=self._public_only)
                return await _connected(found, make, context, origin.host)
        outer = tls_context(route.ca_bundle) if through.scheme == "https" else None
        if through.is_socks:
            found = await through_socks(through, origin, seconds)
            async with asyncio.timeout(seconds or None):
                return await _connected(found, make, context, origin.host)
        async with asyncio.timeout(seconds or None):
            found = await self._proxy_socket(through)
            if context is None:
                return await _connected(found, make, outer, through.host, "proxy")
            tunnel = await _connected(found, Tunnel, outer, through.host, "proxy")
        async with asyncio.timeout(seconds or None):
            return await _through(tunnel, through, origin, context, make())

    async def _socket(self, host: str, port: int, *, public_only: bool) -> socket.socket:
        """A connected socket."""
        try:
            found = await self._addresses(host, port)
        except OSError as error:
            raise Unreachable("dns", error.strerror or str(error), error) from error
        if public_only:
            found = [each for each in found if is_public(str(each[4][0]))]
            if not found:
                raise Unreachable("connect", f"{host} is not a public address")
        try:
            return await _first_to_connect(list(_alternating(found)))
        except OSError as error:
            raise Unreachable("connect", f"{host}:{port}: {_reason(error)}", error) from error

    async def _proxy_socket(self, through: ProxyAddress) -> socket.socket:
        """A socket that is connected to a proxy. The address of a proxy may be private."""
        try:
            return await self._socket(through.host, through.port, public_only=False)
        except Unreachable as error:
            what = f"{through.host} cannot be resolved: " if error.stage == "dns" else ""
            raise Unreachable("proxy", f"{what}{error}", error.__cause__) from error

    async def _addresses(self, host: str, port: int) -> list[AddressInfo]:
        """The addresses of a name. Requests that need the same name at the same time ask once.

        A question that is still open is not asked again: the system has few threads for them, and the names of others
        would wait.
        """
        if (literal := _literal(host, port)) is not None:
            return [literal]
        now = asyncio.get_running_loop().time()
        self._lookups = {key: each for key, each in self._lookups.items() if _is_usable(each[1], each[0] >= now)}
        if (host, port) not in self._lookups:
            self._lookups[host, port] = (now + NAMES_KEPT, asyncio.ensure_future(_looked_up(host, port)))
        return await asyncio.shield(self._lookups[host, port][1])


def _is_usable(lookup: asyncio.Future[list[AddressInfo]], fresh: bool) -> bool:
    return not lookup.done() or (fresh and not (lookup.cancelled() or lookup.exception()))


async def _looked_up(host: str, port: int) -> list[AddressInfo]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(found)


def _literal(host: str, port: int) -> AddressInfo | None:
    """The address that is written as such."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return None
    place = (host, port) if family == socket.AF_INET else (host, port, 0, 0)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place


def _alternating(found: Sequence[AddressInfo]) -> Iterator[AddressInfo]:
    """The addresses, families in turn: if one family does not work, the second attempt is of the other."""
    first = [each for each in found if each[0] == found[0][0]]
    others = [each for each in found if each[0] != found[0][0]]
    return (each for each in chain.from_iterable(zip_longest(first, others)) if each is not None)


async def _first_to_connect(addresses: Sequence[AddressInfo]) -> socket.socket:
    """A socket to the address that answers first; those that answer later are closed (RFC 8305).

    Raises:
        OSError: none did.
    """
    if len(addresses) == 1:
        return await _connect_to(addresses[0])
    waiting, failure = list(reversed(addresses)), OSError("it has no address")
    trying: set[asyncio.Task[socket.socket]] = set()
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.ensure_future(_connect_to(waiting.pop())))
            done, trying = await asyncio.wait(
                trying, timeout=STAGGER if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            won, lost = _sorted(done)
            if won:
                trying |= set(won[1:])
                return won[0].result()
            failure = lost or failure
        raise failure
    finally:
        for task in trying:
            task.cancel()
            task.add_done_callback(_close_late)


def _sorted(done: set[asyncio.Task[socket.socket]]) -> tuple[list[asyncio.Task[socket.socket]], OSError | None]:
    """The tasks that succeeded, and the error of one that did not."""
    won, failure = [], None
    for task in done:
        error = task.exception()
        if error is None:
            won.append(task)
        elif isinstance(error, OSError):
            failure = error
        else:
            raise error
    return won, failure


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _probe(connected: socket.socket) -> None:
    """Let the system probe the connection. Systems know some of the options only."""
    for level, name, value in _ALIVE:
        if (option := getattr(socket, name, None)) is not None:
            with contextlib.suppress(OSError):
                connected.setsockopt(level, option, value)


async def _connect_to(address: AddressInfo) -> socket.socket:
    family, kind, protocol, _, place = address
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        with contextlib.suppress(OSError):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(made, place)
    except BaseException:
        made.close()
        raise
    return made


async def _connected(
    found: socket.socket,
    make: Callable[[], AnyProtocol],
    context: ssl.SSLContext | None,
    host: str,
    stage: Stage = "connect",
) -> AnyProtocol:
    """The connection over a connected socket."""
    _probe(found)
    loop, name = asyncio.get_running_loop(), host.rstrip(".") if context else None
    try:
        _, made = await loop.create_connection(make, sock=found, ssl=context, server_hostname=name)
    except ssl.SSLError as error:
        raise Unreachable("tls" if stage == "connect" else stage, _distrust(error)) from error
    except OSError as error:
        raise Unreachable(stage, f"{host}: {_reason(error)}", error) from error
    return made


async def _through(
    tunnel: Tunnel, through: ProxyAddress, origin: Origin, context: ssl.SSLContext, made: Connection
) -> Connection:
    """The connection to a server behind an HTTP proxy."""
    loop = asyncio.get_running_loop()
    try:
        plain = await tunnel.open(through, origin)
        secure = await loop.start_tls(plain, made, context, server_hostname=origin.host.rstrip("."))
    except ssl.SSLError as error:
        raise Unreachable("tls", _distrust(error)) from error
    except OSError as error:
        raise Unreachable("connect", f"{origin.host}: {_reason(error)}", error) from error
    except BaseException:
        tunnel.abort()
        raise
    assert secure is not None
    made.connection_made(secure)
    return made


def _distrust(error: ssl.SSLError) -> str:
    """Why there is no TLS. An authority that is not known is most often a company's, whose proxy opens connections."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return str(error)
    unknown = error.verify_code in _UNKNOWN_AUTHORITY
    return error.verify_message + (f" ({_REMEDY})" if unknown else "")


def _reason(error: OSError) -> str:
    """The system's words. asyncio has its own, which contain the address once more."""
    return os.strerror(error.errno) if error.errno else str(error)
