"""Streams that most clients leave at any moment: before the head, within the answer, behind it.

Upstreams are well, but end connections that are idle. So whoever stays must get the whole answer, whoever has left must
leave nothing behind, and no account may be blamed for a connection that was dead.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bm.accounts.credentials import load as load_accounts
from tests.reliability.load import MODEL, PATIENCE, PROTOCOLS, Load
from tests.reliability.service import Service, free_port, upstreams
from tests.reliability.soak import Report, grown, measured, prepare
from tests.support.caller import Broken, Caller

AT_ONCE = 64
LONGEST = 1.2
"""The longest that a client stays which leaves, as a share of what answers have taken lately."""
LEAVING = 0.7
"""Share of the clients that leave."""
RULES = [
    {"account": "acc1", "chunks": 6, "delay": 0.01, "times": None},
    {"account": "acc2", "chunks": 6, "delay": 0.01, "times": None, "afterwards": "close"},
    {"account": "acc3", "chunks": 6, "delay": 0.01, "times": None, "afterwards": "reset"},
]
SETTLED = 0.2
"""Share of the streams after which memory should stay what it is: bm remembers 10,000 conversations by then."""
REST = 10.0
"""Seconds in which upstreams notice that they are asked no more."""


@dataclass
class Streams:
    """So many streams, the daemon's size when settled, and the seconds that an answer takes."""

    load: Load
    service: Service
    total: int
    settled: tuple[float, int] = (0.0, 0)
    taken: float = 0.1
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def run(self) -> None:
        """Send them all."""
        await asyncio.gather(*(self._work() for _ in range(AT_ONCE)))

    async def _work(self) -> None:
        caller = self.load.caller()
        while (number := next(self._numbers)) < self.total:
            if number == int(self.total * SETTLED):
                self.settled = self.service.size()
            await self._one(caller, number)
        caller.close()

    async def _one(self, caller: Caller, number: int) -> None:
        protocol, leaves, said = random.choice(PROTOCOLS), random.random() < LEAVING, f"stream {number}"
        began = time.monotonic()
        try:
            async with asyncio.timeout(random.uniform(0, LONGEST * self.taken) if leaves else PATIENCE):
                status, body = await self.load.exchange(caller, protocol, said, MODEL, stream=True)
        except TimeoutError:
            self.load.count("left by the client", "" if leaves else f"{number} {protocol}: nothing for {PATIENCE:g} s")
        except (Broken, OSError) as error:
            self.load.count("broken", f"{number} {protocol}: {error!r}")
        else:
            self.load.tally.seconds.append(time.monotonic() - began)
            self.taken += (time.monotonic() - began - self.taken) / AT_ONCE
            self.load.judge(f"{number} {protocol}", protocol, True, f"[simulated {MODEL}] {said}", status, body)


async def run(home: Path, total: int) -> Report:
    """Send so many streams."""
    service = Service(home, free_port())
    with upstreams() as upstream:
        paths = prepare(home, upstream, limits="")
        async with httpx.AsyncClient(base_url=upstream, trust_env=False, timeout=30) as simulator:
            await simulator.post("/__sim/script", json=RULES)
            try:
                await service.start()
                load = Load(service.url, load_accounts(paths.accounts).local_key, 0, service.down)
                return await _measured(Streams(load, service, total), simulator)
            finally:
                service.stop()


async def _measured(streams: Streams, simulator: httpx.AsyncClient) -> Report:
    first, began = streams.service.size(), time.monotonic()
    forgetting = asyncio.ensure_future(_forget(simulator))
    await streams.run()
    took = time.monotonic() - began
    forgetting.cancel()
    open_still = await _open(simulator)
    tally = streams.load.tally
    sizes = [first, streams.settled, streams.service.size()]
    report = Report(took, tally.counts, Counter({"upstream requests open at the end": open_still}), tally.seconds)
    report.memory, report.descriptors = measured(sizes)
    report.settled = "after a fifth of the streams"
    report.wrong = [*tally.wrong, *grown(report.memory, report.descriptors, settled=True)]
    if odd := tally.counts.keys() - {"complete", "left by the client"}:
        report.wrong.append(f"without a fault of an upstream there was {', '.join(sorted(odd))}")
    if open_still:
        report.wrong.append(f"{open_still} upstream requests are open at the end")
    return report


async def _forget(simulator: httpx.AsyncClient) -> None:
    """Let the simulator forget what it was asked, now and then."""
    while True:
        await asyncio.sleep(5)
        await simulator.post("/__sim/reset")
        await simulator.post("/__sim/script", json=RULES)


async def _open(simulator: httpx.AsyncClient) -> int:
    """How many requests upstreams are still answering."""
    for _ in range(int(REST / 0.1)):
        if not (found := int((await simulator.get("/__sim/open")).text)):
            return 0
        await asyncio.sleep(0.1)
    return found
