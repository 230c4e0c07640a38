"""Streams and requests while the daemon is replaced: `scripts/handover --streams 100 --rate 100`.

Half of the requests come on new connections, half on those of a pool, as SDKs keep one. No client tries
again: each connection that is refused and each answer that is cut counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec

from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.loop import runner
from tests.gateway.world import path_of
from tests.reliability.service import upstreams
from tests.simulator.streams import TERMINAL, body_of
from tests.support.caller import Broken, Caller

FAST, SLOW = "gemini-3-flash-preview", "gemini-3.1-pro-preview"
APIS = ("anthropic", "openai-chat", "openai-responses", "gemini")
PATIENCE = 60.0


class Clients:
    """The clients of one run. `counts` says what became of their requests."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._headers = url, {"x-api-key": key, "content-type": "application/json"}
        self._pool: list[Caller] = []
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._begun = asyncio.Semaphore(0)
        self.stopping = False

    async def stream(self, number: int) -> None:
        """One long answer."""
        api = APIS[number % len(APIS)]
        await self._ask(self._caller(keeps=False), api, SLOW, "stream", stream=True)

    async def requests(self, rate: float) -> None:
        """So many requests a second until `stopping`."""
        running: set[asyncio.Task[None]] = set()
        due, number = time.monotonic(), 0
        while not self.stopping:
            task = asyncio.ensure_future(self._request(APIS[number % 4], pooled=number % 2 == 0))
            running.add(task)
            task.add_done_callback(running.discard)
            due, number = due + 1 / rate, number + 1
            await asyncio.sleep(max(due - time.monotonic(), 0))
        await asyncio.gather(*running)
        for caller in self._pool:
            caller.close()

    def _caller(self, *, keeps: bool) -> Caller:
        return Caller(self._url, self._headers, keeps=keeps)

    async def _request(self, api: str, *, pooled: bool) -> None:
        caller = self._pool.pop() if pooled and self._pool else self._caller(keeps=pooled)
        await self._ask(caller, api, FAST, "request", stream=False)
        if pooled:
            self._pool.append(caller)

    async def have_begun(self, streams: int) -> None:
        """Wait until so many streams have begun."""
        async with asyncio.timeout(PATIENCE):
            for _ in range(streams):
                await self._begun.acquire()

    async def _ask(self, caller: Caller, api: str, model: str, kind: str, *, stream: bool) -> None:
        body = b""
        asked = msgspec.json.encode(body_of(api, "hello", model, stream=stream))
        on_head = self._begun.release if stream else lambda: None
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await caller.post(path_of(api, model, stream=stream), asked, on_head=on_head)
            good = status == 200 and (not stream or TERMINAL[api] in body)
            outcome = "complete" if good else f"cut or wrong ({status})"
        except (Broken, TimeoutError) as error:
            outcome = f"cut ({error!r})"
        except OSError as error:
            outcome = f"refused ({error})"
        self.counts[f"{kind}: {outcome.partition(' (')[0]}"] += 1
        if outcome != "complete":
            self.wrong.append(f"{api} {kind}: {outcome} {body[-200:]!r}")


def bm(paths: Paths, *words: str, environ: Mapping[str, str] | None = None) -> str:
    """What the command prints."""
    environ = {**os.environ, "BM_HOME": str(paths.config.parent), "BM_POOL_LEARN_MODELS": "false", **(environ or {})}
    command = [sys.executable, "-m", "bm", *words]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


async def run(home: Path, upstream: str, *, streams: int, rate: float, seconds: float, times: int) -> Clients:
    """Restart the daemon so many times while streams of so many seconds run."""
    paths = Paths.under(home)
    make_folders(paths)
    paths.config.write_text(f'[server]\nport = 0\n[gemini]\nbase_url = "{upstream}"\n', encoding="utf-8")
    update(paths.accounts, lambda stored: stored.add(Account(name="one", key="key-of-the-account-one")))
    async with httpx.AsyncClient(trust_env=False) as session:
        rules = [
            {"model": SLOW, "text": "word " * 40, "chunks": 40, "delay": seconds / 40, "times": None},
            {"model": "*", "text": "word", "times": None},
        ]
        answer = await session.post(f"{upstream}/__sim/script", json=rules)
        assert answer.status_code < 300, answer.text
    await asyncio.to_thread(bm, paths, "start")
    try:
        found = runtime.read(paths.runtime)
        assert found is not None
        clients = Clients(found.url, load(paths.accounts).local_key)
        asking = asyncio.ensure_future(clients.requests(rate))
        running = [asyncio.ensure_future(clients.stream(number)) for number in range(streams)]
        await clients.have_begun(streams)
        pids = {found.pid}
        for _ in range(times):
            await asyncio.to_thread(bm, paths, "restart")
            latest = runtime.read(paths.runtime)
            assert latest is not None
            pids.add(latest.pid)
        clients.counts["daemons"] = len(pids)
        await asyncio.gather(*running)
        clients.stopping = True
        await asking
        return clients
    finally:
        await asyncio.to_thread(bm, paths, "stop", "--now")


def main() -> int:
    """Run and print what became of the requests."""
    parser = argparse.ArgumentParser(prog="scripts/handover", description=__doc__)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--seconds", type=float, default=12, help="length of a stream")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, upstreams() as upstream:
        home = Path(folder)
        clients = runner().run(
            run(home, upstream, streams=options.streams, rate=options.rate, seconds=options.seconds, times=3)
        )
    for name, count in sorted(clients.counts.items()):
        print(f"{name:30} {count}")
    for line in clients.wrong[:20]:
        print(line, file=sys.stderr)
    return int(bool(clients.wrong))


if __name__ == "__main__":
    raise SystemExit(main())
