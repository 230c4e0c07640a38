"""Writes the ledger in its own thread, so that a full disk or a locked file never delays a request."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from bm.ledger.database import is_damage, move_aside, open_ledger
from bm.ledger.entry import COLUMNS, Entry
from bm.tasks import report

CAPACITY = 2_000
"""Requests queued while the file cannot be written; further ones are dropped."""

RETRY = 2.0
"""Seconds between attempts to write."""

GATHER = 0.1
"""Seconds for which requests are gathered into one transaction, which costs more than serving a request."""

KEEP_DAYS = 400

_BATCH = 200
_LARGEST = 2**63 - 1
_DAY = 86_400.0
_INSERT = f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_DECIDE = "INSERT OR REPLACE INTO decisions (id, document) VALUES (?, ?)"

_log = logging.getLogger("bm.ledger")


class Ledger:
    """The writer. `decisions` is the number of requests kept for `bm why`.

    `written` and `dropped` count requests since the start. `problem` says why the file cannot be written; it is empty
    while it can.
    """

    def __init__(self, path: Path, *, decisions: int, capacity: int = CAPACITY, retry: float = RETRY) -> None:
        self.path, self.decisions = path, decisions
        self.written = self.dropped = 0
        self.problem = ""
        self._capacity, self._retry = capacity, retry
        self._waiting: deque[Callable[[], Entry]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._flushing = 0
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def put(self, entry: Callable[[], Entry]) -> None:
        """Queue a request. Never blocks or fails; `entry` is called in the writer's thread."""
        with self._changed:
            if len(self._waiting) >= self._capacity:
                self.dropped += 1
                return
            self._waiting.append(entry)
            if len(self._waiting) in (1, _BATCH):
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds, or until writing fails; returns whether everything is written."""
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting or bool(self.problem), timeout)
            self._flushing -= 1
            return not self._waiting

    def stop(self, timeout: float = 8.0) -> None:
        """Write what is queued and end, within `timeout` seconds. Does not wait for a file that cannot be written."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout)
        if self._waiting:
            _log.warning("%d requests are missing from the ledger: %s", len(self._waiting), self.problem or "no time")

    def _run(self) -> None:
        """The thread: open the file, then write what is queued."""
        self._attempt(())
        while (batch := self._next()) is not None:
            if self._attempt(batch):
                self._done(len(batch))
        self._close()

    def _next(self) -> Sequence[Callable[[], Entry]] | None:
        """The next requests to write; empty to retry opening the file, None to end."""
        with self._changed:
            if self.problem:
                self._changed.wait_for(lambda: self._stopping, self._retry)
            else:
                self._changed.wait_for(lambda: self._stopping or bool(self._waiting))
                self._changed.wait_for(self._is_due, GATHER)
            if self._stopping and (self.problem or not self._waiting):
                return None
            return list(islice(self._waiting, _BATCH))

    def _is_due(self) -> bool:
        """Whether to write now instead of gathering more requests."""
        return self._stopping or self._flushing > 0 or len(self._waiting) >= _BATCH

    def _done(self, count: int) -> None:
        with self._changed:
            for _ in range(count):
                self._waiting.popleft()
            self._changed.notify_all()

    def _attempt(self, batch: Sequence[Callable[[], Entry]]) -> bool:
        """Write a batch if possible; returns whether it is done with, written or not."""
        try:
            written = self._write(batch)
        except Exception as error:  # noqa: BLE001 - the thread must not end
            self._close()
            if is_damage(error):
                return self._start_anew(error) and self._attempt(batch)
            if isinstance(error, sqlite3.OperationalError | OSError):
                self._fail(error)
                return False
            report("writing the ledger", error, f", {len(batch)} requests are missing from it")
            written = 0
        if self.problem:
            _log.info("%s is written again; %d requests are missing from it", self.path, self.dropped)
            self.problem = ""
        self.written += written
        self.dropped += len(batch) - written
        return True

    def _write(self, batch: Sequence[Callable[[], Entry]]) -> int:
        """Write the batch in one transaction; returns the number of rows."""
        if self._connection is None:
            self._connection = open_ledger(self.path)
            oldest = (time.time() - KEEP_DAYS * _DAY,)
            self._connection.execute("DELETE FROM requests WHERE at < ?", oldest)
            self._connection.execute(
                "DELETE FROM totals WHERE day < strftime('%Y-%m-%d', ?, 'unixepoch', 'localtime')", oldest
            )
        entries = _made(batch)
        if not entries:
            return 0
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        rows = [[_storable(value) for value in msgspec.structs.astuple(entry)] for entry in entries]
        self._connection.executemany(_INSERT, [row[:-1] for row in rows])
        self._connection.executemany(_DECIDE, [(row[0], row[-1]) for row in rows])
        run("DELETE FROM decisions WHERE seq <= (SELECT max(seq) FROM decisions) - ?", (self.decisions,))
        run("COMMIT")
        return len(entries)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _start_anew(self, error: Exception) -> bool:
        """Move a damaged file aside; returns whether that succeeded."""
        try:
            moved = move_aside(self.path)
        except OSError as failure:
            self._fail(failure)
            return False
        _log.warning("%s is damaged (%s): it was renamed to %s and a new one is created", self.path, error, moved.name)
        return True

    def _fail(self, error: Exception) -> None:
        """Record the problem, and log it once."""
        problem = str(error)
        if not self.problem:
            _log.warning("%s cannot be written (%s); requests are served anyway", self.path, problem)
        with self._changed:
            self.problem = problem
            self._changed.notify_all()


def _made(batch: Sequence[Callable[[], Entry]]) -> list[Entry]:
    entries = []
    for make in batch:
        try:
            entries.append(make())
        except Exception:  # noqa: BLE001 - one request that cannot be rendered must not end the thread
            _log.exception("a request cannot be written to the ledger")
    return entries


def _storable(value: Any) -> Any:
    """A value SQLite accepts: counts may exceed 64 bits, and names may contain lone surrogates."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return max(-_LARGEST, min(value, _LARGEST)) if isinstance(value, int) else value
