"""Where a tool keeps its settings, and what goes into them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bm.clients.tool import Place, Setting, filled, shown


def test_an_existing_file_or_the_one_to_create(home: Path) -> None:
    place = Place("~/.config/tool", ("tool.jsonc", "tool.json"))
    assert place.find({}) == home / ".config/tool/tool.json"
    (home / ".config/tool").mkdir(parents=True)
    (home / ".config/tool/tool.jsonc").touch()
    assert place.find({}) == home / ".config/tool/tool.jsonc"


def test_a_variable_names_the_folder(home: Path) -> None:
    assert Place("~/.codex", ("config.toml",), "CODEX_HOME").find({"CODEX_HOME": "~/x"}) == home / "x/config.toml"
    below = Place("~/.gemini", (".env",), "GEMINI_CLI_HOME", ".gemini")
    assert below.find({"GEMINI_CLI_HOME": "/x"}).as_posix().endswith("/x/.gemini/.env")
    assert below.find({"GEMINI_CLI_HOME": ""}) == home / ".gemini/.env"


def test_settings_below_config_follow_xdg(home: Path) -> None:
    place = Place("~/.config/tool", ("a",))
    assert place.find({"XDG_CONFIG_HOME": str(home / "xdg")}) == home / "xdg/tool/a"


def test_other_systems_have_other_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place("~/.config/tool", ("a",), mac="~/Library/tool")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert place.find({"XDG_CONFIG_HOME": "/xdg"}) == home / "Library/tool/a"


def test_values_are_filled_and_other_braces_stay() -> None:
    names = {"origin": "http://x", "key": "k"}
    assert filled("{env:{key}} {origin}/v1 {other}", names) == "{env:k} http://x/v1 {other}"
    assert filled(["A={key}", 1], names) == ["A=k", 1]
    assert filled({"a": "{key}", "b": True}, names) == {"a": "k", "b": True}
    assert Setting(("a",), ["A={key}"]).is_secret and not Setting(("a",), "{origin}").is_secret


def test_paths_are_shown_as_people_write_them(home: Path) -> None:
    assert shown(home / ".claude" / "settings.json") == "~/.claude/settings.json"
    assert shown(home.parent / "x") == str(home.parent / "x")
