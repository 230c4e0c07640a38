"""Clients notice nothing of a restart; `scripts/handover` shows it with more of them."""

from __future__ import annotations

from pathlib import Path

from bm.simulator import Simulator
from tests.reliability.handover import run


async def test_no_connection_is_refused_and_no_answer_cut(bm_home: Path) -> None:
    with Simulator() as simulator:
        clients = await run(bm_home, simulator.url, streams=20, rate=40, seconds=2.5, times=1)
    assert clients.wrong == []
    assert clients.counts["stream: complete"] == 20 and clients.counts["daemons"] == 2
