"""Processes that are not bm, and servers with a fixed response."""

from __future__ import annotations

import contextlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator

from bm.daemon.runtime import Daemon

LISTEN = """
import socket, sys
sock = socket.socket()
sock.bind(("127.0.0.1", 0))
sock.listen()
print(sock.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def foreign_process(code: str = LISTEN) -> Iterator[tuple[int, int]]:
    """The pid of a process that is not bm's, and the number it printed: the port it listens on."""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        try:
            yield process.pid, int(process.stdout.readline())
            assert process.poll() is None, "the foreign process was ended"
        finally:
            process.kill()


@contextlib.contextmanager
def answering(status: int, body: bytes, proves: Daemon | None = None) -> Iterator[int]:
    """The port of a server that sends the same response to every request; with `proves` as that daemon does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            content = body
            if proves and "challenge=" in self.path:
                content = b'{"proof": "%s"}' % proves.proof(self.path.partition("challenge=")[2]).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def daemon(**changes: object) -> Daemon:
    """The content of a daemon.json."""
    facts: dict[str, object] = {
        "pid": 1,
        "created": 1.0,
        "host": "127.0.0.1",
        "port": 1,
        "version": "0.1.0",
        "token": "secret-token",
        "started_at": 1.0,
    }
    return Daemon(**{**facts, **changes})  # type: ignore[arg-type]
