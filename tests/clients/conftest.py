"""A home folder of the test's own, with settings of tools in it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDERS = ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_CLI_HOME", "QWEN_HOME", "LLM_USER_PATH")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, which holds the working directory `project` and no other settings of tools."""
    folder = tmp_path / "home"
    (folder / "project").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.chdir(folder / "project")
    for name in FOLDERS:
        monkeypatch.delenv(name, raising=False)
    return folder
