"""Three nodes, of which each dies or is cut off for a while: their history has no fault. `scripts/team` runs longer."""

from __future__ import annotations

from pathlib import Path

from tests.support.postgres import Server
from tests.team.checker import check
from tests.team.history import Answered, Called, Changed
from tests.team.run import Plan, run

SHORT = Plan(seconds=11, clients=20, seed=3, load=4, calm=3, pause=1.5)


async def test_three_nodes_act_as_one(bm_home: Path, postgres: Server) -> None:
    history = await run(bm_home, postgres, SHORT)
    assert check(history) == []
    events = history.events
    assert sum(isinstance(each, Answered) and each.status == 200 for each in events) > 100
    assert any(isinstance(each, Called) and each.ends for each in events)
    assert sum(isinstance(each, Changed) for each in events) >= 4
