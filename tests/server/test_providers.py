"""The providers over HTTP: how they are shown, and changes of their mode."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from bm.simulator import Rule
from tests.gateway.world import World
from tests.support.daemon import daemon


@pytest.mark.parametrize("keys", [0, 1])
def test_providers(world: World, keys: int) -> None:
    world.set_up(modes={"anthropic": "fallback"}, keys=keys)
    rows = {row["name"]: row for row in world.admin("providers")["providers"]}
    assert rows.keys() == {"gemini", "anthropic"}
    row = rows["anthropic"]
    assert (row["mode"], row["protocol"], row["accounts"]) == ("fallback", "anthropic", keys)
    assert row["key_present"] is bool(keys) and row["health"] == "unknown"


def test_the_health_of_a_provider(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"}, keys=2)

    def health() -> str:
        rows: list[dict[str, Any]] = world.admin("providers")["providers"]
        return str(next(row["health"] for row in rows if row["name"] == "groq"))

    assert health() == "unknown"
    assert world.ask("openai-chat").complete
    assert health() == "ok"
    world.sim.script(Rule(status=401), Rule(status=401))
    world.ask("openai-chat")
    assert health() == "down"


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
def test_a_changed_mode_applies_to_the_next_request(world: World, mode: str) -> None:
    world.set_up(modes={"groq": "fallback" if mode == "off" else "off"})
    found = change(world, "groq", {"mode": mode}).json()
    assert found == {"name": "groq", "mode": mode, "enabled": True, "error": None, "overridden_by": None}
    plan = world.admin("route", {"model": "opus", "protocol": "openai-chat"})
    assert ("groq" in [each["provider"] for each in plan["targets"]]) is (mode != "off")


def test_the_rest_of_the_file_is_unchanged(world: World) -> None:
    world.daemon.paths.config.write_text(CONFIG)
    world.admin("reload", {})
    assert change(world, "groq", {"mode": "fallback"}).status_code == 200
    assert world.daemon.paths.config.read_text() == CONFIG.replace('mode = "off" ', 'mode = "fallback" ')


def test_a_provider_of_the_catalog_needs_no_section(world: World) -> None:
    found = change(world, "together", {"mode": "pooled"}).json()
    assert (found["mode"], found["enabled"]) == ("pooled", True), "a mode other than off enables the provider"
    assert '[providers.together]\nmode = "pooled"' in world.daemon.paths.config.read_text()


@pytest.mark.parametrize(
    ("name", "body", "status", "words"),
    [
        ("grok", {"mode": "off"}, 404, "groq"),
        ("unknown-name", {"mode": "off"}, 404, "no provider"),
        ("gemini", {"mode": "off"}, 400, "the pool itself"),
        ("groq", {"mode": "sometimes"}, 400, "mode"),
        ("groq", {}, 400, "mode"),
        ("groq", {"mode": "off", "enabled": True}, 400, "enabled"),
        ("groq", [], 400, "object"),
    ],
)
def test_an_invalid_change_of_mode_changes_nothing(world: World, name: str, body: Any, status: int, words: str) -> None:
    world.set_up(modes={"groq": "pooled"})
    before = world.daemon.paths.config.read_text()
    answer = change(world, name, body)
    assert answer.status_code == status and words in answer.json()["error"]
    assert world.daemon.paths.config.read_text() == before


def test_a_file_with_errors_is_not_changed(world: World) -> None:
    world.set_up(modes={"groq": "pooled"})
    broken = f"{world.daemon.paths.config.read_text()}\n[pool]\nnonsense = 1\n"
    world.daemon.paths.config.write_text(broken)
    answer = change(world, "groq", {"mode": "off"})
    assert answer.status_code == 400 and str(world.daemon.paths.config) in answer.json()["error"]
    assert world.daemon.paths.config.read_text() == broken


@pytest.mark.skipif(sys.platform == "win32", reason="permissions differ there")
def test_a_file_that_cannot_be_written_is_reported(world: World) -> None:
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


def test_a_variable_that_overrides_the_file_is_named(bm_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_PROVIDERS_GROQ_MODE", "pooled")
    with daemon(bm_home, CONFIG) as running:
        with httpx.Client(base_url=running.url, headers=running.headers, trust_env=False) as http:
            found = http.post("/admin/providers/groq/mode", json={"mode": "exclusive"}).json()
        assert (found["mode"], found["overridden_by"]) == ("pooled", "BM_PROVIDERS_GROQ_MODE")
        assert 'mode = "exclusive"' in running.paths.config.read_text()


def test_providers_that_could_be_used(world: World) -> None:
    world.set_up(modes={"groq": "off"})
    found = {row["name"]: row for row in world.admin("available")["available"]}
    assert "groq" not in found and found["together"]["link"]
    assert found["together"]["state"] in ("needs key", "ready")


def test_which_tools_a_provider_serves_in_each_mode(world: World) -> None:
    world.set_up(modes={"groq": "off"}, tables={"groq": ""})
    serves = world.admin("providers/groq")["serves"]
    assert serves["off"] == [] and "Claude Code" not in serves["pooled"] and "Claude Code" in serves["fallback"]
    assert world.admin("providers/gemini")["serves"].keys() == {"pooled"}


@pytest.mark.parametrize(("name", "table"), [("groq", "[providers.groq]"), ("gemini", "[gemini]")])
def test_a_provider_is_switched_off_and_on(world: World, name: str, table: str) -> None:
    world.set_up(modes={"groq": "pooled"})
    for enabled in (False, True):
        answer = world.http.patch(f"/admin/providers/{name}", json={"enabled": enabled}).json()
        assert (answer["enabled"], answer["error"]) == (enabled, None)
        assert world.admin(f"providers/{name}")["enabled"] is enabled
    assert table in world.daemon.paths.config.read_text()
