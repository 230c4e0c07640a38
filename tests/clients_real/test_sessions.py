"""An agent works for forty turns while its upstream is switched after every third, between vendors as strict as they
are: every turn is answered, and nothing that the prompt says or a tool has read is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients_real import wall
from tests.clients_real.agents import AGENTS
from tests.clients_real.sessions import Agent, session

TURNS, SWITCHES = 40, 13
pytestmark = [pytest.mark.clients, pytest.mark.skipif(bool(wall.missing()), reason=wall.missing() or "there")]


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_a_session_outlives_its_vendors(agent: Agent, tmp_path: Path) -> None:
    if reason := agent.missing():
        pytest.skip(reason)
    report = session(agent, tmp_path)
    assert report.wrong == [], str(report)
    assert len(report.story.turns) >= TURNS and report.switches >= SWITCHES
    assert report.story.errands or not agent.errand
    assert report.story.summaries or agent.name in ("gemini", "opencode")
