"""A mode that is changed in the person's file by the page's buttons."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.world import World
from tests.support.daemon import daemon

CONFIG = """\
# mine
[gemini]
enabled = true  # the free ones

[providers.groq]
enabled = true
mode = "off"    # until the free ones are spent
"""


def change(world: World, name: str, body: Any) -> httpx.Response:
    return world.http.post(f"/admin/providers/{name}/mode", json=body)


@pytest.mark.parametrize("mode", ["exclusive", "pooled", "fallback", "off"])
def test_the_next_request_knows(world: World, mode: str) -> None:
    world.set_up(modes={"groq": "fallback" if mode == "off" else "off"})
    told = change(world, "groq", {"mode": mode}).json()
    assert told == {"name": "groq", "mode": mode, "enabled": True, "error": None, "outweighed_by": None}
    plan = world.admin("route", {"model": "opus", "protocol": "openai-chat"})
    assert ("groq" in [each["provider"] for each in plan["targets"]]) is (mode != "off")


def test_the_rest_of_the_file_stays_as_it_is(world: World) -> None:
    world.daemon.paths.config.write_text(CONFIG)
    world.admin("reload", {})
    assert change(world, "groq", {"mode": "fallback"}).status_code == 200
    assert world.daemon.paths.config.read_text() == CONFIG.replace('mode = "off" ', 'mode = "fallback" ')


def test_a_provider_of_the_catalog_needs_no_section_before(world: World) -> None:
    told = change(world, "together", {"mode": "pooled"}).json()
    assert (told["mode"], told["enabled"]) == ("pooled", False)
    assert '[providers.together]\nmode = "pooled"' in world.daemon.paths.config.read_text()


@pytest.mark.parametrize(
    ("name", "body", "status", "words"),
    [
        ("grok", {"mode": "off"}, 404, "groq"),
        ("nobody-like-this", {"mode": "off"}, 404, "no provider"),
        ("gemini", {"mode": "off"}, 400, "the pool itself"),
        ("groq", {"mode": "sometimes"}, 400, "mode"),
        ("groq", {}, 400, "mode"),
        ("groq", {"mode": "off", "enabled": True}, 400, "enabled"),
        ("groq", [], 400, "object"),
    ],
)
def test_what_is_wrong_is_told_and_changes_nothing(world: World, name: str, body: Any, status: int, words: str) -> None:
    world.set_up(modes={"groq": "pooled"})
    before = world.daemon.paths.config.read_text()
    answer = change(world, name, body)
    assert answer.status_code == status and words in answer.json()["error"]
    assert world.daemon.paths.config.read_text() == before


def test_a_file_with_errors_is_not_touched(world: World) -> None:
    world.set_up(modes={"groq": "pooled"})
    broken = f"{world.daemon.paths.config.read_text()}\n[pool]\nnonsense = 1\n"
    world.daemon.paths.config.write_text(broken)
    answer = change(world, "groq", {"mode": "off"})
    assert answer.status_code == 400 and str(world.daemon.paths.config) in answer.json()["error"]
    assert world.daemon.paths.config.read_text() == broken


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter there")
def test_a_folder_that_cannot_be_written_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.set_up(modes={"groq": "pooled"})
    config = world.daemon.paths.config
    lock = config.with_name(".config.toml.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    try:
        answer = change(world, "groq", {"mode": "off"})
    finally:
        lock.rmdir()
    assert answer.status_code == 400 and "cannot be written" in answer.json()["error"]


def test_a_variable_that_outweighs_the_file_is_named(bm_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_PROVIDERS_GROQ_MODE", "pooled")
    with daemon(bm_home, CONFIG) as running:
        with httpx.Client(base_url=running.url, headers=running.headers, trust_env=False) as http:
            told = http.post("/admin/providers/groq/mode", json={"mode": "exclusive"}).json()
        assert (told["mode"], told["outweighed_by"]) == ("pooled", "BM_PROVIDERS_GROQ_MODE")
        assert 'mode = "exclusive"' in running.paths.config.read_text()
