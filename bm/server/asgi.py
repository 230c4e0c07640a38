"""Requests and responses over ASGI: bodies within their limit, the client's connection, JSON responses."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Send

from bm.errors import Failure, RequestError
from bm.tasks import spawn
from bm.upstream.headers import Headers

_WINDOW_LOG = 27
"""The power of two of bytes that a zstd frame may make its reader remember; the most that zstd writes by default."""

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class ClientGone(Exception):
    """The client closed its connection."""


async def read_body(receive: Receive, headers: Mapping[str, str], limit_mb: int) -> bytes:
    """The body of a request, decompressed if necessary.

    Raises:
        RequestError: it is larger than `limit_mb` MiB, or its encoding is unknown or invalid.
        ClientGone: the client disconnected before it was complete.
    """
    limit = limit_mb * 1024 * 1024
    if declares_more(headers, limit_mb):
        raise RequestError(too_large(limit_mb))
    pieces, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise RequestError(too_large(limit_mb))
        more = message.get("more_body", False)
    return plain_body(pieces[0] if len(pieces) == 1 else b"".join(pieces), headers, limit_mb)


def plain_body(body: bytes, headers: Mapping[str, str], limit_mb: int) -> bytes:
    """A body as it was before its `content-encoding`.

    Raises:
        RequestError: it is then larger than `limit_mb` MiB, or its encoding is unknown or invalid.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return body
    limit = limit_mb * 1024 * 1024
    plain = _decompressed(body, encoding, limit)
    if len(plain) > limit:
        raise RequestError(too_large(limit_mb))
    return plain


def _decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """The content of a body; of one that is too large, a byte more than `limit`."""
    if encoding == "zstd":
        return _unzstd(body, limit)
    if encoding not in ("gzip", "deflate"):
        message = f"content-encoding {encoding!r} is not supported; send the body plain, zstd, gzip or deflate"
        raise RequestError(Failure(kind="bad_request", message=message, status=415))
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        plain = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        message = f"the body is not valid {encoding}: {error}"
        raise RequestError(Failure(kind="bad_request", message=message)) from error
    if not decoder.eof and len(plain) <= limit:
        raise RequestError(Failure(kind="bad_request", message=f"the body is not valid {encoding}: its end is missing"))
    return plain


def _unzstd(body: bytes, limit: int) -> bytes:
    """Codex compresses its bodies this way. The frame's own size is not trusted: reading stops behind the limit."""
    if sys.version_info >= (3, 14):  # few clients send it, and it takes some ms
        from compression import zstd
    else:
        from backports import zstd

    try:
        with zstd.ZstdFile(io.BytesIO(body), options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}) as file:
            return file.read(limit + 1)
    except (zstd.ZstdError, EOFError) as error:
        raise RequestError(Failure(kind="bad_request", message=f"the body is not valid zstd: {error}")) from error


def declares_more(headers: Mapping[str, str], limit_mb: int) -> bool:
    """Whether a request says that its body is larger than `limit_mb` MiB."""
    declared = headers.get("content-length", "")
    return declared.isdigit() and int(declared) > limit_mb * 1024 * 1024


def too_large(limit_mb: int) -> Failure:
    message = f"the request body is larger than {limit_mb} MiB; raise it with `bm config set server.max_body_mb N`"
    return Failure(kind="too_large", message=message)


class AsgiClient:
    """The client of one request. `headers` are sent beside a response's own. `status` is 0 until it has begun."""

    write = None

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.headers: Headers = []
        self.status = 0
        self.is_cut = False

    async def read(self, headers: Mapping[str, str], limit_mb: int) -> bytes:
        """The body of the request; see `read_body`."""
        return await read_body(self._receive, headers, limit_mb)

    async def while_there(self, work: Awaitable[None]) -> None:
        """Await `work`, which is cancelled if the client hangs up."""
        task = asyncio.current_task()
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await self._receive())["type"] != "http.disconnect":
                pass
            gone = True
            if task is not None:
                task.cancel()

        watcher = spawn(watch(), "watching for a disconnect")
        try:
            await work
        except asyncio.CancelledError:
            if not gone:
                raise
            if task is not None:
                task.uncancel()
        finally:
            watcher.cancel()

    async def start(self, status: int, headers: Headers) -> None:
        self.status = status
        encoded = [(name.encode("latin-1"), latin(value)) for name, value in (*headers, *self.headers)]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def send(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, rest: bytes = b"") -> None:
        """Send the last chunk and complete the response."""
        await self._send({"type": "http.response.body", "body": rest, "more_body": False})

    async def cut(self) -> None:
        """Leave the response without its end. The connection is closed once the exchange is over: see `Cut`."""
        self.is_cut = True

    async def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Send a complete response."""
        await self.start(status, [*headers, ("content-length", str(len(body)))])
        await self.end(body)


class Cut(Exception):
    """Raised to uvicorn, which closes the connection of a response that was left without its end."""


def latin(value: str) -> bytes:
    """A header value as bytes. Names of models and accounts may contain characters that headers may not."""
    return _CONTROL.sub(b" ", value.encode("latin-1", "backslashreplace"))


Handler = Callable[[Request], Awaitable[Response]]

_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class JsonResponse(Response):
    """A JSON response that is not cached, and that browsers do not interpret as anything else."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200) -> None:
        super().__init__(content, status_code, _HEADERS)

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


def json_handler(answer: Callable[[Request], Awaitable[Any]]) -> Handler:
    """A handler that responds with the JSON of what `answer` returns."""

    async def handler(request: Request) -> Response:
        return JsonResponse(await answer(request))

    return handler
