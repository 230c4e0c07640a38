"""Claude Code over the Gemini pool beyond a single prompt: conversations that go on, and requests on the side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bm.simulator.rules import Rule
from tests.clients_real.kinds import BY_NAME as KINDS
from tests.clients_real.kinds import Site, site
from tests.clients_real.machine import Run
from tests.clients_real.tools import BY_NAME as TOOLS
from tests.clients_real.tools import RAN, WORD, call, claude
from tests.clients_real.trial import SEEN, bodies, launch

TOOL = TOOLS["claude"]
pytestmark = [pytest.mark.clients, pytest.mark.skipif(bool(TOOL.missing()), reason=TOOL.missing() or "installed")]
Ask = Callable[..., Run]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Site]:
    """A daemon whose Gemini pool is the simulator."""
    with site(KINDS["gemini"], tmp_path / "bm") as running:
        yield running


@pytest.fixture
def ask(pool: Site, tmp_path: Path) -> Ask:
    """Ask Claude Code for something, always in the same folder."""
    (tmp_path / "claude").mkdir()

    def asked(prompt: str, *words: str) -> Run:
        tool = replace(TOOL, tasks={"ask": claude(*words, prompt=prompt)})
        return launch(tool, "ask", pool, tmp_path / "claude", limit=40)

    return asked


def test_a_conversation_goes_on_and_survives_its_summary(pool: Site, ask: Ask, tmp_path: Path) -> None:
    rounds = TOOL.steps(tmp_path / "claude/project")
    pool.sim.script(*(Rule(step=number, tool_calls=calls, text="First.") for number, calls in enumerate(rounds)))
    assert "First." in ask("Write it, run it, look at the picture").out
    pool.sim.script(Rule(text="Second."), Rule(text="<summary>All that was said.</summary>"), Rule(text=WORD))
    assert "Second." in ask("And now?", "--continue").out
    history = bodies(pool.sim.log()[-1:])
    assert RAN in history and SEEN in history
    assert ask("/compact", "--continue").code == 0
    assert WORD in ask("What is the secret word?", "--continue").out
    summarised = bodies(pool.sim.log()[-1:])
    assert "All that was said." in summarised and RAN not in summarised
    assert [record.refusal for record in pool.sim.log() if record.refusal] == []


def test_a_search_of_the_web_is_asked_for_on_the_side(pool: Site, ask: Ask) -> None:
    pool.sim.script(
        Rule(step=0, tool_calls=(call("ToolSearch", query="select:WebSearch"),)),
        Rule(step=1, tool_calls=(call("WebSearch", query="the secret word"),), text=WORD),
        Rule(text="Found on the web."),
    )
    assert WORD in ask("Search the web for the secret word").out
    generated = [record for record in pool.sim.log() if record.operation == "generate"]
    assert [record.refusal for record in generated if record.refusal] == []
    assert [tools for record in generated if (tools := record.body.get("tools")) and "googleSearch" in tools[0]]


def test_the_context_is_counted_by_the_upstream(pool: Site, ask: Ask) -> None:
    assert ask("/context").code == 0
    counted = [record.status for record in pool.sim.log() if record.operation == "count"]
    assert counted and set(counted) == {200}
