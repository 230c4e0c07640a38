"""Writes the ledger from a thread of its own: a disk that is full or a file that is locked holds up no request."""

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

CAPACITY = 2_000
"""Requests that wait for a file which cannot be written; those beyond are not entered at all."""

RETRY = 2.0
"""Seconds between attempts at a file that cannot be written."""

GATHER = 0.1
"""Seconds for which requests gather before they are written: a transaction for each would cost more than serving it."""

KEEP_DAYS = 400

_BATCH = 200
_LARGEST = 2**63 - 1
_DAY = 86_400.0
_INSERT = f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_DECIDE = "INSERT OR REPLACE INTO decisions (id, document) VALUES (?, ?)"

_log = logging.getLogger("bm.ledger")


class Ledger:
    """The writer. `decisions` is how many requests `bm why` remembers.

    `written` and `dropped` count requests since the start; `problem` says why the file cannot be written now, and is
    empty while it can.
    """

    def __init__(self, path: Path, *, decisions: int, capacity: int = CAPACITY, retry: float = RETRY) -> None:
        self.path, self.decisions = path, decisions
        self.written = self.dropped = 0
        self.problem = ""
        self._capacity, self._retry = capacity, retry
        self._waiting: deque[Callable[[], Entry]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._hurried = 0
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Requests that are not written yet."""
        return len(self._waiting)

    def put(self, entry: Callable[[], Entry]) -> None:
        """Enter a request. Never blocks and never fails; `entry` is called in the ledger's thread."""
        with self._changed:
            if len(self._waiting) >= self._capacity:
                self.dropped += 1
                return
            self._waiting.append(entry)
            if len(self._waiting) in (1, _BATCH):
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything is written or cannot be, but not longer than `timeout` seconds; whether it is."""
        with self._changed:
            self._hurried += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting or bool(self.problem), timeout)
            self._hurried -= 1
            return not self._waiting

    def stop(self, timeout: float = 4.0) -> None:
        """Write what is left and end, within `timeout` seconds; what cannot be written is not waited for."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout)
        if self._waiting:
            _log.warning("%d requests are missing in the ledger: %s", len(self._waiting), self.problem or "no time")

    def _run(self) -> None:
        """The thread: open the file at once, then write what comes."""
        self._attempt(())
        while (batch := self._next()) is not None:
            if self._attempt(batch):
                self._done(len(batch))
        self._close()

    def _next(self) -> Sequence[Callable[[], Entry]] | None:
        """The next requests to write, none of them when the file is to be tried again; None at the end."""
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
        """Whether there is no point in waiting for more requests."""
        return self._stopping or self._hurried > 0 or len(self._waiting) >= _BATCH

    def _done(self, count: int) -> None:
        """Take what is settled from the queue."""
        with self._changed:
            for _ in range(count):
                self._waiting.popleft()
            self._changed.notify_all()

    def _attempt(self, batch: Sequence[Callable[[], Entry]]) -> bool:
        """Write a batch, if the file can be written now; whether the batch is settled."""
        try:
            written = self._write(batch)
        except (sqlite3.Error, OSError) as error:
            self._close()
            if is_damage(error):
                return self._start_anew(error) and self._attempt(batch)
            if isinstance(error, sqlite3.OperationalError | OSError):
                self._fail(error)
                return False
            _log.exception("%d requests cannot be entered in the ledger", len(batch))
            written = 0
        if self.problem:
            _log.info("%s is written again; %d requests are missing in it", self.path, self.dropped)
            self.problem = ""
        self.written += written
        self.dropped += len(batch) - written
        return True

    def _write(self, batch: Sequence[Callable[[], Entry]]) -> int:
        """Write what can be put in rows; how many."""
        if self._connection is None:
            self._connection = open_ledger(self.path)
            self._connection.execute("DELETE FROM requests WHERE at < ?", (time.time() - KEEP_DAYS * _DAY,))
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
        """Put a damaged file aside; whether that was possible."""
        try:
            kept = move_aside(self.path)
        except OSError as failed:
            self._fail(failed)
            return False
        _log.warning("%s is damaged (%s): it is kept as %s, and a new one is begun", self.path, error, kept.name)
        return True

    def _fail(self, error: Exception) -> None:
        """Say so, once."""
        problem = str(error)
        if not self.problem:
            _log.warning("%s cannot be written (%s); requests are served all the same", self.path, problem)
        with self._changed:
            self.problem = problem
            self._changed.notify_all()


def _made(batch: Sequence[Callable[[], Entry]]) -> list[Entry]:
    entries = []
    for make in batch:
        try:
            entries.append(make())
        except Exception:  # noqa: BLE001 - the thread's edge: one request that cannot be told must not end the ledger
            _log.exception("a request cannot be entered in the ledger")
    return entries


def _storable(value: Any) -> Any:
    """A value that SQLite takes: an upstream may count beyond 64 bits, and a name may hold half a character."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return max(-_LARGEST, min(value, _LARGEST)) if isinstance(value, int) else value
