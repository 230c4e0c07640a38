"""The daemon as a process that may be killed and started again, and the simulator as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

GRACE = 1.0
"""Seconds after a start for which connections of the old process may still break."""


@dataclass
class Service:
    """The daemon's process, on one address through all its lives. `within` begins its command."""

    home: Path
    port: int
    host: str = "127.0.0.1"
    within: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    alive_since: float = 0.0
    ended_at: float = 0.0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self._spawn()
        async with httpx.AsyncClient(trust_env=False) as session:
            for _ in range(400):
                with contextlib.suppress(httpx.TransportError):
                    if (await session.get(f"{self.url}/healthz")).status_code == 200:
                        self.alive_since = time.monotonic()
                        return
                await asyncio.sleep(0.05)
        raise RuntimeError("the daemon does not come up:\n" + (self.home / "output.txt").read_text("utf-8")[-2000:])

    def _spawn(self) -> None:
        where = {"BM_HOME": str(self.home), "BM_SERVER_HOST": self.host, "BM_SERVER_PORT": str(self.port)}
        environ = {**os.environ, **where}
        command = [*self.within, sys.executable, "-m", "bm", "start", "--foreground"]
        with (self.home / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)

    def kill(self) -> None:
        """End it without warning."""
        assert self.process is not None
        self.ended_at = time.monotonic()
        self.alive_since = float("inf")
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it, kindly if it listens."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def down(self, since: float) -> bool:
        """Whether it has not been alive all the time since a moment."""
        return since < self.alive_since + GRACE and self.ended_at > 0

    def size(self) -> tuple[float, int]:
        """Its memory in megabytes and its descriptors."""
        assert self.process is not None
        seen = psutil.Process(self.process.pid)
        return seen.memory_info().rss / 1e6, seen.num_fds()


@contextlib.contextmanager
def upstreams() -> Iterator[str]:
    """The simulator as a process of its own."""
    command = [sys.executable, "-m", "bm.simulator", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
