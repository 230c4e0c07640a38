"""The journal is read back as it was written, and goes when nothing is left to undo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bm.clients.change import Put
from bm.clients.journal import Journal, Record, load, save
from bm.errors import ConfigError


def record(path: Path, tool: str = "claude") -> Record:
    put = Put(key=("env", "A"), ours=('"x"', None), before=None, depth=1)
    return Record(
        tool=tool,
        path=path,
        format="json",
        before=None,
        after="{}\r\n",
        mode=None,
        set_mode=0o600,
        folders=(path.parent,),
        puts=(put,),
    )


def test_a_saved_journal_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "clients.json"
    assert load(file) == Journal()
    held = Journal().replaced(tmp_path / "a", record(tmp_path / "a"))
    save(file, held)
    assert load(file) == held
    assert os.name == "nt" or file.stat().st_mode & 0o777 == 0o600
    save(file, held.replaced(tmp_path / "a", None))
    assert not file.exists()


def test_records_are_found_by_tool_and_by_file(tmp_path: Path) -> None:
    first, second = record(tmp_path / "a"), record(tmp_path / "b", "codex")
    held = Journal(records=(first, second))
    assert held.of("codex") == (second,)
    assert held.find(tmp_path / "a") == first
    assert held.find(tmp_path / "c") is None
    assert held.replaced(tmp_path / "b", first).of("codex") == ()


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"records": [{}]}'])
def test_a_journal_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "clients.json"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"clients\.json"):
        load(file)
