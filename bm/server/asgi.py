"""A request's body, whole and within its limit."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Send

from bm.errors import Failure, RequestError
from bm.upstream.headers import Headers


class ClientGone(Exception):
    """The client closed its connection."""


async def read_body(receive: Receive, headers: Mapping[str, str], limit_mb: int) -> bytes:
    """The body, decompressed if it came compressed.

    Raises:
        RequestError: it is larger than `limit_mb` MiB, or its encoding is unknown or broken.
        ClientGone: the client left before it was complete.
    """
    limit = limit_mb * 1024 * 1024
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise RequestError(_too_large(limit_mb))
    pieces, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise RequestError(_too_large(limit_mb))
        more = message.get("more_body", False)
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    encoding = headers.get("content-encoding", "").strip().lower()
    return body if encoding in ("", "identity") else _decompressed(body, encoding, limit, limit_mb)


def _decompressed(body: bytes, encoding: str, limit: int, limit_mb: int) -> bytes:
    if encoding not in ("gzip", "deflate"):
        message = f"content-encoding {encoding!r} is not supported; send the body plain, gzip or deflate"
        raise RequestError(Failure(kind="bad_request", message=message, status=415))
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        plain = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        message = f"the body is not valid {encoding}: {error}"
        raise RequestError(Failure(kind="bad_request", message=message)) from error
    if len(plain) > limit:
        raise RequestError(_too_large(limit_mb))
    if not decoder.eof:
        raise RequestError(Failure(kind="bad_request", message=f"the body is not valid {encoding}: its end is missing"))
    return plain


def _too_large(limit_mb: int) -> Failure:
    message = f"the request body is larger than {limit_mb} MiB; raise it with `bm config set server.max_body_mb N`"
    return Failure(kind="too_large", message=message)


class AsgiClient:
    """Writes one answer. `status` is 0 until it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.sent = 0

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head."""
        self.status = status
        encoded = [(name.encode("latin-1"), _latin(value)) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        self.sent += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, rest: bytes = b"") -> None:
        """The answer is complete, with its last piece."""
        self.sent += len(rest)
        await self._send({"type": "http.response.body", "body": rest, "more_body": False})

    async def cut(self) -> None:
        """Break the connection: uvicorn closes it when an answer that has begun is left without its end."""
        raise Cut

    async def whole(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Send a short answer at once."""
        await self.start(status, [*headers, ("content-length", str(len(body)))])
        await self.end(body)


class Cut(Exception):
    """Leaves an answer without its end on purpose."""


def _latin(value: str) -> bytes:
    """A header's value as bytes. Model and account names may hold any character; header fields may not."""
    return value.encode("latin-1", "backslashreplace")


Handler = Callable[[Request], Awaitable[Response]]

_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class JsonResponse(Response):
    """A JSON answer."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200) -> None:
        super().__init__(content, status_code, _HEADERS)

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return msgspec.json.encode(content)


def json_handler(answer: Callable[[Request], Awaitable[Any]]) -> Handler:
    """A handler that answers with what `answer` returns."""

    async def handler(request: Request) -> Response:
        return JsonResponse(await answer(request))

    return handler
