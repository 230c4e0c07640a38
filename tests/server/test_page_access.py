"""Whether everyone can use the page: axe-core in a real Chromium, in both themes, from a phone to a wide screen."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bm.simulator import Rule
from tests.gateway.world import World
from tests.server.page import click, holds, sign_in
from tests.support.browser import Tab, needs_browser

VIEWS = ("overview", "usage", "models", "ask", "settings", "log")
SERIOUS = ("serious", "critical")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

SMALL = """[...document.querySelectorAll('button, a, input, select, textarea')].filter((each) => {
  const { width, height } = each.getBoundingClientRect();
  return each.checkVisibility() && width && (width < 24 || height < 24)
    && !each.closest('p, small, .skips, label, dd') && !(each.type === 'checkbox' || each.type === 'radio');
}).map((each) => each.outerHTML.slice(0, 90))"""
"""Targets under 24 pixels (WCAG 2.2, 2.5.8), except links in a sentence and boxes whose label is the target too."""


def axe() -> str:
    """The source of axe-core, which the browser runs."""
    found = find_spec("axe_core_python")
    assert found is not None and found.origin is not None
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")


async def findings(tab: Tab) -> list[str]:
    """What axe-core finds that keeps people out."""
    if not await tab.value("typeof axe === 'object'"):
        await tab.value(f"{axe()}; 0")
    found: list[dict[str, Any]] = await tab.value(f"axe.run({json.dumps(RULES)}).then((found) => found.violations)")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


def furnished(world: World) -> None:
    """Something of everything: cooldowns, a refused key, failures, aliases."""
    world.set_up(
        accounts=4, modes={"groq": "pooled", "anthropic": "off"}, more='[aliases]\nfast = "groq:openai/gpt-oss-120b"'
    )
    world.sim.script(Rule(status=429, retry_info="3000s"), Rule(error="invalid_key"))
    world.ask("anthropic", headers={"user-agent": "claude-cli/2"})
    world.sim.script(Rule(status=400))
    world.ask("gemini")


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1920])
async def test_axe_finds_nothing_serious(tab: Tab, world: World, width: int, dark: bool) -> None:
    furnished(world)
    await tab.size(width, 900, dark=dark)
    await tab.open(world.daemon.url)
    await tab.until("!document.getElementById('sign-in').hidden")
    assert await findings(tab) == []
    await tab.open("about:blank")
    await sign_in(tab, world)
    await tab.until("document.querySelector('#rows tr') !== null")
    for name in VIEWS:
        await tab.value(f"location.hash = '{name}'")
        await tab.until(f"!document.getElementById('view-{name}').hidden")
        await tab.until(f"document.getElementById('view-{name}').innerText.length > 60")
        assert (name, await findings(tab)) == (name, [])
        assert (name, await tab.value(SMALL)) == (name, [])
        assert await tab.value("document.documentElement.scrollWidth <= innerWidth"), name


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing_serious_in_the_dialogs(tab: Tab, world: World, dark: bool) -> None:
    furnished(world)
    await tab.size(1024, 900, dark=dark)
    await sign_in(tab, world)
    await tab.until("document.querySelector('#rows tr.failed button') && document.querySelector('#accounts .disabled')")
    opened = {
        "account": "document.querySelector('#accounts .disabled').closest('.card').querySelector('button').click()",
        "provider": "document.querySelector('#providers article:last-child .name').click()",
        "new account": "document.getElementById('add-account').click()",
        "new provider": "document.getElementById('use-provider').click()",
    }
    for name, script in opened.items():
        await tab.value(script)
        await tab.until("document.getElementById('sheet').open && document.querySelector('#sheet-body button')")
        assert (name, await findings(tab), await tab.value(SMALL)) == (name, [], [])
        await click(tab, "Close", "#sheet")
    await tab.value("document.querySelector('#rows tr.failed button').click()")
    await tab.until(holds("#why", "Attempts"))
    assert await findings(tab) == []


@needs_browser
@pytest.mark.parametrize("width", [360, 800, 1024, 1280, 1440, 1920])
async def test_no_figure_is_cut_off(tab: Tab, world: World, width: int) -> None:
    furnished(world)
    await tab.size(width, 900)
    await sign_in(tab, world)
    await tab.until("document.querySelectorAll('#rows tr').length > 1")
    cut = """[...document.querySelectorAll('td.c-cost, td.c-tokens, td.c-took, td.c-first, .tile p, td.num, .badge')]
      .filter((each) => each.checkVisibility() && getComputedStyle(each).display !== 'inline')
      .filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.outerHTML.slice(0, 120))"""
    for name in ("overview", "usage", "models"):
        await tab.value(f"location.hash = '{name}'")
        await tab.until(f"!document.getElementById('view-{name}').hidden")
        await tab.until(f"document.getElementById('view-{name}').innerText.length > 60")
        assert (name, await tab.value(cut)) == (name, [])
