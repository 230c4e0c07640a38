"""Atomic writes, locks between threads and processes, and stamps that show every kind of edit."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bm.config.files import (
    ABSENT,
    LockTimeout,
    locked,
    make_private_folder,
    stamp,
    sweep,
    writable_by_others,
    write_private,
)
from bm.errors import BmError

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_content_and_mode_are_written(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_private(path, b"new\r\n", mode)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new\r\n", mode)
    assert names(tmp_path) == ["file"]


@posix
def test_a_new_file_is_private(tmp_path: Path) -> None:
    write_private(tmp_path / "file", b"new")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


@posix
def test_a_symlink_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    target, link = tmp_path / "dotfiles" / "real", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(Path("dotfiles", "real"))
    write_private(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(tmp_path / "dotfiles") == ["real"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left") as caught:
        write_private(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_private(tmp_path / "none" / "file", b"new")


HOLD = """
import sys
from pathlib import Path
from bm.config.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_elsewhere(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_lock_times_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path), pytest.raises(LockTimeout) as caught, locked(path, timeout=0.05):
        pytest.fail("locked twice")
    assert str(caught.value) == f"{path}: held by another bm process"
    assert isinstance(caught.value, BmError)


def test_the_lock_is_released_after_the_block_and_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), locked(path):
        raise ZeroDivisionError
    with locked(path, timeout=0):
        pass
    with locked(path, timeout=0):
        pass


def test_a_lock_of_another_process_is_released_when_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold_elsewhere(path) as other:
        with pytest.raises(LockTimeout), locked(path, timeout=0):
            pytest.fail("locked twice")
        other.kill()
        other.wait()
    with locked(path, timeout=5):
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_lock_file_is_private(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


def edit_in_place(path: Path) -> None:
    path.write_text("longer than before")


def edit_with_the_same_size(path: Path) -> None:
    path.write_text("abd")
    os.utime(path, ns=(1, 1))


def replace_with_the_same_time_and_size(path: Path) -> None:
    before = path.stat()
    write_private(path, b"abd")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("edit", [edit_in_place, edit_with_the_same_size, replace_with_the_same_time_and_size, remove])
def test_an_edit_changes_the_stamp(tmp_path: Path, edit: Callable[[Path], None]) -> None:
    path = tmp_path / "file"
    path.write_text("abc")
    before = stamp(path)
    assert stamp(path) == before
    edit(path)
    assert stamp(path) != before


def test_a_new_file_changes_the_stamp(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    assert stamp(path) == ABSENT
    path.parent.mkdir()
    path.touch()
    assert stamp(path) != ABSENT


def test_a_removed_file_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.unlink()
    assert stamp(path) == ABSENT


@pytest.mark.skipif(os.name == "nt", reason="symlinks need a privilege on Windows")
def test_a_new_target_of_a_symlink_changes_the_stamp(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("abc")
        os.utime(tmp_path / name, ns=(1, 1))
    link = tmp_path / "link"
    link.symlink_to("one")
    before = stamp(link)
    link.unlink()
    link.symlink_to("two")
    assert stamp(link) != before


@posix
def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_private_folder(tmp_path / "file")


def test_temporary_files_of_interrupted_writes_are_swept(tmp_path: Path) -> None:
    for name in (".accounts.toml.x1.tmp", ".other.toml.x1.tmp", "accounts.toml"):
        (tmp_path / name).write_text("key")
    sweep(tmp_path / "accounts.toml")
    assert sorted(each.name for each in tmp_path.iterdir()) == [".other.toml.x1.tmp", "accounts.toml"]
    sweep(tmp_path / "other.toml", age=60)
    assert (tmp_path / ".other.toml.x1.tmp").exists()
    os.utime(tmp_path / ".other.toml.x1.tmp", (1, 1))
    sweep(tmp_path / "other.toml", age=60)
    assert not (tmp_path / ".other.toml.x1.tmp").exists()


def test_a_file_that_cannot_be_replaced_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(self: Path, target: Path) -> Path:
        raise OSError(errno.EBUSY, "Device or resource busy")

    path = tmp_path / "config.toml"
    path.write_text("old")
    inode = path.stat().st_ino
    monkeypatch.setattr(Path, "replace", busy)
    write_private(path, b"new")
    assert (path.read_text(), path.stat().st_ino) == ("new", inode)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "refused"),
    [
        (0o600, 0o700, False),
        (0o644, 0o755, False),
        (0o664, 0o775, False),
        (0o666, 0o700, True),
        (0o602, 0o700, True),
        (0o600, 0o777, True),
        (0o600, 0o1777, False),
    ],
)
def test_files_that_others_can_write(tmp_path: Path, file_mode: int, folder_mode: int, refused: bool) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    path = folder / "config.toml"
    path.touch()
    path.chmod(file_mode)
    folder.chmod(folder_mode)
    danger = writable_by_others(path)
    assert bool(danger) is refused
    assert not refused or "chmod go-w" in danger


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX owners")
def test_files_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    path.touch(0o600)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    found = writable_by_others(path)
    assert ("another user" in found) is (path.stat().st_uid != 0)


def test_a_missing_file_is_no_danger(tmp_path: Path) -> None:
    assert writable_by_others(tmp_path / "none.toml") == ""
