"""The outline is made once, and anew when bm changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bm.cli import outline


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "folder" / "outline.json"
    monkeypatch.setattr(outline, "_kept", lambda: path)
    return path


def loaded(made: dict[str, Any]) -> dict[str, Any]:
    outline.load(lambda: made)
    return outline.known()


MADE = {"tools": ["claude"]}


def test_it_is_kept_until_bm_changes(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(MADE)["tools"] == ["claude"]
    assert json.loads(kept.read_text())["tools"] == ["claude"]
    assert loaded({"tools": ["codex"]})["tools"] == ["claude"]
    monkeypatch.setattr(outline, "_latest_change", lambda: ["later"])
    assert loaded({"tools": ["codex"]})["tools"] == ["codex"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_one_is_made_anew(kept: Path, content: str) -> None:
    kept.parent.mkdir()
    kept.write_text(content)
    assert loaded(MADE)["tools"] == ["claude"]


def test_completion_works_where_nothing_can_be_kept(kept: Path) -> None:
    kept.parent.write_text("not a folder")
    assert loaded(MADE)["tools"] == ["claude"]
