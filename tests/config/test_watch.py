"""Every way in which a file changes is noticed; looking alone is no change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bm.config.atomic import write_private
from bm.config.watch import ABSENT, changed, stamp


def in_place(path: Path) -> None:
    path.write_text("longer than before")


def same_size(path: Path) -> None:
    path.write_text("abd")
    os.utime(path, ns=(1, 1))


def by_replacement_with_the_same_time_and_size(path: Path) -> None:
    before = path.stat()
    write_private(path, b"abd")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def away(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("edit", [in_place, same_size, by_replacement_with_the_same_time_and_size, away])
def test_an_edit_is_noticed_once(tmp_path: Path, edit: Callable[[Path], None]) -> None:
    path = tmp_path / "file"
    path.write_text("abc")
    before = stamp(path)
    assert changed(path, before) is None
    edit(path)
    after = changed(path, before)
    assert after is not None
    assert changed(path, after) is None


def test_a_file_that_appears_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    assert stamp(path) == ABSENT
    path.parent.mkdir()
    path.touch()
    assert changed(path, ABSENT) == stamp(path) != ABSENT


def test_a_file_that_vanishes_becomes_absent(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    before = stamp(path)
    path.unlink()
    assert changed(path, before) == ABSENT


@pytest.mark.skipif(os.name == "nt", reason="symlinks need a privilege on Windows")
def test_a_symlink_that_is_turned_elsewhere_is_noticed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("abc")
        os.utime(tmp_path / name, ns=(1, 1))
    link = tmp_path / "link"
    link.symlink_to("one")
    before = stamp(link)
    link.unlink()
    link.symlink_to("two")
    assert changed(link, before) is not None
