"""The dashboard: its document, and its behavior in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from bm.server.dashboard import FOLDER, page
from bm.simulator import Rule
from bm.simulator.rules import Usage
from tests.gateway.world import World
from tests.server.page import holds, sign_in, text_of
from tests.server.signed_in import stranger
from tests.support.browser import Tab, needs_browser

SCRIPTS = sorted(file.name for file in FOLDER.glob("*.js"))
MEANT_FOR_HTML = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\(|new Function"


def test_it_needs_no_key_and_contains_no_data(world: World) -> None:
    with stranger(world.daemon) as http:
        answer = http.get("/")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    for secret in (world.daemon.key, *world.pool, str(world.daemon.paths.config.parent), "key-of-the-account"):
        assert secret not in answer.text + str(answer.headers)


def test_its_policy_allows_only_its_parts(world: World) -> None:
    with stranger(world.daemon) as http:
        answer = http.get("/")
    rules = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    for kind in ("script", "style"):
        parts = re.findall(rf"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in parts]
        assert rules[f"{kind}-src"].split() == [f"'sha256-{digest}'" for digest in digests] != []
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == rules["frame-ancestors"] == "'none'"
    assert rules["connect-src"] == "'self'" and rules["require-trusted-types-for"] == "'script'"
    assert answer.headers["x-frame-options"] == "DENY" and answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_an_unchanged_page_is_not_sent_again(world: World) -> None:
    with stranger(world.daemon) as http:
        tag = http.get("/").headers["etag"]
        again = http.get("/", headers={"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["content-security-policy"] == page().policy
        assert http.get("/", headers={"if-none-match": '"other"'}).status_code == 200


def test_all_parts_are_inlined_and_nothing_is_loaded() -> None:
    body = page().body.decode()
    assert not re.search(r"<script [^>]*src|<link rel=\"stylesheet|@import|url\(", body)
    assert not re.search(r"<[^>]+ (on\w+|style)=", body)
    for name in SCRIPTS:
        assert (FOLDER / name).read_text(encoding="utf-8") in body
    assert set(re.findall(r"https?://[\w.]+", body)) == {"https://aistudio.google.com", "http://www.w3.org"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_text_is_parsed_as_html(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert not re.search(MEANT_FOR_HTML, text)
    assert 40 <= text.count("\n") <= 400


@needs_browser
async def test_the_address_of_bm_dashboard_signs_in_and_the_code_is_removed(tab: Tab, world: World) -> None:
    await sign_in(tab, world)
    assert await tab.value("location.href") == f"{world.daemon.url}/"
    assert await tab.value("history.length") <= 2
    assert await tab.value("document.cookie") == ""
    assert await tab.value(text_of("#tabs [aria-current]")) == "Overview"
    await tab.open(f"{world.daemon.url}/")
    await tab.until("!document.getElementById('board').hidden")
    await tab.value("document.getElementById('leave').click()")
    await tab.until("!document.getElementById('sign-in').hidden")


@needs_browser
async def test_the_key_can_be_entered_in_a_form(tab: Tab, world: World) -> None:
    await tab.open(f"{world.daemon.url}/")
    await tab.until("!document.getElementById('sign-in').hidden")
    enter = "document.getElementById('key').value = {}; document.querySelector('#key-form button').click()"
    await tab.value(enter.format("'wrong'"))
    await tab.until(holds("#sign-in-why", "not the daemon's key"))
    await tab.value(enter.format(json.dumps(world.daemon.key)))
    await tab.until("!document.getElementById('board').hidden")
    assert await tab.value("document.getElementById('key').value") == ""
    assert world.daemon.key not in await tab.value("JSON.stringify(localStorage) + document.documentElement.outerHTML")


@needs_browser
async def test_requests_appear_and_a_click_shows_why(tab: Tab, world: World) -> None:
    world.set_up(accounts=2)
    await sign_in(tab, world)
    nasty = "<img src=x onerror=alert(1)>&amp;"
    world.sim.script(
        Rule(status=429, retry_info="90s", message=nasty), Rule(usage=Usage(input=12_345, output=678)), Rule(status=400)
    )
    first = world.ask("anthropic")
    await tab.until(holds("#rows tr", "12.3k → 678"))
    row = await tab.value(text_of("#rows tr"))
    assert "claude-sonnet-5" in row and f"gemini/{first.bm('account')}" in row and "2 attempts" in row
    await tab.value("document.querySelector('#rows tr button').click()")
    await tab.until(holds("#why", "429 rate limited"))
    found = await tab.value(text_of("#why"))
    assert first.bm("request-id") in found and nasty in found and "account cools down for 1 min" in found
    await tab.value("document.getElementById('why-close').click()")
    await tab.until(
        "[...document.querySelectorAll('.card')].some((card) => card.innerText.includes('cooling down 1:'))"
    )
    world.ask("gemini")
    await tab.until(holds("#rows tr.failed", "400 bad_request"))
    await tab.value("document.querySelector('#rows tr.failed button').click()")
    await tab.until(holds("#why", "To do: the request itself was refused"))
    await tab.value("document.getElementById('why-close').click()")
    await tab.value("document.getElementById('failed-only').click()")
    left = "[...document.querySelectorAll('#rows tr')].filter((row) => !row.hidden).map((row) => row.className)"
    assert set(await tab.value(left)) == {"failed"}
    assert await tab.value("document.querySelector('img')") is None


@needs_browser
async def test_a_row_under_the_pointer_does_not_move(tab: Tab, world: World) -> None:
    world.set_up()
    await sign_in(tab, world)
    for _ in range(30):
        world.ask("gemini", stream=False)
    rows = "document.querySelectorAll('#rows tr')"
    place = "document.getElementById('row').getBoundingClientRect().top"
    await tab.until(f"{rows}.length >= 30")
    await tab.value(f"{rows}[4].id = 'row'")
    before = await tab.value(place)
    await tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=300, y=before + 10)
    count = await tab.value(f"{rows}.length")
    for _ in range(3):
        world.ask("gemini", stream=False)
    await tab.until(f"{rows}.length >= {count} + 3")
    assert abs(await tab.value(place) - before) <= 1
    await tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    await tab.until(f"document.getElementById('requests-scroll').scrollTop === 0 && {place} > {before} + 20")


@needs_browser
async def test_a_button_changes_a_mode(tab: Tab, world: World) -> None:
    world.set_up(modes={"groq": "off"})
    await sign_in(tab, world)
    button = "document.querySelector('#providers [aria-label=\"Mode of groq\"] [data-mode={}]')"
    await tab.until(button.format("off"))
    assert await tab.value(button.format("off") + ".getAttribute('aria-pressed')") == "true"
    await tab.value(button.format("pooled") + ".click()")
    await tab.until(button.format("pooled") + ".getAttribute('aria-pressed') === 'true'")
    await tab.until(holds("#toast", "groq: pooled"))
    assert 'mode = "pooled"' in world.daemon.paths.config.read_text()


@needs_browser
async def test_without_accounts_the_page_says_what_to_do(tab: Tab, world: World) -> None:
    world.set_up(accounts=0)
    await sign_in(tab, world)
    await tab.until(holds("#accounts-empty", "bm accounts add NAME"))
    assert await tab.value(holds("#notices", "bm accounts add NAME"))
    assert await tab.value(holds("#providers-empty", "bm providers use groq"))


@needs_browser
async def test_an_invalid_configuration_is_shown(tab: Tab, world: World) -> None:
    await sign_in(tab, world)
    world.daemon.paths.config.write_text("[pool]\nmax_wiat = 1\n")
    await tab.until(holds("#notices", "max_wiat"))
    world.configure({})
    await tab.until("document.getElementById('notices').childElementCount === 0")


@needs_browser
@pytest.mark.parametrize("width", [360, 800, 1280, 1600])
async def test_nothing_is_wider_than_the_window(tab: Tab, world: World, width: int) -> None:
    world.set_up(accounts=20, modes={"groq": "pooled", "anthropic": "fallback"})
    for _ in range(3):
        world.ask("openai-responses", "a-model-with-a-name-that-is-longer-than-any-screen-would-ever-like-to-show-it")
    await tab.size(width, 900, dark=True)
    await sign_in(tab, world)
    await tab.until("document.querySelectorAll('.card').length >= 20")
    assert await tab.value("document.documentElement.scrollWidth <= innerWidth")
