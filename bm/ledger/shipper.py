"""Brings requests from the spool to the database, in a thread of its own: a database that is away delays nothing."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bm.database.connection import DatabaseAway, connect, place_of
from bm.errors import ConfigError
from bm.ledger.entry import Entry
from bm.ledger.postgres import forget, prepare, store
from bm.ledger.spool import Spool, decoded
from bm.tasks import report

if TYPE_CHECKING:
    from bm.database.connection import Connection

GATHER = 0.5
"""Seconds for which requests are gathered into one transaction, which costs as much as serving one. A reader on this
node does not wait for it: see `flush`."""

_SILENT = 15.0
"""Seconds without an answer after which the database counts as away. A connection that is dead in some other way ends
by itself: see `bm.database.connection`."""

_BATCH = 500
_FORGET_AFTER = 200
"""Requests after which decisions that are no longer kept are removed."""
_REFUSED = ("22", "23", "54")
"""SQLSTATEs of values that the tables will never take: wrong data, broken constraints, and sizes beyond the limits
(postgresql.org/docs/current/errcodes-appendix.html)."""

_log = logging.getLogger("bm.ledger")


class Shipper:
    """The thread.

    `stored` counts requests that this run has brought there, `refused` those that the database will never take.
    `waiting` and `size` are the requests in the spool and its bytes, as of the last look. `decisions` is the number of
    requests kept for `bm why`.
    """

    def __init__(self, path: Path, url: str, *, node: str, retry: float, decisions: int = 0) -> None:
        self.url, self.path = url, path
        self.stored = self.refused = self.waiting = self.size = 0
        self._problem = ""
        self._unreachable = False
        self._busy_since: float | None = None
        self._spool = Spool(path)
        self.node, self._retry, self.decisions = node, retry, decisions
        self._changed = threading.Condition()
        self._asked, self._served, self._flushing = 1, 0, 0
        self._stopping = self._is_prepared = self._is_moved = False
        self._unforgotten = _FORGET_AFTER
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="ledger-shipper", daemon=True)

    @property
    def problem(self) -> str:
        """Why the database takes no requests now; empty while it does."""
        since = self._busy_since
        silent = 0.0 if since is None else time.monotonic() - since
        return self._problem or (f"no answer for {silent:.0f} s" if silent > _SILENT else "")

    @property
    def is_unreachable(self) -> bool:
        """Whether asking the database would only mean waiting."""
        return self._unreachable or bool(self.problem and not self._problem)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There are requests in the spool."""
        with self._changed:
            self._asked += 1
            self._changed.notify_all()

    def reopen(self) -> None:
        """The spool was damaged, and there is a new one in its place."""
        self._is_moved = True
        self.wake()

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds, or until the database fails; returns whether nothing is left in the spool."""
        with self._changed:
            self._asked += 1
            wanted = self._asked
            self._flushing += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._served >= wanted or bool(self.problem), timeout)
            self._flushing -= 1
            return self._served >= wanted

    def stop(self, timeout: float) -> None:
        """Bring what is in the spool to the database and end, within `timeout` seconds. What is left stays in the spool
        for the next run."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            wanted = self._asked
            self._busy_since = time.monotonic()
            emptied = self._attempt()
            self._busy_since = None
            self._look()
            with self._changed:
                if emptied:
                    self._served = wanted
                self._changed.notify_all()
                if self._stopping and (self._problem or emptied):
                    break
                if self._problem:
                    self._changed.wait_for(lambda: self._stopping, self._retry)
                elif emptied:
                    self._changed.wait_for(lambda: self._stopping or self._asked > self._served)
                    self._changed.wait_for(lambda: self._stopping or self._flushing > 0, GATHER)
        self._close()
        self._spool.close()

    def _attempt(self) -> bool:
        """Bring some requests over; returns whether none is left."""
        try:
            emptied = self._ship()
        except (ConfigError, sqlite3.Error, OSError) as error:
            self._unreachable = isinstance(error, DatabaseAway)
            self._fail(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - the thread must not end
            report("bringing the ledger to its database", error)
            self._fail(f"{type(error).__name__}: {error}")
            return False
        if self._problem:
            _log.info("the ledger's database takes requests again")
            self._problem, self._unreachable = "", False
        return emptied

    def _ship(self) -> bool:
        if self._is_moved:
            self._is_moved = False
            self._spool.close()
        connection = self._connected()
        rows = self._spool.first(_BATCH)
        if rows:
            self._store(connection, rows)
            self._spool.remove([number for number, _ in rows])
        if self._unforgotten >= _FORGET_AFTER:
            forget(connection, node=self.node, decisions=self.decisions)
            self._unforgotten = 0
        return len(rows) < _BATCH

    def _store(self, connection: Connection, rows: Sequence[tuple[int, bytes]]) -> None:
        """Write requests to the database, one by one if it refuses one of them."""
        entries: list[Entry] = []
        for _, row in rows:
            try:
                entries.append(decoded(row))
            except msgspec.DecodeError as error:
                self._refuse(error)
        try:
            store(connection, entries, node=self.node)
        except ConfigError as error:
            if not _is_refusal(error):
                raise
            entries = [entry for entry in entries if self._stored_alone(connection, entry)]
        self.stored += len(entries)
        self._unforgotten += len(entries)

    def _stored_alone(self, connection: Connection, entry: Entry) -> bool:
        try:
            store(connection, [entry], node=self.node)
        except ConfigError as error:
            if not _is_refusal(error):
                raise
            self._refuse(error)
            return False
        return True

    def _refuse(self, error: Exception) -> None:
        self.refused += 1
        report("writing the ledger", error, f", {self.refused} requests are missing from it")

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self.url)
        if not self._is_prepared:
            prepare(self._connection)
            self._spool.set_reached(place_of(self.url))
            self._is_prepared = True
        return self._connection

    def _fail(self, problem: str) -> None:
        """Record the problem, and log it once."""
        self._close()
        self._spool.close()
        if not self._problem:
            text = "the ledger's database takes no requests (%s); they wait in %s and are brought there later"
            _log.warning(text, problem, self.path)
        self._problem = problem

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _look(self) -> None:
        with suppress(sqlite3.Error, OSError):
            self.waiting, self.size = self._spool.count, self._spool.size


def _is_refusal(error: ConfigError) -> bool:
    """Whether a request is at fault rather than the database."""
    return str(getattr(error.__cause__, "sqlstate", None) or "").startswith(_REFUSED)
