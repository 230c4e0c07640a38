"""Signatures on disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bm.chat.signature import Signature
from bm.config.paths import Paths, make_folders
from bm.gateway.services import Services
from bm.gateway.settings import read_settings
from bm.gateway.signatures import Kept
from bm.server import signature_file
from bm.server.memory import Memory
from bm.server.signature_file import append, read, rewrite, signatures_path

ONE = Kept("one", Signature("gemini", "c2ln", "gemini"))
TWO = Kept("two", Signature("anthropic", "EqQB"))


def test_what_was_added_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "signatures.jsonl"
    assert list(read(path)) == []
    append(path, [ONE])
    size = append(path, [TWO])
    assert list(read(path)) == [ONE, TWO] and size == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_that_a_crash_cut_short_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "signatures.jsonl"
    append(path, [ONE, TWO])
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"\n" + whole)
    assert list(read(path)) == [ONE, ONE, TWO]


def test_rewriting_leaves_what_is_given(tmp_path: Path) -> None:
    path = tmp_path / "signatures.jsonl"
    append(path, [ONE, ONE, ONE])
    rewrite(path, [TWO])
    assert list(read(path)) == [TWO]


async def test_signatures_survive_a_restart_within_bounds(bm_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths.under(bm_home)
    make_folders(paths)
    settings = read_settings(paths)
    first, second = Services(settings), Services(settings)
    try:
        first.signatures.keep({"one": ONE.signature})
        memory = Memory(paths, first)
        await memory.write()
        monkeypatch.setattr(signature_file, "MAX_BYTES", 10)
        first.signatures.keep({"two": TWO.signature})
        await memory.write()
        assert list(read(signatures_path(paths))) == [TWO], "the younger half of what fits"
        Memory(paths, second).recall()
        assert second.signatures.latest(100) == [TWO]
    finally:
        await first.close()
        await second.close()
