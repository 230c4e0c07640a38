"""The views of the page in a real browser: figures, charts, models, settings, log, playground."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bm.simulator import Rule
from bm.simulator.rules import Usage
from tests.gateway.world import World
from tests.server.page import click, fill, holds, press, sign_in, text_of
from tests.support.browser import Tab, needs_browser


async def view(tab: Tab, name: str) -> None:
    await tab.value(f"location.hash = {json.dumps(name)}")
    await tab.until(f"!document.getElementById('view-{name}').hidden")


def cells(row: dict[str, Any]) -> list[str]:
    """A row of `bm usage --json` as the page words it."""
    counts = [row["requests"], row["failures"], row["input"] + row["cache_write"], row["cache_read"], row["output"]]
    cost = row["cost"]
    paid = None if cost is None else max(cost - (row["free_cost"] or 0), 0)
    return [row["name"] or "–", *(f"{each:,}" for each in counts), money(cost), money(paid)]


def money(cost: float | None) -> str:
    if cost is None:
        return "–"
    if cost >= 10:
        return f"${cost:,.2f}"
    return f"${cost:.{2 if cost >= 0.1 or cost == 0 else 4 if cost >= 0.001 else 6}f}"


@needs_browser
@pytest.mark.parametrize("by", ["provider", "model", "account", "tool"])
async def test_the_figures_are_those_of_bm_usage(tab: Tab, world: World, by: str) -> None:
    world.set_up(accounts=2, modes={"groq": "pooled", "anthropic": "fallback"})
    world.sim.script(Rule(usage=Usage(input=123_456, output=7_890, cached=1_000), times=4), Rule(status=400))
    for agent in ("claude-cli/2.1.3 (external, cli)", "codex_cli_rs/0.60.1", "claude-cli/2.1.3 (external, cli)"):
        world.ask("anthropic", headers={"user-agent": agent})
    world.ask("gemini")
    world.ask("anthropic", "groq:openai/gpt-oss-120b")
    found = world.admin(f"usage?days=30&by={by}")
    await sign_in(tab, world)
    await view(tab, "usage")
    choose = f"const by = document.getElementById('usage-by'); by.value = '{by}'; by.dispatchEvent(new Event('change'))"
    await tab.value(choose)
    await tab.until(f"{text_of('#usage-name')} === '{by}'")
    figures = "[...row.cells].slice(0, -1).map((cell) => cell.textContent)"
    rows = f"[...document.querySelectorAll('#usage-rows tr')].map((row) => {figures})"
    await tab.until(f"{rows}.length === {len(found['rows'])}")
    assert await tab.value(rows) == [cells(row) for row in found["rows"]]
    total = found["total"]
    assert (await tab.value(text_of("#figure-requests p"))) == f"{total['requests']:,}"
    assert (await tab.value(text_of("#figure-saved p"))) == money(total["free_cost"])
    assert (await tab.value(text_of("#figure-paid p"))) == money(total["cost"] - (total["free_cost"] or 0))


@needs_browser
async def test_the_chart_adds_up_and_is_read_with_the_keyboard(tab: Tab, world: World) -> None:
    world.set_up(accounts=1)
    before = world.admin("usage?days=7")["total"]["requests"]
    for _ in range(3):
        world.ask("gemini", stream=False)
    await sign_in(tab, world)
    await view(tab, "usage")
    await click(tab, "7 days", "#usage-days")
    await tab.until("document.querySelectorAll('#usage-chart .hit').length === 7")
    await tab.value("document.querySelector('#usage-chart svg').focus()")
    await press(tab, "ArrowRight")
    await press(tab, "ArrowRight")
    words = await tab.value(text_of("#usage-chart figcaption b"))
    assert re.fullmatch(rf"\d\d-\d\d: {before + 3}", words)
    await click(tab, "today", "#usage-days")
    await tab.until("document.querySelectorAll('#usage-chart .hit').length >= 1")
    await tab.until(holds("#usage-chart figcaption", "per hour"))


@needs_browser
async def test_a_failed_request_shows_its_attempts_and_a_button_for_the_remedy(tab: Tab, world: World) -> None:
    world.set_up(accounts=1)
    (name,) = world.pool
    world.sim.script(Rule(error="invalid_key"))
    world.ask("anthropic", headers={"user-agent": "claude-cli/2"})
    await sign_in(tab, world)
    await tab.until("document.querySelector('#rows tr.failed button')")
    await tab.value("document.querySelector('#rows tr.failed button').click()")
    await tab.until("document.querySelectorAll('#why .timeline rect.bad').length === 1")
    assert "from claude-cli" in await tab.value(text_of("#why"))
    await click(tab, f"Verify {name}", "#why")
    await tab.until(holds("#toast", "works: "))
    assert world.account(name)["state"] == "usable"


LOSING = """
const real = fetch;
window.fetch = async (...asked) => {
  const answer = await real(...asked);
  if (asked[0] !== '/admin/ask' || !answer.ok) return answer;
  const headers = new Headers(answer.headers);
  headers.set('x-bm-dropped', 'top_k');
  return new Response(answer.body, { headers });
}; 0
"""
"""Answers as of a model that could not take everything, which a plain question does not bring about."""


@needs_browser
async def test_a_question_is_answered_with_what_was_lost_and_an_error_gives_it_back(tab: Tab, world: World) -> None:
    world.set_up(accounts=1)
    await sign_in(tab, world)
    await view(tab, "ask")
    await tab.until("document.querySelectorAll('#ask-models option').length > 3")
    await tab.value(LOSING)
    ask = "document.getElementById('ask-text').value = 'hello'; document.getElementById('ask-send').click()"
    await tab.value(ask)
    await tab.until("document.querySelector('.turn .answer')?.textContent.length > 0")
    await tab.until(holds(".turn .note", "gemini/"))
    await tab.until(holds(".turn .todo", "Lost, because the model does not take it: top_k"))
    await tab.until("!document.getElementById('ask-send').disabled")
    world.sim.script(Rule(status=400, message="no such thing", times=None))
    await tab.value(ask)
    await tab.until(holds(".turn .problem", "no such thing"))
    assert await tab.value("document.getElementById('ask-text').value") == "hello"
    assert [call.body["contents"][-1]["role"] for call in world.calls()][-1] == "user"


@needs_browser
async def test_models_and_aliases(tab: Tab, world: World) -> None:
    world.set_up(modes={"groq": "pooled"}, more='[aliases]\nfast = "groq:openai/gpt-oss-120b"')
    await sign_in(tab, world)
    await view(tab, "models")
    await tab.until(holds("#models-rows", "groq:openai/gpt-oss-120b"))
    await tab.until(holds("#routing-rows", "fast"))
    await click(tab, "Change", "#routing-rows")
    await fill(tab, chain="grok:x, opus")
    await click(tab, "Save", "#sheet")
    await tab.until(holds("#sheet .problem", 'did you mean "groq:x"?'))
    await fill(tab, chain="groq:openai/gpt-oss-20b, opus")
    await click(tab, "Save", "#sheet")
    await tab.until(holds("#routing-rows", "groq:openai/gpt-oss-20b, then opus"))
    assert 'fast = ["groq:openai/gpt-oss-20b", "opus"]' in world.daemon.paths.config.read_text()


@needs_browser
async def test_settings_are_changed_with_the_words_of_bm_config(tab: Tab, world: World) -> None:
    world.set_up()
    await sign_in(tab, world)
    await view(tab, "settings")
    field = "document.getElementById('setting-pool.max_attempts')"
    await tab.until(field)
    change = f"{field}.value = {{}}; {field}.dispatchEvent(new Event('change'))"
    await tab.value(change.format("'many'"))
    await tab.until(holds("#toast", "expected a whole number from 1"))
    await tab.until(f"{field}.value === '20'")
    await tab.value(change.format("'7'"))
    await tab.until(holds("#toast", "pool.max_attempts: saved"))
    assert "max_attempts = 7" in world.daemon.paths.config.read_text()
    assert await tab.value("document.getElementById('setting-server.host').disabled")


@needs_browser
async def test_a_request_of_another_day_has_its_date_in_the_narrow_column(tab: Tab, world: World) -> None:
    world.set_up()
    await sign_in(tab, world)
    today, earlier = await tab.value("[format.shortTime(Date.now() / 1000), format.shortTime(86400 * 200)]")
    assert re.fullmatch(r"\d\d:\d\d:\d\d", today)
    assert re.fullmatch(r"07-\d\d \d\d:\d\d", earlier)


@needs_browser
async def test_the_log_from_a_level_on(tab: Tab, world: World) -> None:
    world.set_up(accounts=1)
    answer = world.ask("gemini")
    await sign_in(tab, world)
    await view(tab, "log")
    await tab.until(holds("#log-lines", answer.bm("request-id")))
    await click(tab, answer.bm("request-id"), "#log-lines")
    await tab.until(holds("#why", "Attempts"))
    await tab.value("document.getElementById('why').close()")
    await click(tab, "error", "#log-level")
    await tab.until(f"!{holds('#log-lines', answer.bm('request-id'))}")


@needs_browser
async def test_keys_and_budgets_with_what_is_spent(tab: Tab, world: World) -> None:
    world.set_up(accounts=1, more='[budgets]\ntotal = "100M tokens/day"')
    world.sim.script(Rule(usage=Usage(input=300, output=100)))
    before = int(world.admin("status")["budgets"][0]["spent"])
    world.ask("gemini")
    await sign_in(tab, world)
    await view(tab, "usage")
    left = 100_000_000 - before - 400
    await tab.until(holds("#budgets", f"{before + 400:,} tokens spent, {left:,} tokens left"))
    world.configure({}, '[budgets]\ntotal = "400 tokens/day"')
    await tab.until(holds("#notices", "The budget of everything (400 tokens/day) is used up"))


@needs_browser
async def test_the_nodes_of_a_team_where_there_are_others(tab: Tab, world: World) -> None:
    node = {"name": "a", "version": "1.2", "url": "http://a:8094", "since": 0, "seen": 0.5, "here": True}
    node |= {"requests": {"active": 1234, "total": 5678, "failed": 9}}
    gone = node | {"name": "b", "seen": 75, "here": False}
    await sign_in(tab, world)
    shown = f"document.getElementById('nodes').hidden ? '' : {text_of('#nodes')}"
    for nodes, words in (([node, gone], ["1,234", "gone for 1 min", "Valkey 9.1"]), ([node], [])):
        team = {"store": "Valkey 9.1", "away": None, "nodes": nodes}
        found = await tab.value(f"(overview.nodes({json.dumps(team)}), {shown})")
        assert bool(found) == bool(words) and all(each in found for each in words), found
