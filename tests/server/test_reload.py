"""Edits of the files while the daemon serves requests."""

from __future__ import annotations

import re
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import update
from bm.config.paths import Paths, make_folders
from bm.gateway.services import Services
from bm.gateway.settings import read_settings
from bm.server.reload import Reloader
from bm.simulator import Rule
from tests.gateway.world import Answer, World
from tests.support.waiting import soon

STREAMS = 50
MODES = ("off", "exclusive", "pooled", "fallback")


def edit(world: World, old: str, new: str) -> None:
    """Change the file as an editor does."""
    path = world.daemon.paths.config
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_changing_modes_under_load_fails_no_request(world: World) -> None:
    world.set_up(modes={"groq": "off"})
    world.sim.script(Rule(text="a quite long answer of some words " * 4, chunks=12, delay=0.05, times=None))
    with ThreadPoolExecutor(STREAMS) as users:
        running: list[Future[list[Answer]]] = [users.submit(ask_on, world, number) for number in range(STREAMS)]
        flips = 0
        while not all(each.done() for each in running):
            mode = MODES[flips % len(MODES)]
            text = re.sub(r'mode = "\w+"', f'mode = "{mode}"', world.daemon.paths.config.read_text())
            world.daemon.paths.config.write_text(text)
            assert world.admin("reload", {})["ok"]
            flips += 1
            time.sleep(0.1)
    answers = [answer for each in running for answer in each.result()]
    assert flips >= len(MODES)
    assert len(answers) == 2 * STREAMS
    assert [answer for answer in answers if not answer.complete] == []
    assert {answer.bm("provider") for answer in answers} == {"gemini", "groq"}


def ask_on(world: World, number: int) -> list[Answer]:
    """Two streams, one after the other. Not all users begin at once: else a mode might pass without a request."""
    time.sleep(number % 10 * 0.1)
    protocol = ("anthropic", "openai-chat", "openai-responses", "gemini")[number % 4]
    return [world.ask(protocol) for _ in range(2)]


def test_an_edit_by_hand_takes_effect_within_a_second(world: World) -> None:
    world.set_up(accounts=1, modes={"groq": "off"})
    assert world.ask("openai-chat").bm("provider") == "gemini"
    edit(world, 'mode = "off"', 'mode = "exclusive"')
    began = time.monotonic()
    assert soon(lambda: world.ask("openai-chat").bm("provider") == "groq")
    # Twice the promise, for a machine that is busy with other tests.
    assert time.monotonic() - began < 2


def test_an_account_added_by_hand_is_used(world: World) -> None:
    world.set_up(accounts=0)
    assert world.ask("gemini").status == 400
    account = Account(name="late", key="key-of-the-latecomer-late00")
    update(world.daemon.paths.accounts, lambda stored: stored.add(account))
    assert soon(lambda: world.ask("gemini").bm("account") == "late")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('mode = "off"', 'mode = "sometimes"', "mode"),
        ('mode = "off"', "mode = ", ""),
        ('mode = "off"', 'mood = "off"', "mood"),
        ("max_wait = 0", 'max_wait = "long"', "max_wait"),
    ],
    ids=["value", "syntax", "key", "type"],
)
def test_an_invalid_edit_is_refused_and_the_old_settings_stay(world: World, old: str, new: str, word: str) -> None:
    world.set_up(modes={"groq": "off"})
    edit(world, old, new)
    assert soon(lambda: world.admin("status")["config"]["error"] is not None)
    error = world.admin("status")["config"]["error"]
    assert word in error and f"{world.daemon.paths.config}:" in error
    assert world.ask("openai-chat").complete
    found = world.admin("reload", {})
    assert found["ok"] is False and found["error"] == error
    assert "the old settings stay in force" in world.daemon.log()
    edit(world, new, old)
    assert soon(lambda: world.admin("status")["config"]["error"] is None)


@pytest.mark.parametrize("written", ["this is not TOML [", None])
def test_an_unreadable_or_missing_accounts_file_leaves_the_old_accounts_in_force(
    world: World, written: str | None
) -> None:
    path = world.daemon.paths.accounts
    content = path.read_bytes()
    path.unlink()
    if written is not None:
        path.write_text(written)
    assert soon(lambda: world.admin("status")["config"]["error"] is not None)
    assert str(path) in world.admin("status")["config"]["error"]
    assert world.ask("gemini").complete and (written is not None or not path.exists())
    path.write_bytes(content)
    assert soon(lambda: world.admin("status")["config"]["error"] is None)


def test_a_request_in_progress_finishes_with_the_old_settings(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"})
    world.sim.script(Rule(text="one two three four five six", chunks=6, delay=0.15))
    with ThreadPoolExecutor(1) as user:
        answer = user.submit(world.ask, "openai-chat")
        world.sim.wait(lambda log: bool(log) and log[-1].events > 1)
        world.configure({"groq": "off"})
        assert world.ask("openai-chat").bm("provider") == "gemini"
        assert answer.result().complete and answer.result().bm("provider") == "groq"


def test_a_request_in_progress_survives_the_removal_of_its_account(world: World) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(text="one two three four five six", chunks=6, delay=0.15))
    with ThreadPoolExecutor(1) as user:
        answer = user.submit(world.ask, "anthropic")
        world.sim.wait(lambda log: bool(log) and log[-1].events > 1)
        update(world.daemon.paths.accounts, lambda stored: stored.remove(("gemini", world.pool[0])))
        assert world.admin("reload", {})["ok"]
        assert answer.result().complete
    assert world.ask("anthropic").status == 400


async def test_reload_returns_the_reason_when_the_files_are_invalid(bm_home: Path) -> None:
    paths = Paths.under(bm_home)
    make_folders(paths)
    paths.config.write_text("[server]\nport = 0\n")
    services = Services(read_settings(paths))
    reloader = Reloader(paths, services)
    try:
        before = services.settings
        paths.config.write_text("[server]\nport = 'many'\n")
        error = await reloader.reload()
        assert error is not None
        assert (reloader.error, services.settings) == (error, before)
        paths.config.write_text("[server]\nmax_body_mb = 3\n")
        assert await reloader.reload() is None
        assert reloader.error is None and services.config.server.max_body_mb == 3
    finally:
        await services.close()


async def test_a_file_that_changes_while_it_is_read_is_read_again(bm_home: Path) -> None:
    """The key's command is slow enough for an editor: here, it is the editor."""
    paths = Paths.under(bm_home)
    make_folders(paths)
    command = bm_home / "key.py"
    provider = f'[providers.groq]\nenabled = true\napi_key = "cmd:{sys.executable} {command}"\n'
    late = f'{provider}mode = "exclusive"\n'
    command.write_text(
        f"from pathlib import Path\npath, late = Path({str(paths.config)!r}), {late!r}\n"
        "if path.read_text() != late:\n    path.write_text(late)\nprint('the-key-of-groq')\n"
    )
    services = Services(read_settings(paths))
    try:
        paths.config.write_text(provider)
        assert await Reloader(paths, services).reload() is None
        assert services.settings.providers["groq"].mode == "exclusive"
    finally:
        await services.close()


def test_a_file_that_an_editor_has_emptied_is_not_read(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"})
    path = world.daemon.paths.config
    text = path.read_text(encoding="utf-8")
    with ThreadPoolExecutor(1) as user:
        for _ in range(6):
            with path.open("w", encoding="utf-8") as file:
                asked = user.submit(ask_for, world, 0.6)
                time.sleep(0.05)
                file.write(text)
            assert asked.result() == {"groq"}


def ask_for(world: World, seconds: float) -> set[str]:
    """Who answers within so many seconds."""
    limit, seen = time.monotonic() + seconds, set()
    while time.monotonic() < limit:
        seen.add(world.ask("openai-chat").bm("provider"))
    return seen
