"""Each tool's settings: what goes into its files, and that everything comes out again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bm.clients.catalog import TOOLS
from bm.clients.setup import carry_out, opened, planned, undone
from tests.clients import golden
from tests.clients.golden import NAMES


def files(home: Path) -> dict[str, str]:
    """Every file below the home folder."""
    return {file.relative_to(home).as_posix(): file.read_bytes().decode() for file in home.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", golden.names())
def test_settings_are_added_and_removed(name: str, home: Path, tmp_path: Path) -> None:
    case = golden.read(name)
    for path, text in case.before.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(text.encode())
    (tool,) = [each for each in TOOLS if each.name == case.tool]
    for _ in range(2):
        with opened(tmp_path / "clients.json") as held:
            carry_out(planned(tool, NAMES, os.environ, held), held, tmp_path / "clients.json")
        assert files(home) == case.after
    with opened(tmp_path / "clients.json") as held:
        carry_out(undone(held.records), held, tmp_path / "clients.json")
    assert files(home) == case.before
    assert not (tmp_path / "clients.json").exists()


def test_every_tool_has_a_golden_file() -> None:
    assert {golden.read(name).tool for name in golden.names()} == {tool.name for tool in TOOLS}


def test_no_key_is_on_a_command_line() -> None:
    assert [tool.name for tool in TOOLS if any("{key}" in word for word in tool.arguments)] == []
