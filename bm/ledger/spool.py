"""The spool: requests on their way to the database, in a SQLite file, so that none is lost when either side ends.

Every request is written here first and removed when the database has it. Several processes may use the file at once:
a daemon and the one that takes over from it.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bm.ledger.database import insert, opened, storable
from bm.ledger.entry import Entry

RESERVE_MB = 256
"""Free space that a spool which grows leaves on the disk."""

_PATIENCE = 5.0
"""Seconds to wait for the other thread or process."""
_GROWN_MB = 16
"""Size from which on a spool counts as one that grows, and from which on it is made small again."""
_MEGABYTE = 1024 * 1024
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS waiting (seq INTEGER PRIMARY KEY AUTOINCREMENT, entry BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS reached (place TEXT PRIMARY KEY);
"""


class Spool:
    """The file as one thread uses it. It is opened when it is first used.

    Every call raises sqlite3.Error or OSError where the file cannot be used.
    """

    gather = 0.05
    """Seconds for which requests are gathered: what is not yet in the file, a killed process loses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def write(self, entries: Sequence[Entry], decisions: int = 0) -> None:
        """Add requests. Without any, only open the file."""
        connection = self._opened()
        if entries:
            self._check_space()
            rows = [(_encoded(entry),) for entry in entries]
            connection.execute("BEGIN IMMEDIATE")
            insert(connection, "INSERT INTO waiting (entry) VALUES", rows)
            connection.execute("COMMIT")

    def first(self, count: int) -> list[tuple[int, bytes]]:
        """The oldest requests, with the numbers by which they are removed."""
        return self._opened().execute("SELECT seq, entry FROM waiting ORDER BY seq LIMIT ?", (count,)).fetchall()

    def remove(self, numbers: Sequence[int]) -> None:
        """The database has these."""
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"DELETE FROM waiting WHERE seq IN ({', '.join(map(str, numbers))})")
        connection.execute("COMMIT")
        if self.size > _GROWN_MB * _MEGABYTE and not self.count:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def count(self) -> int:
        """How many requests wait. They are removed in the order of their numbers."""
        query = "SELECT coalesce((SELECT max(seq) FROM waiting) - (SELECT min(seq) FROM waiting) + 1, 0)"
        found: int = self._opened().execute(query).fetchone()[0]
        return found

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        found = 0
        for ending in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                found += self.path.with_name(self.path.name + ending).stat().st_size
        return found

    def has_reached(self, place: str) -> bool:
        """Whether requests from here have been written to the database at that place before."""
        found = self._opened().execute("SELECT 1 FROM reached WHERE place = ?", (place,)).fetchone()
        return found is not None

    def set_reached(self, place: str) -> None:
        self._opened().execute("INSERT OR IGNORE INTO reached VALUES (?)", (place,))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = opened(self.path, _PATIENCE, lambda made: made.executescript(_SCHEMA))
        return self._connection

    def _check_space(self) -> None:
        if self.size <= _GROWN_MB * _MEGABYTE:
            return
        if shutil.disk_usage(self.path.parent).free < RESERVE_MB * _MEGABYTE:
            raise OSError(errno.ENOSPC, f"less than {RESERVE_MB} MB are free on the disk of {self.path}")


def _encoded(entry: Entry) -> bytes:
    try:
        return msgspec.msgpack.encode(entry)
    except (UnicodeEncodeError, OverflowError):
        values = zip(Entry.__struct_fields__, storable(entry), strict=True)
        return msgspec.msgpack.encode(Entry(**dict(values)))


def decoded(entry: bytes) -> Entry:
    """A request of the spool.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return msgspec.msgpack.decode(entry, type=Entry)
