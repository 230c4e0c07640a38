"""Whether a tool is configured to use bm, and what would override that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bm.clients.catalog import BY_NAME
from bm.clients.journal import Journal
from bm.clients.setup import carry_out, opened, planned
from bm.clients.status import State, elsewhere, status, warnings
from tests.clients.golden import NAMES

MOVED = {**NAMES, "origin": "http://127.0.0.1:9999"}


def state(names: dict[str, str], held: Journal) -> State:
    return status(BY_NAME["gemini"], names, os.environ, held).state


def test_whether_a_tool_is_configured_for_this_bm(home: Path, tmp_path: Path) -> None:
    journal_path = tmp_path / "clients.json"
    assert state(NAMES, Journal()) == "no"
    with opened(journal_path) as held:
        carry_out(planned(BY_NAME["gemini"], NAMES, os.environ, held), held, journal_path)
    with opened(journal_path) as held:
        assert state(NAMES, held) == "yes"
        assert state(MOVED, held) == "stale"
        assert state(NAMES, Journal()) == "by hand"
        (home / ".gemini/settings.json").write_text("{")
        assert state(NAMES, held) == "stale"


def test_where_a_tool_is_installed(home: Path, tmp_path: Path) -> None:
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    found = status(BY_NAME["claude"], NAMES, {"PATH": str(tmp_path)}, Journal())
    assert Path(found.program) == program
    assert found.files == ("~/.claude/settings.json",)
    assert status(BY_NAME["codex"], NAMES, {"PATH": str(tmp_path)}, Journal()).program == ""


def warned(tool: str, folder: Path, **environ: str) -> list[str]:
    return list(warnings(BY_NAME[tool], NAMES, environ, folder))


def test_overriding_variables_are_reported(home: Path) -> None:
    project = home / "project"
    assert warned("gemini", project, GEMINI_API_KEY=NAMES["key"], GOOGLE_GEMINI_BASE_URL="") == []
    (line,) = warned("gemini", project, GEMINI_API_KEY="my-own")
    assert "GEMINI_API_KEY is set in this shell" in line and "my-own" not in line


@pytest.mark.parametrize(
    ("tool", "name", "text", "expected"),
    [
        (
            "claude",
            ".claude/settings.local.json",
            '{"env": {"ANTHROPIC_BASE_URL": "x"}}',
            "env.ANTHROPIC_BASE_URL overrides",
        ),
        ("claude", ".claude/settings.json", '{"env": {"A": "x"}}', ""),
        ("claude", ".claude/settings.json", '{"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8094"}}', ""),
        ("claude", ".claude/settings.json", "{", ""),
        (
            "codex",
            ".codex/config.toml",
            'model_provider = "x"\n[model_providers.bm]\na = 1',
            "model_providers.bm override",
        ),
        ("gemini", ".env", "A=1", "is read instead"),
        ("opencode", "opencode.json", '{"model": "x/y"}', "model overrides"),
        ("aider", ".aider.conf.yml", "set-env: [A=1]", "set-env overrides"),
    ],
)
@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_overriding_project_settings_are_reported(
    home: Path, tool: str, name: str, text: str, expected: str, below: str
) -> None:
    project = home / "project"
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text(text)
    found = warned(tool, project / below)
    assert bool(found) == bool(expected)
    assert all(expected in line and f"~/project/{name}" in line for line in found)


def test_the_tools_own_settings_are_not_an_override(home: Path) -> None:
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").write_text('{"env": {"ANTHROPIC_BASE_URL": "x"}}')
    assert warned("claude", home) == []
    (home / ".qwen").mkdir()
    (home / ".qwen/settings.json").write_text('{"modelProviders": {"openai": []}}')
    assert "modelProviders.openai overrides" in warned("qwen", home)[0]


def test_only_some_files_override_a_run(home: Path) -> None:
    project = home / "project"
    (project / ".gemini").mkdir()
    (project / ".gemini/settings.json").write_text('{"security": {"auth": {"selectedType": "oauth-personal"}}}')
    (project / ".env").write_text("A=1")
    found = list(warnings(BY_NAME["gemini"], NAMES, {"GEMINI_API_KEY": "mine"}, project, run=True))
    assert len(found) == 1 and "security.auth.selectedType overrides" in found[0]
    (project / ".env").write_text("GEMINI_API_KEY=mine")
    assert warned("aider", project) == []
    assert "GEMINI_API_KEY overrides" in next(iter(warnings(BY_NAME["aider"], NAMES, {}, project, run=True)))


def test_settings_that_name_another_service(home: Path) -> None:
    claude = BY_NAME["claude"]
    assert elsewhere(claude, {}) == ""
    assert elsewhere(claude, {"CLAUDE_CODE_USE_VERTEX": "1"}) == "CLAUDE_CODE_USE_VERTEX in this shell"
    settings = home / ".claude/settings.json"
    settings.parent.mkdir()
    settings.write_text('{"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}')
    assert elsewhere(claude, {}) == "env.CLAUDE_CODE_USE_BEDROCK in ~/.claude/settings.json"
    with opened(home / "clients.json") as held:
        carry_out(planned(claude, NAMES, {}, held), held, home / "clients.json")
    assert elsewhere(claude, {}) == ""
    settings.write_text("{")
    assert elsewhere(claude, {}) == ""


@pytest.mark.parametrize(
    ("text", "reported"), [("{}", False), ('{"a": 1}', False), ("{} // mine", True), ('{"a": 1,}', True)]
)
def test_comments_that_the_tool_does_not_read_are_reported(home: Path, text: str, reported: bool) -> None:
    file = home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text(text)
    found = [each for each in warnings(BY_NAME["claude"], NAMES, {}, home) if "comments" in each]
    assert bool(found) == reported


def test_an_extension_of_vs_code_counts_as_installed(home: Path) -> None:
    assert status(BY_NAME["roo"], NAMES, {}, Journal()).program == ""
    folder = home / ".vscode" / "extensions" / "rooveterinaryinc.roo-cline-3.50.0"
    folder.mkdir(parents=True)
    assert status(BY_NAME["roo"], NAMES, {}, Journal()).program == str(folder)


def test_settings_of_vs_code_matter_only_where_it_is(home: Path) -> None:
    assert len(status(BY_NAME["claude"], NAMES, {}, Journal()).files) == 1
    (home / ".config" / "Code" / "User").mkdir(parents=True)
    assert len(status(BY_NAME["claude"], NAMES, {}, Journal()).files) == 2
