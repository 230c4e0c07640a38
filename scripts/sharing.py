"""What sharing costs: CPU a request of nodes that share a store beside the same daemon alone, and what the store does.

Teams of all sizes run at once and are loaded in turns over real sockets, so the ratios hold on a busy machine too.
Upstream and client run in this process and are not counted; the store's CPU is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from growth import ANSWER, Daemon, Load, Step, Upstream, daemon, message

from bm.config.paths import Paths, make_folders
from bm.keys.file import new_key
from bm.keys.file import update as update_keys
from bm.keys.key import Key
from bm.loop import runner
from tests.support.valkey import Valkey, valkey_server

LIMIT = 1_000_000
"""Requests a minute that the upstream reports, if any."""
HEADERS = "x-ratelimit-limit-requests: {}", "x-ratelimit-remaining-requests: {}", "x-ratelimit-reset-requests: 30s"
KEY = Key(name="bench", rpm=1_000_000, tpm=1_000_000_000, budgets=("1000000/month",))
COUNTERS = "total_reads_processed", "total_net_input_bytes", "total_net_output_bytes", "used_cpu_user", "used_cpu_sys"
"""What the store has done: what it has read from nodes, bytes, seconds."""


class Limiting(Upstream):
    """An upstream that reports with every response how much of a limit is left."""

    left = itertools.cycle(range(LIMIT, LIMIT // 2, -1))

    @property
    def response(self) -> bytes:  # type: ignore[override]
        """The next response."""
        limit, left, reset = HEADERS
        return message("HTTP/1.1 200 OK", ANSWER, limit.format(LIMIT), left.format(next(self.left)), reset)


class Signing(Upstream):
    """An upstream that signs every response, for the next turn on any node."""

    numbers = itertools.count()

    @property
    def response(self) -> bytes:  # type: ignore[override]
        """The next response."""
        signature = base64.b64encode(b"%0300d" % next(self.numbers)).decode()
        call = {"functionCall": {"name": "read", "args": {}}, "thoughtSignature": signature}
        answer = msgspec.json.decode(ANSWER)
        answer["candidates"][0]["content"]["parts"] = [call]
        return message("HTTP/1.1 200 OK", msgspec.json.encode(answer))


UPSTREAMS = {"none": Upstream, "reported": Limiting, "signed": Signing, "budgets": Upstream}


class Done(NamedTuple):
    """What one request has cost in one round: CPU of its node, and what the store has done."""

    cpu: float
    reads: float
    received: float
    sent: float
    store: float


class Team:
    """Nodes with a store of their own, or as many daemons without one."""

    def __init__(self, daemons: Sequence[Daemon], store: Valkey | None) -> None:
        self.rounds = list[Done]()
        self._daemons, self._store = daemons, store

    async def run(self) -> None:
        """Load all nodes at once, and note what it has cost."""
        before = self._counters()
        await asyncio.gather(*(each.run() for each in self._daemons))
        load = self._daemons[0].step.load
        total = load.requests // load.connections * load.connections * len(self._daemons)
        reads, received, sent, *cpu = (
            (after - early) / total for after, early in zip(self._counters(), before, strict=True)
        )
        self.rounds.append(
            Done(statistics.mean(each.costs[-1] for each in self._daemons), reads, received, sent, sum(cpu))
        )

    def _counters(self) -> list[float]:
        if self._store is None:
            return [0.0] * len(COUNTERS)
        said = self._store.command("INFO", "everything").decode().splitlines()
        facts = dict(line.split(":", 1) for line in said if ":" in line)
        return [float(facts[name]) for name in COUNTERS]


@contextlib.contextmanager
def team(nodes: int, upstream: str, load: Load, *, budgets: bool, shares: bool) -> Iterator[Team]:
    """A team that starts."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(valkey_server(folder)) if shares else None
        made = new_key(KEY, datetime.now(UTC))
        daemons = []
        for number in range(nodes):
            paths = Paths.under(folder / f"n{number}")
            make_folders(paths)
            if budgets:
                update_keys(paths.keys, lambda old: old.add(made.stored))
            more = f'[shared]\nurl = "{store.url}"\nnode = "n{number}"\n' if store is not None else ""
            home = paths.config.parent
            checkout = Path(__file__).resolve().parent.parent
            each = stack.enter_context(daemon(checkout, home, upstream, Step(nodes, load, accounts=4), more))
            each.key = made.secret if budgets else ""
            daemons.append(each)
        for each in daemons:
            each.await_start()
        yield Team(daemons, store)


async def measure(asked: argparse.Namespace, kind: str) -> None:
    """Measure teams of all sizes with one kind of limits, and print what they cost."""
    server = await asyncio.get_running_loop().create_server(UPSTREAMS[kind], "127.0.0.1", 0, backlog=2048)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    Upstream.delay = asked.delay
    load = Load(asked.requests, asked.connections, turns=asked.turns)
    with contextlib.ExitStack() as stack:
        teams = {}
        for nodes in asked.nodes:
            for shares in (False, True):
                begun = team(nodes, upstream, load, budgets=kind == "budgets", shares=shares)
                teams[nodes, shares] = stack.enter_context(begun)
        for _ in range(asked.rounds + 1):
            for each in teams.values():
                await each.run()
        show(kind, asked.nodes, teams)
    server.close()


def show(kind: str, sizes: Sequence[int], teams: Mapping[tuple[int, bool], Team]) -> None:
    """Print what a request costs. The first round does not count."""
    print(
        f"\n{kind:<10}{'alone ms':>10}{'shared':>8}{'ratio':>7}{'messages':>10}{'bytes':>7}{'back':>7}{'store ms':>10}"
    )
    for nodes in sizes:
        alone, shared = (teams[nodes, shares].rounds[1:] for shares in (False, True))
        ratio = statistics.median(one.cpu / by.cpu for one, by in zip(shared, alone, strict=True))
        cpu, reads, received, sent, store = (statistics.median(column) for column in zip(*shared, strict=True))
        by = statistics.median(each.cpu for each in alone)
        print(
            f"{nodes} nodes   {by * 1e3:>10.3f}{cpu * 1e3:>8.3f}{ratio:>7.2f}{reads:>10.3f}{received:>7.0f}{sent:>7.0f}"
            f"{store * 1e3:>10.3f}",
            flush=True,
        )


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/bench --sharing", description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="*", default=(1, 2, 3), help="in a team")
    parser.add_argument("--kinds", nargs="*", default=tuple(UPSTREAMS), choices=UPSTREAMS, help="of requests")
    parser.add_argument("--connections", type=int, default=16, help="to each node")
    parser.add_argument("--requests", type=int, default=1600, help="to each node in a round")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds that the upstream takes")
    parser.add_argument("--turns", type=int, default=20, help="requests of a conversation")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with runner() as run:
        for kind in asked.kinds:
            run.run(measure(asked, kind))


if __name__ == "__main__":
    main()
