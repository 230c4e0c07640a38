"""The HTTP client for upstream requests: what is asked, what is answered, and what went wrong as a value.

There is no total timeout, which would cut long streams; no redirects, which would carry a key elsewhere; no cookies,
which could carry over from one account to another; and no limit on connections, which would make further streams wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import msgspec

from bm.accounts.google import Fetched
from bm.config.schema import Timeouts, UpstreamProxy
from bm.errors import ConfigError, Failure
from bm.upstream.connection import Connection, NoHead
from bm.upstream.dialer import Dialer, Unreachable
from bm.upstream.encoding import Decoder, Undecodable, decoder_for
from bm.upstream.headers import Headers
from bm.upstream.origin import Location, locate
from bm.upstream.pool import Pool, Route
from bm.upstream.proxy import credentials, proxy_for
from bm.upstream.wire import CutOff, Malformed, request_head

NO_DESCRIPTOR = "descriptor"
"""The code of a failure to connect for which this process alone is the reason: it has no descriptor left."""

_PROXY_AUTHENTICATION, _REQUEST_TIMEOUT = 407, 408


class UpstreamError(Exception):
    """The upstream could not be reached, or its response broke off; carries the failure as a value."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


class UpstreamRequest(msgspec.Struct, frozen=True):
    """A request to send. `provider` is its name in messages."""

    provider: str
    method: str
    url: str
    headers: Headers
    body: bytes = b""


class UpstreamResponse:
    """A response whose head has arrived. It must be closed, whatever happens."""

    def __init__(self, connection: Connection, pool: Pool, route: Route, provider: str) -> None:
        response = connection.response
        self._connection: Connection | None = connection
        self._pool, self._route, self._provider = pool, route, provider
        self._decoder: Decoder | None = decoder_for(response.encoding) if response.encoding else None
        self._peeked = b""
        self.status = response.status
        self.headers: Headers = response.headers

    def header(self, name: str) -> str:
        """The first value of a header; empty if absent."""
        wanted = name.lower()
        return next((value for field, value in self.headers if field == wanted), "")

    def read_now(self) -> bytes:
        """What has arrived so far, possibly nothing.

        Raises:
            UpstreamError: it is not compressed as its headers say.
        """
        if self._peeked:
            peeked, self._peeked = self._peeked, b""
            return peeked
        connection = self._connection
        if connection is None:
            return b""
        if self._decoder is None:
            return connection.take() if connection.response.size else b""
        try:
            return self._unpacked(connection, self._decoder)
        except Undecodable as error:
            raise UpstreamError(_cut(error, self._provider)) from error

    def unread(self, data: bytes) -> None:
        """What was read last will be read again."""
        self._peeked = data

    def hand_over(self, taker: Callable[[], bool] | None) -> None:
        """Let `taker` read what arrives while a task waits for it. The task goes on when it returns false."""
        if self._connection is not None and self._decoder is None:
            self._connection.taker = taker

    def _unpacked(self, connection: Connection, decoder: Decoder) -> bytes:
        while True:
            data = b"" if decoder.pending else connection.take()
            if not data and not decoder.pending:
                return b""
            if plain := decoder.decode(data):
                return plain

    async def read_some(self) -> bytes:
        """The next bytes that arrive; empty at the end.

        Raises:
            UpstreamError: the connection broke.
        """
        while not (arrived := self.read_now()):
            if self._at_end():
                break
            if self._connection is None:
                raise UpstreamError(_cut(ConnectionResetError(), self._provider))
            try:
                await self._connection.progress()
            except (Malformed, CutOff, OSError) as error:
                raise UpstreamError(_cut(error, self._provider)) from error
        return arrived

    def _at_end(self) -> bool:
        """Whether everything has been read.

        Raises:
            UpstreamError: what was compressed ended too early.
        """
        if self._peeked or self._connection is None:
            return False
        response = self._connection.response
        if not response.complete or response.size or (self._decoder is not None and self._decoder.pending):
            return False
        try:
            if self._decoder is not None:
                self._decoder.finish()
        except Undecodable as error:
            raise UpstreamError(_cut(error, self._provider)) from error
        return True

    async def peek(self, idle: float = 0.0) -> bytes:
        """The next bytes that arrive, which will be read again; empty at the end.

        Raises:
            UpstreamError: the connection broke, or nothing arrived for `idle` seconds (0 = no limit).
        """
        self._peeked = self.read_now() or await self._read_within(idle)
        return self._peeked

    async def read(self, limit: int, idle: float = 0.0, whole: float = 0.0, since: float | None = None) -> bytes:
        """The rest of the body. `since` is when the `whole` began, in the event loop's time; now if None.

        Raises:
            UpstreamError: the connection broke, nothing arrived for `idle` seconds, the body took more than `whole`
                seconds (0 = no limit), or it is longer than `limit` bytes.
        """
        pieces: list[bytes] = []
        size = self._gather(pieces, 0, limit)
        if not self._at_end():
            began = asyncio.get_running_loop().time() if since is None else since
            try:
                async with asyncio.timeout_at(began + whole if whole else None):
                    while not self._at_end():
                        self._peeked = await self._read_within(idle)
                        size = self._gather(pieces, size, limit)
            except TimeoutError:
                message = f"{self._provider} did not complete its response within {whole:g} s"
                raise UpstreamError(Failure(kind="timeout", message=message, code="whole")) from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _gather(self, pieces: list[bytes], size: int, limit: int) -> int:
        """Add what has arrived. Returns the size of all."""
        while piece := self.read_now():
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                message = f"{self._provider} sent more than {limit} bytes"
                raise UpstreamError(Failure(kind="malformed", message=message))
        return size

    async def _read_within(self, idle: float) -> bytes:
        try:
            async with asyncio.timeout(idle or None):
                return await self.read_some()
        except TimeoutError:
            message = f"{self._provider} sent nothing further within {idle:g} s"
            raise UpstreamError(Failure(kind="timeout", message=message, code="idle")) from None

    def close(self) -> None:
        """Keep the connection for reuse if the whole response has arrived, else close it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(connection, self._route)


class UpstreamClient:
    """Sends requests. The daemon has one; it keeps connections per provider address and proxy.

    With `public_only` it connects to public addresses only, whatever names resolve to. A proxy may be elsewhere.
    """

    def __init__(self, *, public_only: bool = False) -> None:
        self._pool, self._dialer = Pool(), Dialer(public_only=public_only)

    async def open(self, request: UpstreamRequest, timeouts: Timeouts, proxy: UpstreamProxy) -> UpstreamResponse:
        """Send a request and return when the head of the response has arrived.

        A connection that was used before may be dead by now: servers close idle ones. A request that such a connection
        loses before any of the response has arrived, or answers with 408, is sent again, once, on a new connection.

        Raises:
            UpstreamError: the upstream could not be reached, the head did not arrive within `timeouts.first_byte`, or
                the proxy's address or CA bundle cannot be read.
        """
        try:
            location = locate(request.url)
            route = Route(location.origin, proxy_for(request.url, proxy), proxy.ca_bundle)
            head = _head(request, location, route)
            connection = await self._answering(route, head, request.body, timeouts)
            try:
                if connection.response.status == _PROXY_AUTHENTICATION and route.asks_proxy:
                    raise Unreachable("proxy", "it answered 407 Proxy Authentication Required")
                return UpstreamResponse(connection, self._pool, route, request.provider)
            except (Unreachable, Undecodable):
                connection.abort()
                raise
        except (ConfigError, CutOff, Malformed, NoHead, OSError, Undecodable, Unreachable, ValueError) as error:
            raise UpstreamError(_failure(error, request.provider, timeouts)) from error

    async def _answering(self, route: Route, head: bytes, body: bytes, timeouts: Timeouts) -> Connection:
        """A connection on which the head of the response has arrived."""
        now, limit = asyncio.get_running_loop().time, timeouts.first_byte
        due = now() + limit if limit else None
        if (used := self._pool.take(route)) is not None:
            try:
                await _asked(used, head, body, limit or None)
                if used.response.status != _REQUEST_TIMEOUT:
                    return used
                # Some servers end an idle connection with this status, which may cross the request (RFC 9110, section
                # 15.5.9, and HAProxy).
                used.abort()
            except (OSError, CutOff):
                if used.response.answered:
                    raise
        try:
            async with asyncio.timeout_at(due):
                fresh = await self._dialer.dial(route, self._pool.connection, timeouts.connect)
        except TimeoutError:
            raise NoHead from None
        return await _asked(fresh, head, body, due and max(due - now(), 0.0))

    async def fetch(self, request: UpstreamRequest, timeouts: Timeouts, proxy: UpstreamProxy, *, limit: int) -> Fetched:
        """Send a request and read its whole response, of any status.

        Raises:
            UpstreamError: see `open`; or the body broke off, stopped for `timeouts.idle`, took more than
                `timeouts.whole`, or is longer than `limit`.
        """
        response = await self.open(request, timeouts, proxy)
        try:
            body = await response.read(limit, timeouts.idle, timeouts.whole)
        finally:
            response.close()
        return Fetched(status=response.status, headers=dict(response.headers), body=body)

    def drop_connections(self, addresses: Collection[str] | None = None) -> int:
        """Close all connections, or those from the given local addresses. Returns how many there were.

        After a sleep or a change of network they are dead, and their readers would wait for a long time.
        """
        self._dialer.forget()
        return self._pool.drop(addresses)

    async def close(self) -> None:
        """Close all connections. The client can be used again."""
        await self._pool.close()


def _head(request: UpstreamRequest, location: Location, route: Route) -> bytes:
    """The head of a request, as the server or the proxy that it is sent to takes it."""
    headers, target = request.headers, location.target
    if location.authorization:
        headers = [*((name, value) for name, value in headers if name != "authorization")]
        headers.append(("authorization", location.authorization))
    if route.asks_proxy and route.through is not None:
        headers, target = [*headers, *credentials(route.through)], location.absolute
    return request_head(request.method, target, location.origin.host_header, headers, len(request.body))


async def _asked(connection: Connection, head: bytes, body: bytes, seconds: float | None) -> Connection:
    """Send a request and wait for the head of the response. A connection that fails at it is closed."""
    try:
        connection.send(head, body)
        await connection.head(seconds)
    except BaseException:
        connection.abort()
        raise
    return connection


def _failure(error: Exception, provider: str, timeouts: Timeouts) -> Failure:
    """The failure of a request whose response has not begun. No message contains a key."""
    match error:
        case Unreachable(stage="timeout"):
            message = f"{provider} did not accept a connection within {timeouts.connect:g} s"
            return Failure(kind="timeout", message=message, code="connect")
        case NoHead():
            message = f"{provider} sent no response within {timeouts.first_byte:g} s"
            return Failure(kind="timeout", message=message, code="first_byte")
        case Unreachable(stage="descriptor"):
            message = f"no file descriptor is left to connect to {provider} (raise ulimit -n)"
            return Failure(kind="connection", message=message, code=NO_DESCRIPTOR)
        case Unreachable(stage="proxy"):
            message = f"the proxy on the way to {provider} refused: {error}"
            return Failure(kind="connection", message=message, code="proxy")
        case Unreachable(stage="dns"):
            return Failure(kind="connection", message=f"the name of {provider} cannot be resolved: {error}", code="dns")
        case Unreachable(stage="tls"):
            return Failure(kind="connection", message=f"no trusted connection to {provider}: {error}", code="tls")
        case Unreachable():
            return Failure(kind="connection", message=f"{provider} cannot be reached: {error}", code="connect")
        case ConfigError():
            return Failure(kind="unavailable", message=str(error))
        case CutOff() | OSError():
            return Failure(kind="connection", message=f"{provider} closed the connection", code="reset")
        case Malformed():
            return Failure(kind="connection", message=f"the response of {provider} is not valid HTTP: {error}")
        case Undecodable():
            return Failure(kind="connection", message=f"the response of {provider} cannot be read: {error}")
        case _:
            return Failure(kind="connection", message=f"the request to {provider} failed: {error}")


def _cut(error: Exception, provider: str) -> Failure:
    """The failure of a response that has begun."""
    why = f": {error}" if isinstance(error, Malformed | Undecodable) else ""
    return Failure(kind="truncated", message=f"{provider} broke off its response{why}")
