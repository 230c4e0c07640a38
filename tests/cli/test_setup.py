"""`bm setup`, as a person uses it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bm.accounts.credentials import load, update
from bm.config.paths import Paths
from tests.cli.conftest import PLANTED, Bm
from tests.clients.conftest import home

__all__ = ["home"]


@pytest.fixture
def settings(home: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of Claude Code, with a key of the person's own in them; bm has a fixed port."""
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    file = home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text(f'{{\n  "env": {{"ANTHROPIC_AUTH_TOKEN": "{PLANTED}"}}\n}}\n')
    return file


def test_a_tool_is_led_to_bm_and_back(bm: Bm, paths: Paths, settings: Path) -> None:
    before = settings.read_text()
    ran = bm("setup", "claude")
    key = load(paths.accounts).local_key
    assert ran.code == 0
    assert '"ANTHROPIC_BASE_URL": "http://127.0.0.1:8094"' in ran.out
    assert "Claude Code now goes to http://127.0.0.1:8094" in ran.out
    assert "bm is not running (bm start)" in ran.err
    assert key in settings.read_text()
    ran_again, undone = bm("setup", "claude"), bm("setup", "claude", "--undo")
    assert ran_again.out == "Claude Code is set up already\n"
    assert "what was there before is back" in undone.out
    assert settings.read_text() == before
    assert bm("setup", "--undo").out == "bm has changed nothing of any tool\n"
    said = "".join(each.out + each.err for each in (ran, ran_again, undone))
    assert key not in said and PLANTED not in said


def test_a_dry_run_changes_nothing(bm: Bm, paths: Paths, settings: Path) -> None:
    before = settings.read_text()
    ran = bm("setup", "claude", "--dry-run")
    assert ran.out.endswith("nothing was changed (--dry-run)\n")
    assert settings.read_text() == before and not paths.clients.exists()
    bm("setup", "claude")
    after = settings.read_text()
    assert bm("setup", "claude", "--undo", "--dry-run").out.endswith("nothing was changed (--dry-run)\n")
    assert settings.read_text() == after


def test_the_list_tells_how_each_tool_stands(bm: Bm, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bm("setup", "claude")
    stands = {each["tool"]: each["state"] for each in bm("setup", "--json").json["tools"]}
    assert stands["claude"] == "yes" and stands["codex"] == "no"
    monkeypatch.setenv("BM_SERVER_PORT", "8095")
    assert bm("setup").out.splitlines()[1].split()[-2:] == ["stale", "~/.claude/settings.json"]
    assert bm("setup", "claude", "--json").json["files"] == [{"path": str(settings), "changed": True, "left": []}]
    assert "http://127.0.0.1:8095" in settings.read_text()


def test_another_key_is_put_in(bm: Bm, paths: Paths, settings: Path) -> None:
    bm("setup", "claude")
    old = load(paths.accounts).local_key
    update(paths.accounts, lambda stored: type(stored)(local_key="bm-another-key-of-the-tests"))
    assert old not in bm("setup", "claude").out
    assert "bm-another-key-of-the-tests" in settings.read_text() and old not in settings.read_text()


def test_what_the_person_has_changed_is_told(bm: Bm, settings: Path) -> None:
    bm("setup", "claude")
    settings.write_text(settings.read_text().replace("http://127.0.0.1:8094", "https://elsewhere"))
    ran = bm("setup", "--undo")
    assert "~/.claude/settings.json: env.ANTHROPIC_BASE_URL was changed since, and stays as it is" in ran.err
    assert "https://elsewhere" in settings.read_text()


def test_one_file_that_cannot_be_read_keeps_no_other_from_being_put_back(bm: Bm, settings: Path, home: Path) -> None:
    before = settings.read_text()
    bm("setup", "codex")
    bm("setup", "claude")
    config = home / ".codex" / "config.toml"
    config.write_text("[[[")
    ran = bm("setup", "--undo")
    assert ran.code == 2
    assert "codex: ~/.codex/config.toml: is not changed: it is not valid TOML" in ran.err
    assert settings.read_text() == before
    config.unlink()
    assert bm("setup", "--undo", "--json").json["tools"]["codex"]["files"][0]["changed"] is False
    assert bm("setup", "codex", "--undo").out == "codex: bm has changed nothing\n"


def test_what_would_win_is_told(bm: Bm, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CODE_USE_VERTEX", "1")
    Path(".claude").mkdir()
    Path(".claude/settings.local.json").write_text('{"env": {"ANTHROPIC_AUTH_TOKEN": "x"}}')
    said = bm("setup", "claude", "--dry-run").err
    assert "CLAUDE_CODE_USE_VERTEX is set in this shell" in said
    assert "~/project/.claude/settings.local.json: env.ANTHROPIC_AUTH_TOKEN overrides" in said


def test_a_file_that_cannot_be_changed_faithfully(bm: Bm, settings: Path) -> None:
    settings.write_text("{env: {}}")
    ran = bm("setup", "claude")
    assert ran.code == 2
    assert "not valid JSON (line 1)" in ran.err and '"ANTHROPIC_AUTH_TOKEN": "BM-KEY"' in ran.err
    assert settings.read_text() == "{env: {}}"


def test_an_unknown_tool(bm: Bm, home: Path) -> None:
    for words in (("setup", "nano"), ("setup", "nano", "--undo")):
        ran = bm(*words)
        assert ran.code == 2 and "claude, codex, gemini" in ran.err


def test_a_port_that_is_not_known_yet(bm: Bm, home: Path) -> None:
    assert bm("setup", "claude").code == 3
    bm("start")
    assert "port is free to change" in bm("setup", "claude").err


def test_the_doctor_looks_at_what_was_set_up(bm: Bm, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tools() -> list[str]:
        return [each["result"] for each in bm("doctor", "--json").json["checks"] if each["check"] == "tools"]

    assert tools() == []
    bm("setup", "claude")
    assert tools() == ["ok"]
    monkeypatch.setenv("BM_SERVER_PORT", "8095")
    assert tools() == ["warning"]
    assert "bm setup claude" in bm("doctor").out


def test_a_journal_that_cannot_be_read(bm: Bm, paths: Paths, settings: Path) -> None:
    paths.clients.write_text("{")
    assert bm("setup", "claude").code == 2
    assert os.fspath(paths.clients) in bm("doctor").out
