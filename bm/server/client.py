"""The way back to a caller over ASGI."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import Send

from bm.upstream.headers import Headers


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
