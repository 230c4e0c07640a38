"""The SQLite file of the ledger: its schema, migrations, what is written to it, and what happens when it is damaged."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from bm.config.files import make_private_folder
from bm.ledger.entry import COLUMNS, LARGEST, Entry

BUSY = 0.25
"""Seconds to wait while another process holds the file's lock."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE requests (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        at REAL NOT NULL,
        protocol TEXT NOT NULL,
        operation TEXT NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        account TEXT NOT NULL,
        upstream_model TEXT NOT NULL,
        stream INTEGER NOT NULL,
        status INTEGER NOT NULL,
        finish TEXT NOT NULL,
        failure TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        first_content REAL,
        took REAL NOT NULL,
        input INTEGER NOT NULL,
        cache_read INTEGER NOT NULL,
        cache_write INTEGER NOT NULL,
        output INTEGER NOT NULL,
        thinking INTEGER NOT NULL,
        cost REAL,
        passed_through INTEGER NOT NULL,
        dropped TEXT NOT NULL
    );
    CREATE INDEX requests_at ON requests (at);
    CREATE TABLE decisions (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, document BLOB NOT NULL);
    """,
    # Version 2 renamed members of the documents.
    """
    UPDATE decisions SET document = CAST(replace(replace(replace(CAST(document AS TEXT),
        '"booked":', '"effect":'), '"rests":', '"cooldown":'), '"seams":', '"continuations":') AS BLOB);
    """,
    # Until version 3 there was one key.
    "ALTER TABLE requests ADD COLUMN key TEXT NOT NULL DEFAULT 'main'",
    "ALTER TABLE requests ADD COLUMN tool TEXT NOT NULL DEFAULT ''",
    # Kept by a trigger, which also counts what a daemon of an earlier version writes while it hands over.
    """
    CREATE TABLE totals (
        day TEXT NOT NULL,
        provider TEXT NOT NULL,
        account TEXT NOT NULL,
        upstream_model TEXT NOT NULL,
        key TEXT NOT NULL,
        tool TEXT NOT NULL,
        requests INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        input INTEGER NOT NULL,
        cache_read INTEGER NOT NULL,
        cache_write INTEGER NOT NULL,
        output INTEGER NOT NULL,
        thinking INTEGER NOT NULL,
        cost REAL,
        unpriced INTEGER NOT NULL,
        PRIMARY KEY (day, provider, account, upstream_model, key, tool)
    ) WITHOUT ROWID;
    INSERT INTO totals
        SELECT strftime('%Y-%m-%d', at, 'unixepoch', 'localtime') AS day, provider, account, upstream_model, key, tool,
            count(*), sum(failure <> ''), sum(input), sum(cache_read), sum(cache_write), sum(output), sum(thinking),
            sum(cost), sum(cost IS NULL AND input + cache_read + cache_write + output > 0)
        FROM requests GROUP BY day, provider, account, upstream_model, key, tool;
    CREATE TRIGGER requests_total AFTER INSERT ON requests BEGIN
        INSERT INTO totals VALUES (
            strftime('%Y-%m-%d', new.at, 'unixepoch', 'localtime'), new.provider, new.account, new.upstream_model,
            new.key, new.tool, 1, new.failure <> '', new.input, new.cache_read, new.cache_write, new.output,
            new.thinking, new.cost,
            new.cost IS NULL AND new.input + new.cache_read + new.cache_write + new.output > 0
        ) ON CONFLICT DO UPDATE SET
            requests = requests + 1, failures = failures + excluded.failures, input = input + excluded.input,
            cache_read = cache_read + excluded.cache_read, cache_write = cache_write + excluded.cache_write,
            output = output + excluded.output, thinking = thinking + excluded.thinking,
            cost = CASE WHEN excluded.cost IS NULL THEN cost ELSE coalesce(cost, 0) + excluded.cost END,
            unpriced = unpriced + excluded.unpriced;
    END;
    """,
)
"""Scripts from one schema version to the next; `PRAGMA user_version` is the number applied."""

KEEP_DAYS = 400
DAY = 86_400.0

_INSERT = f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES"
_DECIDE = "INSERT OR REPLACE INTO decisions (id, document) VALUES"

_connecting = threading.Lock()
"""A new file has no connections yet."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY = 0xFF
"""The lowest byte of an extended result code is the primary code (sqlite.org/rescode.html)."""


class LedgerFile:
    """The file as the writer's thread uses it. It is opened when it is first written."""

    gather = 0.1
    """Seconds for which requests are gathered into one transaction, which costs more than serving a request."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def write(self, entries: Sequence[Entry], decisions: int) -> None:
        """Write requests in one transaction, and keep so many decisions. Without requests, only open the file.

        Raises:
            sqlite3.Error, OSError: as of `open_ledger`.
        """
        if self._connection is None:
            self._connection = open_ledger(self.path)
            oldest = (time.time() - KEEP_DAYS * DAY,)
            self._connection.execute("DELETE FROM requests WHERE at < ?", oldest)
            self._connection.execute(
                "DELETE FROM totals WHERE day < strftime('%Y-%m-%d', ?, 'unixepoch', 'localtime')", oldest
            )
        if not entries:
            return
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        rows = [storable(entry) for entry in entries]
        insert(self._connection, _INSERT, [row[:-1] for row in rows])
        insert(self._connection, _DECIDE, [(row[0], row[-1]) for row in rows])
        run("DELETE FROM decisions WHERE seq <= (SELECT max(seq) FROM decisions) - ?", (decisions,))
        run("COMMIT")

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def insert(connection: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows by few statements; `statement` ends in VALUES.

    `executemany` gives up the interpreter for each row, and in a busy daemon waits 5 ms until it has it again
    (`sys.setswitchinterval`): then 200 rows a second were written while 2,000 requests arrived. The numbers of rows are
    powers of two, so that SQLite knows the statements.

    Raises:
        sqlite3.Error: they cannot be written.
    """
    at = 0
    while at < len(rows):
        most = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(rows[at])
        count = 1 << (min(most, len(rows) - at).bit_length() - 1)
        values = f"({', '.join('?' * len(rows[at]))})"
        connection.execute(f"{statement} {', '.join([values] * count)}", [*chain.from_iterable(rows[at : at + count])])
        at += count


def storable(entry: Entry) -> list[Any]:
    """The values of an entry as a database takes them: counts may exceed 64 bits, texts may hold lone surrogates."""
    return [_storable(value) for value in msgspec.structs.astuple(entry)]


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return max(-LARGEST, min(value, LARGEST)) if isinstance(value, int) else value


def open_ledger(path: Path, migrations: Sequence[str] = MIGRATIONS) -> sqlite3.Connection:
    """Open the file for writing, with explicit transactions. Creates or migrates it when needed.

    Raises:
        sqlite3.Error: it cannot be opened or written now, is damaged (see `is_damage`), or is from a newer bm.
        OSError: the file or its folder cannot be created.
    """
    return opened(path, BUSY, lambda connection: _migrate(connection, migrations))


def opened(path: Path, timeout: float, make_tables: Callable[[sqlite3.Connection], object]) -> sqlite3.Connection:
    """A connection to a private file that is written, which is made if there is none.

    An existing file is opened by SQLite alone: to close any descriptor of a file takes away the locks that the process
    has on it, and with them what keeps other connections from damaging it (sqlite.org/howtocorrupt.html, 2.2).

    Raises:
        sqlite3.Error, OSError: it cannot be made or opened, or `make_tables` raised it.
    """
    make_private_folder(path.parent)
    with _connecting:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # With WAL this survives a crash of the process at any time; only a power failure can lose the latest rows.
        connection.execute("PRAGMA synchronous = NORMAL")
        make_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise sqlite3.OperationalError("it was written by a newer version of bm")
    for number, script in enumerate(migrations[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT")


def primary_code(error: BaseException) -> int:
    """The primary result code of an error of SQLite; 0 for other errors."""
    return int(getattr(error, "sqlite_errorcode", 0)) & _PRIMARY


def is_damage(error: BaseException) -> bool:
    """Whether an error means that the file is not a database, or is corrupt."""
    return primary_code(error) in _DAMAGED


def move_aside(path: Path) -> Path:
    """Rename a damaged file together with its `-wal` and `-shm` files; returns the new path.

    Raises:
        OSError: it cannot be renamed.
    """
    moved = path.with_name(f"{path.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}{path.suffix}")
    for ending in ("-wal", "-shm"):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.replace(moved.with_name(moved.name + ending))
    path.replace(moved)
    return moved
