"""Files that bm owns: atomic writes, private permissions, locks between processes and change detection."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple

from bm.errors import AccountError, BmError


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace the content of `path` with `data`, atomically; a crash leaves either the old or the new content.

    A symlink's target is replaced, not the link. The folder must exist. On Windows the folder's permissions apply
    instead of `mode`.

    Raises:
        OSError: it cannot be written. The old file is untouched and no temporary file remains.
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
        try:
            _replace(temporary, target)
        except OSError as error:
            # A file that is mounted by itself, as into a container, cannot be replaced.
            if error.errno not in (errno.EBUSY, errno.EXDEV):
                raise
            target.write_bytes(data)
            temporary.unlink()
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        # "No space left on device" comes without a file name.
        if isinstance(error, OSError) and not error.filename:
            error.filename = str(target)
        raise
    _sync_folder(target.parent)


if sys.platform == "win32":

    def _replace(source: Path, target: Path) -> None:
        # Windows refuses while another process has the target open; readers close these files quickly.
        for _ in range(25):
            try:
                source.replace(target)
            except PermissionError:
                time.sleep(0.02)
            else:
                return
        source.replace(target)

    def _sync_folder(folder: Path) -> None:
        """Windows cannot open folders; its renames are journalled."""
else:

    def _replace(source: Path, target: Path) -> None:
        source.replace(target)

    def _sync_folder(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(path: Path, age: float = 0.0) -> None:
    """Remove the temporary files that interrupted writes of `path` have left, if they are `age` seconds old. Without an
    age no other process may be writing it."""
    target = Path(os.path.realpath(path))
    for left in target.parent.glob(f".{target.name}.*.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime >= age:
                left.unlink()


if sys.platform == "win32":

    def writable_by_others(path: Path) -> str:
        """Windows protects the folders of a user by access lists."""
        return ""
else:

    def writable_by_others(path: Path) -> str:
        """Why other users could change the file, with the remedy; empty if they cannot, or there is no file.

        Root may use files of others, as it does in containers. Users' own groups have one member.
        """
        target = Path(os.path.realpath(path))
        for place, sticky in ((target, 0), (target.parent, stat.S_ISVTX)):
            try:
                status = place.stat()
            except OSError:
                continue
            mode = stat.S_IMODE(status.st_mode)
            if status.st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
                return f"belongs to another user, who could make bm run commands (chown {place})"
            foreign_group = status.st_gid not in (0, os.getegid())
            if (mode & stat.S_IWOTH or (mode & stat.S_IWGRP and foreign_group)) and not mode & sticky:
                return f"others can write to {place} (mode {mode:o}) and make bm run commands: chmod go-w {place}"
        return ""


def tighten(path: Path) -> tuple[str, ...]:
    """Make a file its owner's alone that holds what others must not read or write. Returns a warning if it was not."""
    if sys.platform == "win32" or not path.exists():
        return ()
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return ()
    try:
        path.chmod(0o600)
    except OSError as error:
        return (f"{path}: others may read or write it (mode {mode:o}), which cannot be changed: {error.strerror}",)
    return (f"{path}: others could read or write it (mode {mode:o}); it is its owner's alone now (600)",)


def make_private_folder(folder: Path) -> None:
    """Create `folder` and its missing parents with mode 0700. An existing folder keeps its mode.

    `Path.mkdir(parents=True, mode=…)` applies the mode to the last folder only.

    Raises:
        OSError: it cannot be created, or is a file.
    """
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for part in reversed(missing):
        part.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path) -> BufferedWriter:
    """Open a file for appending; a new one gets mode 0600.

    Raises:
        OSError: it cannot be opened.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


POLL = 0.02
"""Seconds between two attempts to lock. A blocking lock call has no timeout."""


class LockTimeout(BmError):
    """The lock was held by another process, or another part of this one, for longer than the timeout."""

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


def lock_of(path: Path) -> Path:
    """The file that is locked while bm changes one of its own files."""
    real = Path(os.path.realpath(path))
    return real.with_name(f"{real.name}.lock")


@contextmanager
def locked(path: Path, timeout: float = 10.0) -> Iterator[int]:
    """Hold an exclusive lock on the file `path` within the block. A `timeout` of 0 tries once.

    Gives the descriptor, which another process may be handed to hold the lock as well. The system releases the lock if
    the process dies. Child processes do not inherit it. The file is created when missing and never removed: two
    processes could then lock two different files of that name.

    Raises:
        LockTimeout: the lock was not free within `timeout` seconds.
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
            yield descriptor
        finally:
            _unlock(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def changing(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock of one of bm's own files, whose folder is created when missing, while the block changes it.

    Raises:
        AccountError: the file cannot be written.
        LockTimeout: another process holds the lock for longer than `patience` seconds.
    """
    try:
        make_private_folder(path.parent)
        with locked(lock_of(path), patience):
            yield
    except OSError as error:
        raise AccountError(f"{path}: cannot be written: {error.strerror}") from error


def is_held(path: Path) -> bool:
    """Whether the lock on the file `path` is held. A file that is missing or cannot be opened is not locked."""
    if not path.exists():
        return False
    try:
        with locked(path, timeout=0):
            return False
    except LockTimeout:
        return True
    except OSError:
        return False


@contextmanager
def inherited(descriptor: int) -> Iterator[int]:
    """Hold the lock whose descriptor another process has handed over within the block. It is released when neither of
    them has it open any more."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def lend_lock(descriptor: int) -> int:
    """A duplicate of a lock's descriptor for another process. Until `take_back_lock` the end of the block does not
    release the lock; closing the duplicate does, unless the other process holds it."""
    lent = os.dup(descriptor)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)
    return lent


def take_back_lock(descriptor: int, lent: int) -> None:
    """Undo `lend_lock`."""
    os.dup2(lent, descriptor, inheritable=False)
    os.close(lent)


class Stamp(NamedTuple):
    """Identifies one version of a file. Editors that write a new file and rename it change the inode."""

    mtime_ns: int
    size: int
    inode: int


ABSENT = Stamp(0, -1, 0)
"""The stamp of a file that does not exist or cannot be read."""


def stamp(path: Path) -> Stamp:
    """The stamp of the file, or of the target of a symlink.

    Take the stamp before reading the file, so that an edit in between shows up in the next comparison.
    """
    try:
        status = path.stat()
    except OSError:
        return ABSENT
    return Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
