"""The dashboard in a real browser: a tab, and scripts that look and click as a person does."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.world import World
from tests.server.signed_in import new_code
from tests.support.browser import Tab, browser


@pytest.fixture
async def tab(tmp_path: Path, world: World) -> AsyncIterator[Tab]:
    """A browser. Errors in its console fail the test, except that it is not signed in or that an entry is refused."""
    async with browser(tmp_path / "profile") as found:
        await found.size(1600, 1000)
        yield found
    assert [text for text in found.said if not re.search(r"status of 40[01]\b", text)] == []


async def sign_in(tab: Tab, world: World) -> None:
    await tab.open(f"{world.daemon.url}/#code={new_code(world.daemon)}")
    await tab.until("!document.getElementById('board').hidden")


def text_of(selector: str) -> str:
    return f"(document.querySelector({json.dumps(selector)})?.innerText ?? '')"


def holds(selector: str, words: str) -> str:
    return f"{text_of(selector)}.includes({json.dumps(words)})"


def button(words: str, within: str = "body") -> str:
    """The shown button of those words."""
    inside = f"document.querySelector({json.dumps(within)})"
    return (
        f"[...({inside}?.querySelectorAll('button, a') ?? [])].find((each) => each.offsetParent !== null"
        f" && each.textContent === {json.dumps(words)})"
    )


async def click(tab: Tab, words: str, within: str = "body") -> None:
    """Press a button as soon as it is there."""
    await tab.until(f"{button(words, within)} && !{button(words, within)}.disabled")
    await tab.value(f"{button(words, within)}.click()")


async def fill(tab: Tab, **fields: str | bool) -> None:
    """Enter values in the form that is shown."""
    for name, value in fields.items():
        field = f"document.getElementById('field-{name}')"
        await tab.until(field)
        member = "checked" if isinstance(value, bool) else "value"
        await tab.value(f"{field}.{member} = {json.dumps(value)}; {field}.dispatchEvent(new Event('change'))")


async def press(tab: Tab, key: str) -> None:
    """Press a key."""
    code = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "ArrowRight": 39, "End": 35}[key]
    written = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        await tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **written)
