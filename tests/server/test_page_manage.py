"""Accounts and providers are managed on the page, in a real browser."""

from __future__ import annotations

import json

from bm.accounts.credentials import load
from bm.simulator import Rule
from tests.gateway.world import World
from tests.server.page import button, click, fill, holds, press, sign_in, text_of
from tests.support.browser import Tab, needs_browser
from tests.support.waiting import soon

KEY = "key-of-the-account-fay001"


def card(name: str) -> str:
    return (
        f"[...document.querySelectorAll('#accounts .card')].find((each) => each.innerText.includes({json.dumps(name)}))"
    )


async def open_account(tab: Tab, name: str) -> None:
    await tab.until(card(name))
    await tab.value(f"{card(name)}.querySelector('button').click()")
    await tab.until(holds("#sheet", "API key"))


@needs_browser
async def test_an_account_is_added_with_a_key_that_stays_nowhere_in_the_page(tab: Tab, world: World) -> None:
    world.set_up(accounts=0)
    await sign_in(tab, world)
    await click(tab, "Add an account", "#notices")
    world.sim.script(Rule(error="invalid_key", times=2))
    await fill(tab, name="fay", key=KEY)
    await click(tab, "Add", "#sheet")
    await tab.until(holds("#sheet .problem", "API key not valid"))
    assert await tab.value("document.getElementById('field-key').value") == ""
    world.sim.reset()
    await fill(tab, key=KEY)
    await click(tab, "Add", "#sheet")
    await tab.until(f"{card('fay')} && !document.getElementById('sheet').open")
    assert load(world.daemon.paths.accounts).find("fay").key == KEY
    found = await tab.value("JSON.stringify(localStorage) + document.documentElement.outerHTML")
    assert KEY not in found and "fay" in found


@needs_browser
async def test_an_account_is_verified_switched_renamed_and_removed(tab: Tab, world: World) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(status=429, retry_info="3000s"))
    world.ask("gemini")
    (name,) = world.pool
    await sign_in(tab, world)
    await open_account(tab, name)
    await tab.until(holds("#sheet .timers", "49:"))
    await click(tab, "Verify", "#sheet")
    await tab.until(holds("#toast", "works: "))
    await tab.until(holds("#sheet .facts", "usable"))
    await click(tab, "Disable", "#sheet")
    await tab.until(holds("#sheet .facts", "off"))
    await click(tab, "Enable", "#sheet")
    await tab.until(holds("#sheet .facts", "usable"))
    await click(tab, "Rename", "#sheet")
    await fill(tab, name="gus")
    await click(tab, "Rename", "#sheet form")
    await tab.until(card("gus"))
    await open_account(tab, "gus")
    await click(tab, "Remove", "#sheet")
    await tab.until(holds("#sheet", "Remove the account gus of gemini and its key?"))
    await click(tab, "Cancel", "#sheet")
    assert world.account("gus")["state"] == "usable"
    await open_account(tab, "gus")
    await click(tab, "Remove", "#sheet")
    await tab.until(holds("#sheet", "Remove the account gus"))
    await click(tab, "Remove", "#sheet form")
    await tab.until("document.querySelectorAll('#accounts .card').length === 0")


@needs_browser
async def test_a_refused_key_is_replaced_by_the_button_beside_it(tab: Tab, world: World) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(error="invalid_key"))
    world.ask("gemini")
    (name,) = world.pool
    await sign_in(tab, world)
    await open_account(tab, name)
    await click(tab, f"Replace the key of {name}", "#sheet .todo")
    await fill(tab, key=KEY)
    await click(tab, "Replace", "#sheet form")
    await tab.until(holds("#toast", "key replaced"))
    assert soon(lambda: world.account(name)["state"] == "usable")


@needs_browser
async def test_another_provider_is_used_in_one_form(tab: Tab, world: World) -> None:
    world.set_up(accounts=1)
    await sign_in(tab, world)
    await click(tab, "Use another", ".providers")
    await fill(tab, provider="together", key="key-of-the-account-toget1", mode="fallback", verify=False)
    await click(tab, "Use it", "#sheet")
    mode = "document.querySelector('#providers [aria-label=\"Mode of together\"] [data-mode=fallback]')"
    await tab.until(f"{mode}?.getAttribute('aria-pressed') === 'true'")
    rows = {row["name"]: row for row in world.admin("providers")["providers"]}
    assert (rows["together"]["mode"], rows["together"]["state"]) == ("fallback", "in use")


@needs_browser
async def test_a_provider_says_what_it_serves_in_each_mode(tab: Tab, world: World) -> None:
    world.set_up(modes={"groq": "off"}, tables={"groq": ""})
    await sign_in(tab, world)
    await click(tab, "groq", "#providers")
    await tab.until(holds("#sheet .mode-list", "serves when no Gemini account is usable; can answer Claude Code"))
    await tab.value("document.getElementById('mode-pooled').click()")
    await tab.until(holds("#toast", "groq: pooled"))
    assert soon(lambda: world.admin("providers/groq")["mode"] == "pooled")
    await click(tab, "Switch off", "#sheet")
    await tab.until(button("Switch on", "#sheet"))
    assert world.admin("providers/groq")["enabled"] is False
    await click(tab, "Test", "#sheet")
    await tab.until(holds("#toast", "of groq works"))


@needs_browser
async def test_the_keyboard_reaches_the_modes_before_the_requests_and_leaves_these_at_once(
    tab: Tab, world: World
) -> None:
    world.set_up(accounts=1, modes={"groq": "off"})
    await sign_in(tab, world)
    for _ in range(12):
        world.ask("gemini", stream=False)
    await tab.until("document.querySelectorAll('#rows tr').length >= 12 && document.querySelector('#accounts .card')")
    await tab.value("document.getElementById('leave').focus()")
    reached = []
    for _ in range(24):
        await press(tab, "Tab")
        reached.append(
            await tab.value("document.activeElement.dataset.mode ?? document.activeElement.closest('[id]')?.id ?? ''")
        )
    assert reached.index("off") < reached.index("rows") < reached.index("accounts")
    assert reached.count("rows") == 1
    await tab.value("document.querySelector('#rows [tabindex=\"0\"]').focus()")
    # Read now: a row that is put on top later moves it.
    second = await tab.value("document.querySelectorAll('#rows tr')[1].row.id")
    await press(tab, "ArrowDown")
    await press(tab, "Enter")
    await tab.until(holds("#why", "Attempts"))
    assert await tab.value(text_of("#why-title")) == second


@needs_browser
async def test_a_dialog_that_is_opened_again_at_once_keeps_its_content(tab: Tab, world: World) -> None:
    world.set_up(accounts=1)
    await sign_in(tab, world)
    await tab.value("newcomers.account(); sheet.close(); newcomers.account()")
    await tab.value("new Promise((later) => setTimeout(later, 50))")
    assert await tab.value("document.querySelectorAll('#sheet-body input').length") > 2
