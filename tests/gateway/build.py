"""Values that several tests of this room start from."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bm.config.paths import Paths, make_folders
from bm.gateway.call import Call, Conversation
from bm.gateway.settings import Settings, read_settings
from bm.upstream.headers import Headers


def settings(home: Path, text: str = "") -> Settings:
    """The settings of a configuration file with this text."""
    paths = Paths.under(home)
    make_folders(paths)
    paths.config.write_text(text)
    return read_settings(paths, {})


def call(conversation: str = "", *, continues: bool = False, body: bytes = b"{}") -> Call:
    """A request of an Anthropic client."""
    return Call(
        id="req_1",
        protocol="anthropic",
        operation="generate",
        headers=[],
        body=body,
        model="opus",
        stream=True,
        conversation=Conversation(conversation, continues),
    )


class Reader:
    """A client that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[object] = []
        self.status, self.headers, self.body = 0, dict[str, str](), b""
        self.received = asyncio.Event()

    async def start(self, status: int, headers: Headers) -> None:
        self.sent.append((status, headers))
        self.status, self.headers = status, dict(headers)

    async def send(self, data: bytes) -> None:
        self.sent.append(data)
        self.body += data
        self.received.set()

    write = None

    async def end(self, rest: bytes = b"") -> None:
        self.sent += [rest, "end"] if rest else ["end"]
        self.body += rest

    async def cut(self) -> None:
        self.sent.append("cut")
