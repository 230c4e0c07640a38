"""A copy of an exchange, taken while it passes."""

from __future__ import annotations

from bm.gateway.call import Call, Client
from bm.upstream.client import UpstreamRequest
from bm.upstream.headers import Headers

LONGEST = 8 * 1024 * 1024
"""Bytes of an answer that are kept."""


class Tape:
    """The way back to the caller, with a copy of what goes there. `whole` is false when the copy lacks something."""

    def __init__(self, call: Call, client: Client) -> None:
        self.call, self._client = call, client
        self.requests: list[UpstreamRequest] = []
        self.status = 0
        self.headers: Headers = []
        self.answer = bytearray()
        self.ended = False
        self.whole = True

    def asked(self, request: UpstreamRequest) -> None:
        """Keep what goes upstream."""
        self.requests.append(request)

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of the answer."""
        self.status, self.headers = status, headers
        await self._client.start(status, headers)

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        self._copy(data)
        await self._client.send(data)

    async def end(self, rest: bytes = b"") -> None:
        """The answer is complete, with its last piece."""
        self._copy(rest)
        self.ended = True
        await self._client.end(rest)

    def _copy(self, data: bytes) -> None:
        room = LONGEST - len(self.answer)
        self.answer += data[:room]
        self.whole = self.whole and len(data) <= room

    async def cut(self) -> None:
        """Break the connection."""
        await self._client.cut()
