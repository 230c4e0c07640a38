"""A lock that processes share: at most one holder of a lock file at a time, released by the system on a crash."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bm.errors import BmError

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
