"""The settings over HTTP: shown with their defaults, changed with the checks of `bm config set`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.world import World


def rows(world: World) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in world.admin("config")["settings"]}


def change(world: World, key: str, value: str | None) -> Any:
    return world.http.put("/admin/config", json={"key": key, "value": value})


def test_every_setting_is_shown_with_its_default(world: World) -> None:
    world.set_up(modes={"groq": "pooled"})
    found = rows(world)
    assert found["pool.max_wait"] | {"value": "0", "default": "30", "is_default": False} == found["pool.max_wait"]
    assert set(found["log.level"]["choices"]) == {"debug", "info", "warning", "error"}
    assert found["providers.groq.mode"]["value"] == "pooled" and found["pool.rescue"]["kind"] == "switch"
    assert found["providers.groq.base_url"]["in_terminal"] and found["server.host"]["in_terminal"]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("pool.max_attempts", "7", "7"),
        ("pool.rescue", "off", "false"),
        ("providers.groq.match_models", "a*, b*", "a*, b*"),
        ("providers.groq.timeouts.idle", "12.5", "12.5"),
    ],
)
def test_a_setting_is_changed_and_restored(world: World, key: str, value: str, shown: str) -> None:
    world.set_up(modes={"groq": "pooled"})
    assert change(world, key, value).json() == {"error": None, "note": None}
    if key in rows(world):
        assert rows(world)[key]["value"] == shown
    assert change(world, key, None).status_code == 200
    if key in rows(world):
        assert rows(world)[key]["is_default"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("pool.max_wiat", "1", 'did you mean "max_wait"?'),
        ("pool.max_wait", "soon", "expected a number from 0"),
        ("pool", "1", "set in a terminal"),
        ("providers.groq.api_key", "sk-x", "set in a terminal"),
        ("providers.groq.base_url", "https://evil.example", "set in a terminal"),
        ("server.auth", "none", "set in a terminal"),
        ("upstream_proxy.url", "http://evil.example", "set in a terminal"),
        ("routes.hook", "x.py:f", "set in a terminal"),
        ("shared.seal", "cmd:evil", "set in a terminal"),
        ("no key", "1", "is not the name of a setting"),
    ],
)
def test_what_cannot_be_changed(world: World, key: str, value: str, words: str) -> None:
    world.set_up(modes={"groq": "pooled"})
    before = world.daemon.paths.config.read_text()
    answer = change(world, key, value)
    assert answer.status_code == 400 and words in answer.json()["error"]
    assert world.daemon.paths.config.read_text() == before


@pytest.mark.parametrize(("key", "value"), [("server.websocket", "true"), ("shared.node", "other")])
def test_what_needs_a_restart_says_so(world: World, key: str, value: str) -> None:
    assert "bm restart" in change(world, key, value).json()["note"]
