"""A daemon between a client of raw bytes and an upstream that answers as a test wants; a good upstream beside it."""

from __future__ import annotations

import itertools
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from bm.accounts.account import Account
from bm.accounts.credentials import update
from bm.simulator import Simulator
from tests.gateway.world import PROTOCOLS_LINE, Answer, World
from tests.support.daemon import Daemon

PROVIDERS = {"gemini": "gemini", "anthropic": "anthropic", "openai-chat": "groq", "openai-responses": "openai"}
"""The provider that stands for a protocol where the upstream is hostile."""
PAUSE = b"<a pause>"
BASES = {"groq": "/openai/v1", "openai": "/v1"}
_numbers = itertools.count()


@dataclass(frozen=True)
class Asked:
    """A request as the hostile upstream has read it."""

    head: str
    body: bytes

    @property
    def key(self) -> str:
        """The key that it carries."""
        found = re.search(r"^(?:x-goog-api-key|x-api-key|authorization): (?:Bearer )?(.*?)\r?$", self.head, re.I | re.M)
        return found[1] if found else ""


class Hostile:
    """An upstream that answers every request with the bytes that `says` returns, and then closes.

    Bytes after a `PAUSE` are sent a little later.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.says: Callable[[Asked], bytes] = lambda asked: b""
        hostile = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = b"".join(iter(self.rfile.readline, b"\r\n")).decode("latin-1")
                length = re.search(r"^content-length: (\d+)", head, re.I | re.M)
                asked = Asked(head, self.rfile.read(int(length[1])) if length else b"")
                hostile.asked.append(asked)
                try:
                    for number, piece in enumerate(hostile.says(asked).split(PAUSE)):
                        time.sleep(0.1 if number else 0.0)
                        self.wfile.write(piece)
                except OSError:
                    return

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def hostile() -> Iterator[Hostile]:
    """A hostile upstream until the block ends."""
    upstream = Hostile()
    try:
        yield upstream
    finally:
        upstream.close()


def answered(body: bytes, kind: str = "application/json", status: str = "200 OK", *headers: str) -> bytes:
    """A response with this body."""
    lines = [
        f"HTTP/1.1 {status}",
        f"content-type: {kind}",
        f"content-length: {len(body.replace(PAUSE, b''))}",
        "connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass
class Stage:
    """The daemon, its upstreams and a client. Keys end in the name of their account."""

    daemon: Daemon
    hostile: Hostile
    simulator: Simulator
    http: httpx.Client
    key: str = ""
    """The key of the account at the hostile upstream."""
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.simulator, self.daemon, self.http)

    def set_up(self, protocol: str, *, rescued: bool = True, more: str = "", secret: str = "") -> None:
        """Begin anew: one account at the hostile upstream, which speaks `protocol`, and with `rescued` a good one."""
        number, provider = next(_numbers), PROVIDERS[protocol]
        self.simulator.reset()
        self.hostile.asked.clear()
        self.key = secret or f"key-of-the-hostile-account-{number:04d}"
        accounts = [Account(name=f"{number:04d}h", provider=provider, key=self.key)]
        server = "" if "[server]" in more else "[server]\nwebsocket = true"
        lines = [server, "[pool]\nmax_wait = 0", more]
        if provider == "gemini":
            lines.append(f'[gemini]\nbase_url = "{self.hostile.url}"')
        else:
            lines.append(f'[providers.{provider}]\nenabled = true\nmode = "pooled"\n{PROTOCOLS_LINE}')
            lines.append(f'base_url = "{self.hostile.url}{BASES.get(provider, "")}"')
        if rescued:
            accounts.append(
                Account(name=f"{number:04d}t", provider="together", key=f"key-of-the-good-account-{number:04d}t")
            )
            lines.append(f'[providers.together]\nenabled = true\nmode = "fallback"\n{PROTOCOLS_LINE}')
            lines.append(f'base_url = "{self.simulator.url}/together/openai/v1"')
        update(self.daemon.paths.accounts, lambda old: msgspec.structs.replace(old, accounts=tuple(accounts)))
        self.daemon.paths.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert self.world.admin("reload", {})["ok"]

    def ask(self, protocol: str, *, stream: bool = False, **fields: Any) -> Answer:
        """A small request of a client."""
        return self.world.ask(protocol, stream=stream, **fields)

    def raw(self, *pieces: bytes, patience: float = 3.0) -> bytes:
        """What comes back for bytes on a connection of their own, until it is closed or silent."""
        host, _, port = self.daemon.url.removeprefix("http://").rpartition(":")
        received = b""
        with socket.create_connection((host, int(port)), timeout=patience) as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
                while piece := connection.recv(65536):
                    received += piece
            except (TimeoutError, ConnectionError):
                pass
        return received
