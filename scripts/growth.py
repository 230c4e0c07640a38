"""What a request costs the daemon as accounts and providers grow in number: CPU a request, and the ratio to one.

Daemons with each number of accounts or providers run at once and are loaded in turns over real sockets, so the ratios
hold on a busy machine too. Upstream and client run in this process and are not counted. With `--beside`, the daemon of
another checkout is measured in the same turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import msgspec
import psutil

from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.loop import runner

ACCOUNTS = (1, 20, 200, 1000)
PROVIDERS = (1, 10, 100)
CONNECTIONS = 8
MODEL = "gemini-3-flash-preview"
START = 60.0
"""Seconds a start may take."""
STOP = 10.0
"""Seconds it may take to end."""
OUTPUT = "output.txt"

ANSWER = msgspec.json.encode(
    {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 12},
        "modelVersion": MODEL,
    }
)
BODY = msgspec.json.encode({"contents": [{"role": "user", "parts": [{"text": "Hello."}]}]})


def message(first: str, body: bytes, *more: str) -> bytes:
    """An HTTP message with a body of JSON."""
    lines = (first, "content-type: application/json", f"content-length: {len(body)}", *more)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Upstream(asyncio.Protocol):
    """Answers every request on a connection at once."""

    response = message("HTTP/1.1 200 OK", ANSWER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._received = cast(asyncio.Transport, transport), b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0)
        if end and len(rest) >= length:
            self._received = b""
            self._transport.write(self.response)


class Daemon:
    """A running daemon and what its requests have cost so far."""

    def __init__(self, name: str, size: int, paths: Paths, process: subprocess.Popen[bytes]) -> None:
        self.name, self.size = name, size
        self._paths, self._process, self._usage = paths, process, psutil.Process(process.pid)
        self._address, self._request = ["", ""], b""
        self.costs: list[float] = []

    def await_start(self) -> None:
        """Wait until it says where it listens."""
        limit = time.monotonic() + START
        while (found := runtime.read(self._paths.runtime)) is None or found.pid != self._process.pid:
            if self._process.poll() is not None or time.monotonic() > limit:
                raise SystemExit((self._paths.config.parent / OUTPUT).read_text(encoding="utf-8"))
            time.sleep(0.05)
        self._address = found.url.removeprefix("http://").split(":")
        path, key = f"/v1beta/models/{MODEL}:generateContent", load(self._paths.accounts).local_key
        self._request = message(f"POST {path} HTTP/1.1", BODY, "host: localhost", f"x-goog-api-key: {key}")

    async def load(self, requests: int) -> None:
        """Send so many requests over all connections, and note the CPU of each."""
        before = self._cpu()
        await asyncio.gather(*(self._connection(requests // CONNECTIONS) for _ in range(CONNECTIONS)))
        self.costs.append((self._cpu() - before) / (requests // CONNECTIONS * CONNECTIONS))

    def _cpu(self) -> float:
        return sum(self._usage.cpu_times()[:2])

    async def _connection(self, requests: int) -> None:
        host, port = self._address
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(requests):
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{self.name} has answered {head.decode()}")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:")
            await reader.readexactly(length)
        writer.close()


@contextlib.contextmanager
def daemon(checkout: Path, home: Path, upstream: str, *, accounts: int, providers: int) -> Iterator[Daemon]:
    """A daemon of that checkout that starts, with so many Gemini accounts and so many fallback providers."""
    paths = Paths.under(home)
    make_folders(paths)
    config = f'[pool]\nlearn_models = false\n[gemini]\nbase_url = "{upstream}"\n'
    for number in range(providers):
        config += f'[providers.p{number}]\nprotocol = "openai-chat"\nmode = "fallback"\nbase_url = "{upstream}/v1"\n'
        config += f'api_key = "key-of-the-provider-{number}"\n'
    paths.config.write_text(config, encoding="utf-8")
    stored = [Account(name=f"a{number}", key=f"key-of-the-account-{number}") for number in range(accounts)]
    update(paths.accounts, lambda old: msgspec.structs.replace(old, accounts=(*old.accounts, *stored)))
    environ = {"BM_HOME": str(home), "BM_SERVER_PORT": "0", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "bm", "start", "--foreground"]
    with (home / OUTPUT).open("wb") as output:
        process = subprocess.Popen(command, cwd=checkout, env=environ, stdout=output, stderr=output)
    try:
        yield Daemon(checkout.name, max(accounts, providers), paths, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def measure(daemons: Sequence[Daemon], *, requests: int, rounds: int) -> None:
    """Load all daemons in turns; the first turn does not count."""
    for _ in range(rounds + 1):
        for each in daemons:
            await each.load(requests)
    for each in daemons:
        del each.costs[0]


def show(what: str, daemons: Sequence[Daemon]) -> None:
    """Print a curve."""
    print(f"\n{what:<12}{'checkout':<16}{'ms/request':>12}{'ratio':>8}")
    for each in daemons:
        least = min((other for other in daemons if other.name == each.name), key=lambda other: other.size)
        median, one = statistics.median(each.costs), statistics.median(least.costs)
        print(f"{each.size:<12}{each.name:<16}{median * 1e3:>12.3f}{median / one:>8.2f}", flush=True)


async def curves(asked: argparse.Namespace) -> None:
    """Measure both curves."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    sizes = {
        "accounts": [(number, 1) for number in asked.accounts],
        "providers": [(1, number) for number in asked.providers],
    }
    for what, steps in sizes.items():
        with contextlib.ExitStack() as stack:
            daemons = []
            for checkout in asked.checkouts:
                for accounts, providers in steps:
                    home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                    made = daemon(checkout, home, upstream, accounts=accounts, providers=providers)
                    daemons.append(stack.enter_context(made))
            for each in daemons:
                each.await_start()
            await measure(daemons, requests=asked.requests, rounds=asked.rounds)
            show(what, daemons)
    server.close()


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/bench --growth", description=__doc__)
    parser.add_argument("--beside", type=Path, action="append", default=[], help="another checkout to measure")
    parser.add_argument("--accounts", type=int, nargs="*", default=ACCOUNTS)
    parser.add_argument("--providers", type=int, nargs="*", default=PROVIDERS)
    parser.add_argument("--requests", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    asked.checkouts = [Path(__file__).resolve().parent.parent, *(each.resolve() for each in asked.beside)]
    with runner() as run:
        run.run(curves(asked))


if __name__ == "__main__":
    main()
