"""What a request costs the daemon as something grows: accounts, providers, streams, bodies, the ledger.

Prints the CPU a request, a delta or a kilobyte, and the ratio to the smallest; `--svg` draws it. Daemons of a curve run
at once and are loaded in turns over real sockets, so the ratios hold on a busy machine too. Upstream and client run in
this process and are not counted. With `--beside`, the daemon of another checkout is measured in the same turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import psutil
from plot import Curve, draw, short

from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.ledger.database import MIGRATIONS, open_ledger
from bm.loop import runner

CONNECTIONS = 8
DELTAS = 100
"""Pieces of a streamed answer."""
MODEL = "gemini-3-flash-preview"
START = 60.0
"""Seconds a start may take."""
STOP = 10.0
"""Seconds it may take to end."""
OUTPUT = "output.txt"
ROWS = """
    INSERT INTO requests (id, at, protocol, operation, model, provider, account, upstream_model, stream, status, finish,
        failure, attempts, took, input, cache_read, cache_write, output, thinking, cost, passed_through, dropped)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
    SELECT 'req_' || i, :now - (i % 400) * 86400.0, 'gemini', 'generate', 'model', 'gemini', 'a' || (i % 5), 'model', 0,
        200, 'stop', '', 1, 0.5, 1000, 0, 0, 100, 0, 0.001, 1, '' FROM n
"""

PIECE = b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":"a few words "}]}}]}\r\n\r\n'
LAST = (
    b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":"."}]},"finishReason":"STOP"}],'
    b'"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":200}}\r\n\r\n'
)
ANSWER = msgspec.json.encode(
    {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 12},
        "modelVersion": MODEL,
    }
)


def message(first: str, body: bytes, *more: str) -> bytes:
    """An HTTP message with a body of JSON."""
    lines = (first, "content-type: application/json", f"content-length: {len(body)}", *more)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Upstream(asyncio.Protocol):
    """Answers every request on a connection after `delay` seconds, or with a stream of a piece each `pause` seconds."""

    response = message("HTTP/1.1 200 OK", ANSWER)
    delay, pause = 0.0, 0.005

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._left, self._head = cast(asyncio.Transport, transport), 0, b""

    def data_received(self, data: bytes) -> None:
        if not self._left:
            head, end, rest = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                self._head = head
                return
            lines = head.lower().split(b"\r\n")
            self._head, data = head, rest
            self._left = next((int(line[15:]) for line in lines if line[:15] == b"content-length:"), 0)
        self._left -= len(data)
        if self._left > 0:
            return
        streams, self._head, self._left = b"alt=sse" in self._head, b"", 0
        if not streams:
            self._answer()
            return
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        self._stream(DELTAS)

    def _answer(self) -> None:
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._transport.write, self.response)
        else:
            self._transport.write(self.response)

    def _stream(self, left: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(PIECE if left else LAST)
        if left:
            asyncio.get_running_loop().call_later(self.pause, self._stream, left - 1)
        else:
            self._transport.close()


class Load(NamedTuple):
    """What a daemon is asked in each round, over how many connections, and how many units of cost that is.

    With `turns`, a connection begins another conversation after so many requests.
    """

    requests: int
    connections: int = CONNECTIONS
    size: int = 0
    streams: bool = False
    units: float = 1.0
    turns: int = 0


class Step(NamedTuple):
    """A point of a curve: a daemon with so much of something, and its load."""

    value: float
    load: Load
    accounts: int = 1
    providers: int = 1
    rows: int = 0


class Daemon:
    """A running daemon and what its requests have cost so far."""

    def __init__(self, name: str, step: Step, paths: Paths, process: subprocess.Popen[bytes]) -> None:
        self.name, self.step = name, step
        self._paths, self._process, self._usage = paths, process, psutil.Process(process.pid)
        self._address, self._conversations = ["", ""], itertools.count()
        self.key, self.costs = "", list[float]()

    def await_start(self) -> None:
        """Wait until it says where it listens."""
        limit = time.monotonic() + START
        while (found := runtime.read(self._paths.runtime)) is None or found.pid != self._process.pid:
            if self._process.poll() is not None or time.monotonic() > limit:
                raise SystemExit((self._paths.config.parent / OUTPUT).read_text(encoding="utf-8"))
            time.sleep(0.05)
        self._address = found.url.removeprefix("http://").split(":")
        self.key = self.key or load(self._paths.accounts).local_key

    def _request(self) -> bytes:
        """A request of the next conversation."""
        method = "streamGenerateContent?alt=sse" if self.step.load.streams else "generateContent"
        head = [f"POST /v1beta/models/{MODEL}:{method} HTTP/1.1", f"x-goog-api-key: {self.key}", "host: localhost"]
        if self.step.load.turns:
            head.append(f"x-session-id: {self._process.pid}-{next(self._conversations)}")
        return message(head[0], body(self.step.load.size), *head[1:])

    async def run(self) -> None:
        """Send all requests of a round, and note the CPU of each unit."""
        asked = self.step.load
        each = max(1, asked.requests // asked.connections)
        before = self._cpu()
        await asyncio.gather(*(self._connection(each) for _ in range(asked.connections)))
        self.costs.append((self._cpu() - before) / (each * asked.connections * asked.units))

    def _cpu(self) -> float:
        if sys.platform == "linux":
            # The process's own clock: `cpu_times` counts in hundredths of a second.
            return time.clock_gettime(~self._process.pid << 3 | 2)
        return sum(self._usage.cpu_times()[:2])

    async def _connection(self, requests: int) -> None:
        host, port = self._address
        reader, writer = await asyncio.open_connection(host, int(port))
        request, turns = self._request(), self.step.load.turns
        for number in range(1, requests + 1):
            writer.write(request)
            if turns and number % turns == 0:
                request = self._request()
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{self.name} has answered {head.decode()}{await reader.read(2000)!r}")
            if self.step.load.streams:
                await reader.readuntil(b"\r\n0\r\n\r\n")
                continue
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:")
            await reader.readexactly(length)
        writer.close()


def body(size: int) -> bytes:
    """A request of about that many bytes: turns of code, as a coding agent sends."""
    turn = [
        {"role": "user", "parts": [{"text": 'if x:\n\tprint("line", x)\n' * 60}]},
        {"role": "model", "parts": [{"text": "I see. " * 20}]},
    ]
    turns = turn * max(0, size // 2200)
    return msgspec.json.encode({"contents": [*turns, {"role": "user", "parts": [{"text": "Hello."}]}]})


def fill(path: Path, rows: int) -> None:
    """Make a ledger of so many requests in 400 days."""
    until_totals = next(number for number, script in enumerate(MIGRATIONS) if "CREATE TABLE totals" in script)
    connection = open_ledger(path, MIGRATIONS[:until_totals])
    connection.execute(ROWS, {"rows": rows, "now": time.time()})
    connection.close()
    open_ledger(path).close()


@contextlib.contextmanager
def daemon(checkout: Path, home: Path, upstream: str, step: Step, more: str = "") -> Iterator[Daemon]:
    """A daemon of that checkout that starts, with `more` in its configuration."""
    paths = Paths.under(home)
    make_folders(paths)
    config = f'[pool]\nlearn_models = false\n[gemini]\nbase_url = "{upstream}"\n{more}'
    for number in range(step.providers):
        config += f'[providers.p{number}]\nprotocol = "openai-chat"\nmode = "fallback"\nbase_url = "{upstream}/v1"\n'
        config += f'api_key = "key-of-the-provider-{number}"\n'
    paths.config.write_text(config, encoding="utf-8")
    stored = [Account(name=f"a{number}", key=f"key-of-the-account-{number}") for number in range(step.accounts)]
    update(paths.accounts, lambda old: msgspec.structs.replace(old, accounts=(*old.accounts, *stored)))
    if step.rows:
        fill(paths.ledger, step.rows)
    environ = {"BM_HOME": str(home), "BM_SERVER_PORT": "0", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "bm", "start", "--foreground"]
    with (home / OUTPUT).open("wb") as output:
        process = subprocess.Popen(command, cwd=checkout, env=environ, stdout=output, stderr=output)
    try:
        yield Daemon(checkout.name, step, paths, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def steps_of(asked: argparse.Namespace) -> dict[tuple[str, str], list[Step]]:
    """The curves, by name and unit."""
    small, megabyte = Load(asked.requests), 1_000_000
    large = [Load(max(2, 20 * megabyte // size), 1, size, units=size / megabyte) for size in asked.large]
    streams = [Load(max(number, 20), number, streams=True, units=DELTAS) for number in asked.streams]
    curves = {
        ("accounts", "ms/request"): [Step(number, small, accounts=number) for number in asked.accounts],
        ("providers", "ms/request"): [Step(number, small, providers=number) for number in asked.providers],
        ("streams at once", "ms/delta"): [Step(each.connections, each) for each in streams],
        ("bytes of a small body", "ms/request"): [Step(size, small._replace(size=size)) for size in asked.small],
        ("bytes of a large body", "ms/MB"): [Step(each.size, each) for each in large],
        ("requests in the ledger", "ms/request"): [Step(number, small, rows=number) for number in asked.rows],
    }
    return {name: steps for name, steps in curves.items() if steps}


def show(name: tuple[str, str], daemons: Sequence[Daemon]) -> Curve:
    """Print a curve; returns that of this checkout."""
    what, unit = name
    print(f"\n{what:<24}{'checkout':<16}{unit:>12}{'ratio':>8}")
    medians = [statistics.median(each.costs) * 1e3 for each in daemons]
    for each, median in zip(daemons, medians, strict=True):
        one = next(first for other, first in zip(daemons, medians, strict=True) if other.name == each.name)
        print(f"{short(each.step.value):<24}{each.name:<16}{median:>12.4f}{median / one:>8.2f}", flush=True)
    own = [at for at, each in enumerate(daemons) if each.name == daemons[0].name]
    steps = [(daemons[at].step.value, short(daemons[at].step.value)) for at in own]
    return Curve(what, unit, steps, [medians[at] for at in own])


async def curves(asked: argparse.Namespace) -> list[Curve]:
    """Measure all curves."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=2048)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    found = []
    for name, steps in steps_of(asked).items():
        with contextlib.ExitStack() as stack:
            daemons = []
            for checkout in asked.checkouts:
                for step in steps:
                    home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                    daemons.append(stack.enter_context(daemon(checkout, home, upstream, step)))
            for each in daemons:
                each.await_start()
            for number in range(asked.rounds + 1):
                for each in daemons:
                    Upstream.pause = 0.05 if each.step.load.connections > 100 else 0.005
                    await each.run()
                    each.costs = each.costs if number else []  # the first round does not count
            found.append(show(name, daemons))
    server.close()
    return found


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/bench --growth", description=__doc__)
    add: Callable[..., argparse.Action] = parser.add_argument
    add("--beside", type=Path, action="append", default=[], help="another checkout to measure")
    add("--accounts", type=int, nargs="*", default=(1, 20, 200, 1000))
    add("--providers", type=int, nargs="*", default=(1, 10, 100))
    add("--streams", type=int, nargs="*", default=(1, 10, 100, 1000))
    add("--small", type=int, nargs="*", default=(1_000, 10_000, 100_000), help="bytes of bodies")
    add("--large", type=int, nargs="*", default=(100_000, 1_000_000, 5_000_000, 20_000_000), help="bytes of bodies")
    add("--rows", type=int, nargs="*", default=(10_000, 100_000, 1_000_000, 5_000_000), help="in the ledger")
    add("--requests", type=int, default=800, help="small requests a round")
    add("--rounds", type=int, default=5)
    add("--svg", type=Path, help="a file to draw the curves into")
    asked = parser.parse_args()
    asked.checkouts = [Path(__file__).resolve().parent.parent, *(each.resolve() for each in asked.beside)]
    with runner() as run:
        measured = run.run(curves(asked))
    if asked.svg is not None:
        draw(measured, asked.svg)


if __name__ == "__main__":
    main()
