"""Notice that a file was edited, replaced, made or removed, by looking at it again and again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


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
