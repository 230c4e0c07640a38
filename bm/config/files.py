"""Write a file so that a reader, or a crash at any instant, finds either the old one or the new one, whole."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple

from bm.errors import BmError


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace the content of `path` by `data` and give the file `mode`; a symlink's target is replaced, not the link.

    The folder must exist. On Windows the folder's own permissions apply instead of `mode`.

    Raises:
        OSError: it cannot be written; the old file is untouched and nothing is left behind.
    """
    target = Path(os.path.realpath(path))
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if sys.platform != "win32":
            temporary.chmod(mode)
        _replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        # A full disk is told of without the file's name.
        if isinstance(error, OSError) and not error.filename:
            error.filename = str(target)
        raise
    _sync_folder(target.parent)


if sys.platform == "win32":

    def _replace(source: Path, target: Path) -> None:
        # Windows refuses while somebody has the target open; readers of these files are brief.
        for _ in range(25):
            try:
                source.replace(target)
            except PermissionError:
                time.sleep(0.02)
            else:
                return
        source.replace(target)

    def _sync_folder(folder: Path) -> None:
        """Windows cannot open folders; its rename is journalled."""
else:

    def _replace(source: Path, target: Path) -> None:
        source.replace(target)

    def _sync_folder(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_private_folder(folder: Path) -> None:
    """Create `folder` and its missing parents with mode 0700; an existing folder keeps its mode.

    `Path.mkdir(parents=True, mode=…)` would give the mode to the last one only.

    Raises:
        OSError: it cannot be created, or a file is in its place.
    """
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for part in reversed(missing):
        part.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path) -> BufferedWriter:
    """Open a file at its end; a new one is its owner's alone.

    Raises:
        OSError: it cannot be opened.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


POLL = 0.02
"""Seconds between two tries; blocking calls would have no timeout."""


class LockTimeout(BmError):
    """Another process, or another part of this one, kept the lock for longer than the caller would wait."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: held by another bm process")


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def locked(path: Path, timeout: float = 10.0) -> Iterator[None]:
    """Hold the lock file `path`, made when absent, for the length of the block; 0 seconds = one try.

    The file stays when the lock is released: removing it would let two holders lock two different files of one
    name. The lock is not inherited by child processes.

    Raises:
        LockTimeout: it was not free within `timeout` seconds.
        OSError: the file cannot be opened.
    """
    deadline = time.monotonic() + timeout
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise LockTimeout(path)
            time.sleep(POLL)
        try:
            yield
        finally:
            _unlock(descriptor)
    finally:
        os.close(descriptor)


class Stamp(NamedTuple):
    """What tells one state of a file from the next. Editors that write a new file change the inode."""

    mtime_ns: int
    size: int
    inode: int


ABSENT = Stamp(0, -1, 0)
"""The stamp of a file that does not exist or cannot be looked at."""


def stamp(path: Path) -> Stamp:
    """The file's present state, a symlink's target included."""
    try:
        status = path.stat()
    except OSError:
        return ABSENT
    return Stamp(status.st_mtime_ns, status.st_size, status.st_ino)


def changed(path: Path, previous: Stamp) -> Stamp | None:
    """The new stamp when it differs from `previous`, else None.

    Take the stamp before reading the file: an edit in between is then noticed at the next look.
    """
    present = stamp(path)
    return present if present != previous else None
