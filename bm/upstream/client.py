"""The HTTP client for upstream requests, a thin layer over aiohttp.

aiohttp takes a third of httpx's CPU per request and keeps connections apart per proxy. There is no total timeout, which
would cut long streams; no redirects, which would carry a key elsewhere; no cookies, which could carry over from one
account to another; and no limit on connections, because the default of 100 makes further streams wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import aiohttp
import msgspec
from yarl import URL

from bm.accounts.google import Fetched
from bm.config.proxy import ProxyAddress
from bm.config.schema import Timeouts, UpstreamProxy
from bm.errors import ConfigError, Failure
from bm.upstream.headers import Headers
from bm.upstream.proxy import for_request, proxy_for

NO_DESCRIPTOR = "descriptor"
"""The code of a failure to connect for which this process alone is the reason: it has no descriptor left."""
MAX_HEADER_BYTES = 64 * 1024

KEPT = 60.0
"""Seconds for which an idle connection is kept."""


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

    def __init__(self, response: aiohttp.ClientResponse, provider: str) -> None:
        self._response = response
        self._provider = provider
        self._peeked = b""
        self.status = response.status
        self.headers: Headers = [(name.lower(), value) for name, value in response.headers.items()]

    def header(self, name: str) -> str:
        """The first value of a header; empty if absent."""
        return self._response.headers.get(name, "")

    def read_now(self) -> bytes:
        """What has arrived so far, possibly nothing.

        Raises:
            UpstreamError: the connection broke.
        """
        if self._peeked:
            return self._take_peeked()
        try:
            return self._response.content.read_nowait()
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(_broken(error, self._provider)) from error

    async def read_some(self) -> bytes:
        """The next bytes that arrive; empty at the end.

        Raises:
            UpstreamError: the connection broke.
        """
        if self._peeked:
            return self._take_peeked()
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(_broken(error, self._provider)) from error

    def _take_peeked(self) -> bytes:
        peeked, self._peeked = self._peeked, b""
        return peeked

    async def peek(self, idle: float = 0.0) -> bytes:
        """The next bytes that arrive, which will be read again; empty at the end.

        Raises:
            UpstreamError: the connection broke, or nothing arrived for `idle` seconds (0 = no limit).
        """
        self._peeked = await self._read_within(idle)
        return self._peeked

    async def read(self, limit: int, idle: float = 0.0, whole: float = 0.0, since: float | None = None) -> bytes:
        """The rest of the body. `since` is when the `whole` began, in the event loop's time; now if None.

        Raises:
            UpstreamError: the connection broke, nothing arrived for `idle` seconds, the body took more than `whole`
                seconds (0 = no limit), or it is longer than `limit` bytes.
        """
        began = asyncio.get_running_loop().time() if since is None else since
        try:
            async with asyncio.timeout_at(began + whole if whole else None):
                return await self._read_all(limit, idle)
        except TimeoutError:
            message = f"{self._provider} did not complete its response within {whole:g} s"
            raise UpstreamError(Failure(kind="timeout", message=message, code="whole")) from None

    async def _read_all(self, limit: int, idle: float) -> bytes:
        pieces, size = [], 0
        content = self._response.content
        while piece := await (self.read_some() if content.is_eof() else self._read_within(idle)):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                message = f"{self._provider} sent more than {limit} bytes"
                raise UpstreamError(Failure(kind="malformed", message=message))
        return b"".join(pieces)

    async def _read_within(self, idle: float) -> bytes:
        try:
            async with asyncio.timeout(idle or None):
                return await self.read_some()
        except TimeoutError:
            message = f"{self._provider} sent nothing further within {idle:g} s"
            raise UpstreamError(Failure(kind="timeout", message=message, code="idle")) from None

    def close(self) -> None:
        """Keep the connection for reuse if the response was read to its end, else close it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class UpstreamClient:
    """Sends requests. The daemon has one; it keeps connections per provider address and proxy."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[ProxyAddress | None, str, bool], aiohttp.ClientSession] = {}
        self._sockets: WeakSet[socket.socket] = WeakSet()

    async def open(self, request: UpstreamRequest, timeouts: Timeouts, proxy: UpstreamProxy) -> UpstreamResponse:
        """Send a request and return when the head of the response has arrived.

        A connection that was used before may be dead by now: servers close idle ones. A request that such a connection
        loses is sent again at once on a new one.

        Raises:
            UpstreamError: the upstream could not be reached, the head did not arrive within `timeouts.first_byte`, or
                the proxy's address or CA bundle cannot be read.
        """
        try:
            through = proxy_for(request.url, proxy)
            session = self._session(through, proxy.ca_bundle)
            anew = partial(self._session, through, proxy.ca_bundle, keeps=False)
        except ConfigError as error:
            raise UpstreamError(Failure(kind="unavailable", message=str(error))) from error
        headers, options = for_request(through, request.url)

        def send(session: aiohttp.ClientSession, use: _Use) -> Awaitable[aiohttp.ClientResponse]:
            return session.request(
                request.method,
                _address(request.url),
                headers=[*request.headers, *headers],
                data=request.body or None,
                timeout=_connecting(timeouts.connect),
                allow_redirects=False,
                trace_request_ctx=use,
                **options,
            )

        try:
            async with asyncio.timeout(timeouts.first_byte or None):
                response = await _on_living_connection(send, session, anew)
        except aiohttp.ConnectionTimeoutError as error:
            message = f"{request.provider} did not accept a connection within {timeouts.connect:g} s"
            raise UpstreamError(Failure(kind="timeout", message=message, code="connect")) from error
        except TimeoutError as error:
            message = f"{request.provider} sent no response within {timeouts.first_byte:g} s"
            raise UpstreamError(Failure(kind="timeout", message=message, code="first_byte")) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamError(_broken(error, request.provider, through)) from error
        except socks_errors() as error:
            raise UpstreamError(_refused_by_proxy(str(error), request.provider)) from error
        return UpstreamResponse(response, request.provider)

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

    def _session(self, through: ProxyAddress | None, ca_bundle: str, *, keeps: bool = True) -> aiohttp.ClientSession:
        """The session for a way to providers. One that does not keep connections makes a new one for each request."""
        socks = through if through and through.is_socks else None
        key = (socks, ca_bundle, keeps)
        if key not in self._sessions:
            self._sessions[key] = aiohttp.ClientSession(
                connector=self._connector(socks, tls_context(ca_bundle), keeps=keeps),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
                max_line_size=MAX_HEADER_BYTES,
                max_field_size=MAX_HEADER_BYTES,
                read_bufsize=256 * 1024,
                trace_configs=[_tracing()],
            )
        return self._sessions[key]

    def drop_connections(self, addresses: Collection[str] | None = None) -> int:
        """Shut down all connections, or those from the given local addresses. Returns how many there were.

        After a sleep or a change of network they are dead, and their readers would wait for a long time. Connections
        through a SOCKS proxy stay: the proxy is responsible for its own network.
        """
        broken = 0
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                if addresses is None or each.getsockname()[0] in addresses:
                    each.shutdown(socket.SHUT_RDWR)
                    broken += 1
        return broken

    def _connector(self, socks: ProxyAddress | None, context: ssl.SSLContext, *, keeps: bool) -> aiohttp.TCPConnector:
        keeping: dict[str, Any] = {"keepalive_timeout": KEPT} if keeps else {"force_close": True}
        if socks:
            return through_socks(socks, context, **keeping)
        return aiohttp.TCPConnector(limit=0, ssl=context, socket_factory=self._socket, **keeping)

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        made = socket.socket(*address[:3])
        self._sockets.add(made)
        return made

    async def close(self) -> None:
        """Close all connections. The client can be used again."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()


class _Use(msgspec.Struct):
    """Whether a request has got a connection that was used before."""

    reused: bool = False


def _tracing() -> aiohttp.TraceConfig:
    """Notes in the `_Use` of a request that its connection was used before."""

    async def reused(session: object, context: SimpleNamespace, params: object) -> None:
        context.trace_request_ctx.reused = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(reused)
    return tracing


async def _on_living_connection(
    send: Callable[[aiohttp.ClientSession, _Use], Awaitable[aiohttp.ClientResponse]],
    session: aiohttp.ClientSession,
    anew: Callable[[], aiohttp.ClientSession],
) -> aiohttp.ClientResponse:
    """Send a request; if a connection that was used before is lost ahead of the response, again on a new one."""
    use = _Use()
    try:
        return await send(session, use)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError):
        if not use.reused:
            raise
    return await send(anew(), _Use())


@lru_cache(maxsize=1024)
def _address(url: str) -> URL:
    """The parsed URL, cached because it is the same for every request to a target."""
    return URL(url, encoded=True)


@lru_cache(maxsize=32)
def _connecting(seconds: float) -> aiohttp.ClientTimeout:
    """A timeout for connecting, and none for what follows."""
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds or None, sock_read=None)


@lru_cache(maxsize=8)
def tls_context(ca_bundle: str) -> ssl.SSLContext:
    """The system's certificates plus those of the bundle. Loading them takes some 60 ms, so contexts are shared.

    Raises:
        ConfigError: the bundle cannot be read.
    """
    context = ssl.create_default_context()
    if ca_bundle:
        path = Path(ca_bundle).expanduser()
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cannot read {path}: {error}", key="upstream_proxy.ca_bundle") from error
    return context


def through_socks(socks: ProxyAddress, context: ssl.SSLContext, **keeping: Any) -> aiohttp.TCPConnector:
    """A connector for a SOCKS proxy, which also resolves the names."""
    from aiohttp_socks import ProxyConnector

    connector: aiohttp.TCPConnector = ProxyConnector(
        host=socks.host,
        port=socks.port,
        username=socks.user or None,
        password=socks.password or None,
        rdns=True,
        limit=0,
        ssl=context,
        **keeping,
    )
    return connector


def socks_errors() -> tuple[type[Exception], ...]:
    """The exceptions of the SOCKS connector, which are not aiohttp's; `EOFError` when the proxy hangs up."""
    from aiohttp_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

    return ProxyConnectionError, ProxyError, ProxyTimeoutError, EOFError


def _refused_by_proxy(what: str, provider: str) -> Failure:
    message = f"the proxy on the way to {provider} refused: {what}"
    return Failure(kind="connection", message=message, code="proxy")


def _broken(error: Exception, provider: str, through: ProxyAddress | None = None) -> Failure:
    """The failure for a connection that failed or broke. aiohttp's messages contain no keys."""
    match error:
        case aiohttp.ClientHttpProxyError():
            place = through.place if through else "the proxy"
            return _refused_by_proxy(f"{place} answered {error.status} {error.message}".rstrip(), provider)
        case aiohttp.ClientProxyConnectionError():
            return _refused_by_proxy(str(error), provider)
        case aiohttp.ClientConnectorDNSError():
            return Failure(kind="connection", message=f"the name of {provider} cannot be resolved: {error}", code="dns")
        case aiohttp.ClientSSLError():
            return Failure(kind="connection", message=f"no trusted connection to {provider}: {error}", code="tls")
        case aiohttp.ClientConnectorError() if error.os_error.errno in (errno.EMFILE, errno.ENFILE):
            message = f"no file descriptor is left to connect to {provider} (raise ulimit -n)"
            return Failure(kind="connection", message=message, code=NO_DESCRIPTOR)
        case aiohttp.ClientConnectorError():
            return Failure(kind="connection", message=f"{provider} cannot be reached: {error}", code="connect")
        case aiohttp.ClientPayloadError():
            return Failure(kind="truncated", message=f"{provider} broke off its response")
        case aiohttp.ServerDisconnectedError() | ConnectionResetError() | aiohttp.ClientOSError():
            return Failure(kind="connection", message=f"{provider} closed the connection", code="reset")
        case _:
            text = str(error) or type(error).__name__
            return Failure(kind="connection", message=f"the request to {provider} failed: {text}")
