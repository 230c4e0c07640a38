"""A daemon under load while its upstreams, its files and its process are disturbed: `scripts/soak --seconds 60`.

Loopback only. Half of the time disturbs everything; then the process is left alive, so that its memory and its
descriptors can be seen to stay what they are.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bm.accounts.account import Account
from bm.accounts.credentials import load as load_accounts
from bm.accounts.credentials import update
from bm.config.files import write_private
from bm.config.paths import Paths, make_folders
from bm.loop import runner
from bm.upstream.pool import MAX_IDLE
from tests.reliability.load import FLOODS, MODEL, Load
from tests.reliability.service import Service, free_port, upstreams

KILL_EVERY = 12.0
"""Seconds between two ends of the process without warning, at most."""
SETTLED = 60.0
"""Seconds after which memory should stay what it is."""
SPARE = 20
"""Descriptors at the end beside those at the start and the idle connections to upstreams that are kept for a minute."""
SHORT = "[timeouts]\nconnect = 2\nfirst_byte = 1\nwhole = 1\nfirst_token = 1\nidle = 1"
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
    {"drip": 0.0},
    {"drip": 0.02},
    {"comments": 0.05},
    {"comments": 0.0, "times": 1},
    {"afterwards": "close"},
    {"afterwards": "reset"},
)


@dataclass
class Report:
    """The figures of a run. Megabytes and descriptors: idle at the start, under load when settled, idle at the end.

    `noted` are figures of one kind of run.
    """

    seconds: float
    counts: Counter[str]
    noted: Counter[str]
    latencies: list[float]
    wrong: list[str] = field(default_factory=list)
    memory: tuple[float, float, float] = (0.0, 0.0, 0.0)
    descriptors: tuple[int, int, int] = (0, 0, 0)
    settled: str = "after the first minute of load"

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
            *((kind, str(count)) for kind, count in sorted(self.noted.items())),
            (f"memory when idle, {self.settled}, at the end", ", ".join(f"{size:.0f} MB" for size in self.memory)),
            (f"descriptors when idle, {self.settled}, at the end", ", ".join(map(str, self.descriptors))),
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
        await self.tell("script", [{"times": random.randint(1, 10), "model": MODEL, **fault} for fault in chosen])
        self.done["disturbed: faults of upstreams"] += 1

    async def modes(self) -> None:
        """The person edits the configuration."""
        configure(self._paths, self._upstream, random.choice(("pooled", "fallback")), rescue=random.random() < 0.5)
        self.done["disturbed: edits of the configuration"] += 1

    async def accounts(self) -> None:
        """An account goes and another one comes."""
        fresh = f"acc{next(self._accounts)}"

        def changed(stored: Any) -> Any:
            names = [account.name for account in stored.accounts if account.provider == "gemini"]
            old = stored.remove(("gemini", random.choice(names))) if len(names) > 2 else stored
            return old.add(Account(name=fresh, key=f"key-of-{fresh}"))

        await asyncio.to_thread(update, self._paths.accounts, changed)
        self.done["disturbed: changes of accounts"] += 1

    async def kill(self) -> None:
        """The process dies and is started again."""
        self._service.kill()
        await self._service.start()
        self.done["disturbed: kill -9"] += 1

    async def tell(self, path: str, body: Any) -> None:
        """Tell the simulator."""
        answer = await self._session.post(f"{self._upstream}/__sim/{path}", json=body)
        assert answer.status_code < 300, answer.text


def configure(paths: Paths, upstream: str, mode: str, *, rescue: bool, limits: str = SHORT) -> None:
    """Write the configuration: one provider beside the pool."""
    floods = "".join(f', "{model}" = "{model}"' for model in FLOODS)
    text = f"""
[pool]
max_wait = 1
max_attempts = 6
rescue = {str(rescue).lower()}
{limits}
[gemini]
base_url = "{upstream}"
models = {{ default = "{MODEL}"{floods} }}
[providers.acme]
enabled = true
mode = "{mode}"
protocol = "anthropic"
protocols = ["anthropic", "openai-chat", "openai-responses", "gemini"]
base_url = "{upstream}/acme"
models = {{ default = "{MODEL}"{floods} }}
"""
    write_private(paths.config, text.encode())


def prepare(home: Path, upstream: str, limits: str = SHORT) -> Paths:
    """A folder with accounts and a configuration."""
    paths = Paths.under(home)
    make_folders(paths)
    accounts = [Account(name=name, key=f"key-of-{name}") for name in ("acc1", "acc2", "acc3")]
    accounts.append(Account(name="paid", key="key-of-paid", provider="acme"))
    for account in accounts:
        update(paths.accounts, lambda stored, account=account: stored.add(account))  # type: ignore[misc]
    configure(paths, upstream, "fallback", rescue=True, limits=limits)
    return paths


async def soak(home: Path, *, seconds: float, rate: float) -> Report:
    """Run for so long at so many requests a second."""
    service = Service(home, free_port())
    with upstreams() as upstream:
        paths = prepare(home, upstream)
        async with httpx.AsyncClient(trust_env=False) as session:
            try:
                await service.start()
                return await _loaded(service, paths, Chaos(service, paths, upstream, session), seconds, rate)
            finally:
                service.stop()


async def _loaded(service: Service, paths: Paths, chaos: Chaos, seconds: float, rate: float) -> Report:
    load = Load(service.url, load_accounts(paths.accounts).local_key, rate, service.down)
    sizes = [service.size()]
    sending = asyncio.ensure_future(load.run())
    began = time.monotonic()
    await chaos.run(began + seconds / 2, kills=True)
    settling = min(SETTLED, seconds / 6)
    await chaos.run(began + seconds / 2 + settling, kills=False)
    sizes.append(service.size())
    await chaos.run(began + seconds, kills=False)
    load.stopping = True
    took = time.monotonic() - began
    await sending
    await asyncio.sleep(1.5)
    sizes.append(service.size())
    report = Report(took, load.tally.counts, chaos.done, load.tally.seconds, load.tally.wrong)
    report.memory, report.descriptors = measured(sizes)
    report.wrong += grown(report.memory, report.descriptors, settled=settling >= SETTLED)
    return report


def measured(sizes: list[tuple[float, int]]) -> tuple[tuple[float, float, float], tuple[int, int, int]]:
    """Memory and descriptors at three times."""
    (first, few), (settled, many), (end, left) = sizes
    return (first, settled, end), (few, many, left)


def grown(memory: tuple[float, float, float], descriptors: tuple[int, int, int], *, settled: bool) -> list[str]:
    """What has grown too much. In a short run memory has not settled, and only a leak shows."""
    wrong = []
    if memory[2] > (memory[1] * 1.1 if settled else memory[1] * 1.25 + 30):
        wrong.append(f"memory grew from {memory[1]:.0f} to {memory[2]:.0f} MB")
    if descriptors[2] > descriptors[0] + MAX_IDLE + SPARE:
        wrong.append(f"{descriptors[2]} descriptors are open at the end")
    return wrong


def main() -> int:
    """Run, print the figures, and put them into a file if one is named."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--streams", type=int, help="instead: so many streams, most of which their clients leave")
    parser.add_argument("--write", type=Path, help="the document that keeps the figures")
    options = parser.parse_args()
    # Whoever ends a soak ends its processes.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with tempfile.TemporaryDirectory() as folder:
        if options.streams:
            from tests.reliability import aborts

            report = runner().run(aborts.run(Path(folder), options.streams))
        else:
            report = runner().run(soak(Path(folder), seconds=options.seconds, rate=options.rate))
    print(report.table())
    for line in report.wrong[:20]:
        print(line, file=sys.stderr)
    if options.write:
        kept = "streams" if options.streams else "soak"
        place = re.compile(rf"(<!-- {kept} -->\n).*?(<!-- end of {kept} -->)", re.DOTALL)
        old = options.write.read_text(encoding="utf-8")
        options.write.write_text(place.sub(lambda at: f"{at[1]}{report.table()}\n{at[2]}", old), encoding="utf-8")
    return int(bool(report.wrong))


if __name__ == "__main__":
    raise SystemExit(main())
