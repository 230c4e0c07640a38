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
from typing import TYPE_CHECKING, Protocol

from bm.ledger.database import is_damage, move_aside
from bm.ledger.entry import Entry
from bm.ledger.source import Where
from bm.tasks import report

if TYPE_CHECKING:
    from bm.ledger.shipper import Shipper

CAPACITY = 20_000
"""Requests queued while the file cannot be written, or while the thread waits for a price, which may take seconds on a
busy machine; further ones are dropped. About two kilobytes each."""

RETRY = 2.0
"""Seconds between attempts to write."""

_BATCH = 200

_log = logging.getLogger("bm.ledger")


class Store(Protocol):
    """The file that the thread writes: the ledger itself, or the spool of one in a database."""

    path: Path
    gather: float
    """Seconds for which requests are gathered into one transaction."""

    def write(self, entries: Sequence[Entry], decisions: int) -> None:
        """Write requests in one transaction; open the file first if needed."""
        ...

    def close(self) -> None: ...


class Ledger:
    """The writer. `decisions` is the number of requests kept for `bm why`.

    `written` and `dropped` count requests since the start. `problem` says why the file cannot be written; it is empty
    while it can. `shipper` brings what is written to a database.
    """

    def __init__(
        self,
        store: Store,
        *,
        decisions: int,
        capacity: int = CAPACITY,
        retry: float = RETRY,
        shipper: Shipper | None = None,
    ) -> None:
        self.shipper = shipper
        self.decisions = decisions
        self.written = self.dropped = 0
        self.problem = ""
        self._store = store
        self._capacity, self._retry = capacity, retry
        self._waiting: deque[Callable[[], Entry]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._flushing = 0
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        self._thread.start()
        if self.shipper is not None:
            self.shipper.start()

    @property
    def where(self) -> Where:
        """Where the ledger is to be read."""
        return self._store.path if self.shipper is None else self.shipper.url

    @property
    def node(self) -> str:
        """What this node is called in the ledger; empty in a file, which is of one."""
        return "" if self.shipper is None else self.shipper.node

    @property
    def decisions(self) -> int:
        return self._decisions

    @decisions.setter
    def decisions(self, count: int) -> None:
        self._decisions = count
        if self.shipper is not None:
            self.shipper.decisions = count

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_unreachable(self) -> bool:
        """Whether reading would only mean waiting, because the database is away."""
        return self.shipper is not None and self.shipper.is_unreachable

    @property
    def missing(self) -> int:
        """Requests since the start that the ledger will never have."""
        return self.dropped + (0 if self.shipper is None else self.shipper.refused)

    def metrics(self) -> dict[str, float]:
        """What `/metrics` shows, by the names there."""
        found: dict[str, float] = {"bm_ledger_waiting": self.waiting, "bm_ledger_dropped": self.missing}
        if (shipper := self.shipper) is not None:
            found["bm_ledger_waiting"] += shipper.waiting
            found["bm_ledger_away"] = float(bool(shipper.problem))
        return found

    def put(self, entry: Callable[[], Entry]) -> None:
        """Queue a request. Never blocks or fails; `entry` is called in the writer's thread."""
        with self._changed:
            if len(self._waiting) >= self._capacity:
                if not self.dropped:
                    _log.warning("requests are missing from the ledger: %d wait to be written", self._capacity)
                self.dropped += 1
                return
            self._waiting.append(entry)
            if len(self._waiting) in (1, _BATCH):
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds, or until writing fails; returns whether everything is in the ledger."""
        limit = time.monotonic() + timeout
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting or bool(self.problem), timeout)
            self._flushing -= 1
            written = not self._waiting
        return written and (self.shipper is None or self.shipper.flush(limit - time.monotonic()))

    def stop(self, timeout: float = 8.0) -> None:
        """Write what is queued and end, within `timeout` seconds. Does not wait for a file that cannot be written."""
        limit = time.monotonic() + timeout
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout)
        if self.shipper is not None:
            self.shipper.stop(max(0.0, limit - time.monotonic()))
        if self._waiting:
            _log.warning("%d requests are missing from the ledger: %s", len(self._waiting), self.problem or "no time")

    def _run(self) -> None:
        """The thread: open the file, then write what is queued."""
        self._attempt(())
        while (batch := self._next()) is not None:
            if self._attempt(batch):
                self._done(len(batch))
        self._store.close()

    def _next(self) -> Sequence[Callable[[], Entry]] | None:
        """The next requests to write; empty to retry opening the file, None to end."""
        with self._changed:
            if self.problem:
                self._changed.wait_for(lambda: self._stopping, self._retry)
            else:
                self._changed.wait_for(lambda: self._stopping or bool(self._waiting))
                self._changed.wait_for(self._is_due, self._store.gather)
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
            self._store.close()
            if is_damage(error):
                return self._start_anew(error) and self._attempt(batch)
            if isinstance(error, sqlite3.OperationalError | OSError):
                self._fail(error)
                return False
            report("writing the ledger", error, f", {len(batch)} requests are missing from it")
            written = 0
        if self.problem:
            _log.info("%s is written again; %d requests are missing from it", self._store.path, self.dropped)
            self.problem = ""
        self.written += written
        if written and self.shipper is not None:
            self.shipper.wake()
        self.dropped += len(batch) - written
        return True

    def _write(self, batch: Sequence[Callable[[], Entry]]) -> int:
        """Write the batch in one transaction; returns the number of rows."""
        entries = _made(batch) if batch else []
        self._store.write(entries, self.decisions)
        return len(entries)

    def _start_anew(self, error: Exception) -> bool:
        """Move a damaged file aside; returns whether that succeeded."""
        try:
            moved = move_aside(self._store.path)
        except OSError as failure:
            self._fail(failure)
            return False
        text = "%s is damaged (%s): it was renamed to %s and a new one is created"
        _log.warning(text, self._store.path, error, moved.name)
        if self.shipper is not None:
            self.shipper.reopen()
        return True

    def _fail(self, error: Exception) -> None:
        """Record the problem, and log it once."""
        problem = str(error)
        if not self.problem:
            _log.warning("%s cannot be written (%s); requests are served anyway", self._store.path, problem)
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
