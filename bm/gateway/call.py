"""A client's call as it came in, before anything of it is decided."""

from __future__ import annotations

from typing import Protocol

import msgspec

from bm.gateway.conversation import Conversation
from bm.names import ProtocolName
from bm.upstream.endpoint import Operation
from bm.upstream.headers import Headers


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asked for, in its own bytes.

    `version` is the API version in a Gemini path, empty for none; `array` whether a Gemini client wants its stream as
    a JSON array. `query` is the query string without a key.
    """

    id: str
    protocol: ProtocolName
    operation: Operation
    headers: Headers
    body: bytes
    model: str
    stream: bool
    query: str = ""
    version: str = ""
    array: bool = False
    conversation: Conversation = Conversation()

    def header(self, name: str) -> str:
        """The first value of a header, empty when absent."""
        return next((value for key, value in self.headers if key == name), "")


class Client(Protocol):
    """The way back to the caller."""

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of the answer."""

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""

    async def end(self, rest: bytes = b"") -> None:
        """The answer is complete, with its last piece."""

    async def cut(self) -> None:
        """Break the connection, so that nobody takes what was sent for the whole."""
