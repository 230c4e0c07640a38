"""A daemon under load while its upstreams, its files and its process are disturbed: `scripts/soak --seconds 60`.

Loopback only. Half of the time disturbs everything; then the process is left alive, so that its memory and its
descriptors can be seen to stay what they are.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from bm.accounts.account import Account
from bm.accounts.credentials import load as load_accounts
from bm.accounts.credentials import update
from bm.config.files import write_private
from bm.config.paths import Paths, make_folders
from bm.loop import runner
from tests.reliability.load import MODEL, WORKERS, Load

KILL_EVERY = 12.0
"""Seconds between two ends of the process without warning, at most."""
GRACE = 1.0
"""Seconds after a start for which connections of the old process may still break."""
PAGE = "<html><title>Sign in to the network</title></html>"
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 429, "retry_info": "1s", "retry_after": 1.0},
    {"status": 429},
    {"status": 500},
    {"status": 503},
    {"status": 403, "raw_body": PAGE, "content_type": "text/html"},
    {"status": 502, "raw_body": PAGE, "content_type": "text/html"},
    {"raw_body": PAGE, "content_type": "text/html"},
    {"reset": True},
    {"cut_after": 0},
    {"cut_after": 4},
    {"end_after": 4},
    {"stall_after": 4},
    {"malformed_after": 4},
    {"silent": True},
    {"first_token_delay": 3.0},
    {"delay": 0.2},
    {"status": 529, "error_after": 0},
    {"status": 529, "error_after": 4},
    {"no_done": True},
)
_PLACE = re.compile(r"(<!-- soak -->\n).*?(<!-- end of soak -->)", re.DOTALL)


@dataclass
class Service:
    """The daemon's process, on one port through all its lives."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    alive_since: float = 0.0
    ended_at: float = 0.0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

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
        environ = {**os.environ, "BM_HOME": str(self.home), "BM_SERVER_PORT": str(self.port)}
        command = [sys.executable, "-m", "bm", "start", "--foreground"]
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


@dataclass
class Report:
    """The figures of a run: megabytes at the beginning and the end of the quiet half, descriptors before and after."""

    seconds: float
    counts: Counter[str]
    disturbances: Counter[str]
    latencies: list[float]
    wrong: list[str] = field(default_factory=list)
    memory: tuple[float, float] = (0.0, 0.0)
    descriptors: tuple[int, int] = (0, 0)

    @property
    def requests(self) -> int:
        """All that were sent."""
        return sum(self.counts.values())

    def table(self) -> str:
        """The figures as a table."""
        ranked = sorted(self.latencies) or [0.0]
        rows = [
            ("seconds", f"{self.seconds:.0f}"),
            ("requests", f"{self.requests} ({self.requests / self.seconds:.0f} a second)"),
            *((kind, str(count)) for kind, count in sorted(self.counts.items())),
            ("latency, median and 99th of 100", f"{_rank(ranked, 0.5):.3f} s, {_rank(ranked, 0.99):.3f} s"),
            *((f"disturbed: {kind}", str(count)) for kind, count in sorted(self.disturbances.items())),
            ("memory, middle and end", f"{self.memory[0]:.0f} MB, {self.memory[1]:.0f} MB"),
            ("descriptors, idle at the start and at the end", f"{self.descriptors[0]}, {self.descriptors[1]}"),
            ("wrong", str(len(self.wrong))),
        ]
        return "\n".join(["| figure | value |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def _rank(ranked: list[float], share: float) -> float:
    return ranked[min(int(len(ranked) * share), len(ranked) - 1)]


class Chaos:
    """Disturbs everything around the daemon, and the daemon itself."""

    def __init__(self, service: Service, paths: Paths, upstream: str, session: httpx.AsyncClient) -> None:
        self._service, self._paths, self._upstream, self._session = service, paths, upstream, session
        self._accounts = itertools.count(100)
        self.done: Counter[str] = Counter()

    async def run(self, until: float, *, kills: bool) -> None:
        """Disturb until a moment."""
        kill_at = time.monotonic() + min(KILL_EVERY, (until - time.monotonic()) / 2)
        steps: list[Callable[[], Awaitable[None]]] = [self.faults, self.faults, self.faults, self.modes, self.accounts]
        while time.monotonic() < until:
            await asyncio.sleep(random.uniform(0.1, 0.5))
            if kills and time.monotonic() > kill_at:
                kill_at = time.monotonic() + KILL_EVERY
                await self.kill()
            await random.choice(steps)()

    async def faults(self) -> None:
        """Upstreams misbehave in other ways than before; what they were asked is forgotten."""
        await self.tell("reset", {})
        chosen = random.sample(FAULTS, random.randint(0, 4))
        await self.tell("script", [{**fault, "times": random.randint(1, 10)} for fault in chosen])
        self.done["faults of upstreams"] += 1

    async def modes(self) -> None:
        """The person edits the configuration."""
        configure(self._paths, self._upstream, random.choice(("pooled", "fallback")), rescue=random.random() < 0.5)
        self.done["edits of the configuration"] += 1

    async def accounts(self) -> None:
        """An account goes and another one comes."""
        fresh = f"acc{next(self._accounts)}"

        def changed(stored: Any) -> Any:
            names = [account.name for account in stored.accounts if account.provider == "gemini"]
            old = stored.remove(("gemini", random.choice(names))) if len(names) > 2 else stored
            return old.add(Account(name=fresh, key=f"key-of-{fresh}"))

        await asyncio.to_thread(update, self._paths.accounts, changed)
        self.done["changes of accounts"] += 1

    async def kill(self) -> None:
        """The process dies and is started again."""
        self._service.kill()
        await self._service.start()
        self.done["kill -9"] += 1

    async def tell(self, path: str, body: Any) -> None:
        """Tell the simulator."""
        answer = await self._session.post(f"{self._upstream}/__sim/{path}", json=body)
        assert answer.status_code < 300, answer.text


def configure(paths: Paths, upstream: str, mode: str, *, rescue: bool) -> None:
    """Write the configuration: short limits, one provider beside the pool."""
    text = f"""
[pool]
max_wait = 1
max_attempts = 6
rescue = {str(rescue).lower()}
[timeouts]
connect = 2
first_byte = 1
whole = 1
first_token = 1
idle = 1
[gemini]
base_url = "{upstream}"
models = {{ default = "{MODEL}" }}
[providers.acme]
enabled = true
mode = "{mode}"
protocol = "anthropic"
protocols = ["anthropic", "openai-chat", "openai-responses", "gemini"]
base_url = "{upstream}/acme"
models = {{ default = "{MODEL}" }}
"""
    write_private(paths.config, text.encode())


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


async def soak(home: Path, *, seconds: float, rate: float) -> Report:
    """Run for so long at so many requests a second."""
    paths = Paths.under(home)
    make_folders(paths)
    for name in ("acc1", "acc2", "acc3"):
        update(paths.accounts, lambda stored, name=name: stored.add(Account(name=name, key=f"key-of-{name}")))  # type: ignore[misc]
    paid = Account(name="paid", key="key-of-paid", provider="acme")
    update(paths.accounts, lambda stored: stored.add(paid))
    service = Service(home, _free_port())
    with upstreams() as upstream:
        configure(paths, upstream, "fallback", rescue=True)
        async with httpx.AsyncClient(trust_env=False) as session:
            try:
                await service.start()
                return await _loaded(service, paths, Chaos(service, paths, upstream, session), seconds, rate)
            finally:
                service.stop()


async def _loaded(service: Service, paths: Paths, chaos: Chaos, seconds: float, rate: float) -> Report:
    load = Load(service.url, load_accounts(paths.accounts).local_key, rate, service.down)
    _, idle = service.size()
    sending = asyncio.ensure_future(load.run())
    began = time.monotonic()
    await chaos.run(began + seconds / 2, kills=True)
    await asyncio.sleep(min(2.0, seconds / 10))
    middle, _ = service.size()
    await chaos.run(began + seconds, kills=False)
    load.stopping = True
    took = time.monotonic() - began
    await sending
    await asyncio.sleep(1.5)
    end, descriptors = service.size()
    report = Report(took, load.tally.counts, chaos.done, load.tally.seconds, load.tally.wrong)
    report.memory, report.descriptors = (middle, end), (idle, descriptors)
    if end > middle * 1.25 + 30:
        report.wrong.append(f"memory grew from {middle:.0f} to {end:.0f} MB")
    if descriptors > 3 * WORKERS:
        report.wrong.append(f"{descriptors} descriptors are open at the end")
    return report


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> int:
    """Run, print the figures, and put them into a file if one is named."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--write", type=Path, help="the document that keeps the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = runner().run(soak(Path(folder), seconds=options.seconds, rate=options.rate))
    print(report.table())
    for line in report.wrong[:20]:
        print(line, file=sys.stderr)
    if options.write:
        old = options.write.read_text(encoding="utf-8")
        options.write.write_text(_PLACE.sub(lambda at: f"{at[1]}{report.table()}\n{at[2]}", old), encoding="utf-8")
    return int(bool(report.wrong))


if __name__ == "__main__":
    raise SystemExit(main())
