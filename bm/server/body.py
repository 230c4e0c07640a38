"""A request's body, whole and within its limit."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from starlette.types import Receive

from bm.errors import Failure, RequestError


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
