"""The writer stores requests, reports what it cannot write, and never blocks."""

from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from bm import tasks
from bm.ledger.database import KEEP_DAYS, MIGRATIONS, LedgerFile
from bm.ledger.reader import decision, requests, usage
from bm.ledger.writer import Ledger
from tests.ledger.entries import entry
from tests.support.waiting import LONG, soon


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@contextmanager
def running(path: Path, *, decisions: int = 100, capacity: int = 100) -> Iterator[Ledger]:
    ledger = Ledger(LedgerFile(path), decisions=decisions, capacity=capacity, retry=0.02)
    ledger.start()
    try:
        yield ledger
    finally:
        ledger.stop(LONG)


def ids(path: Path) -> list[str]:
    return [row["id"] for row in reversed(requests(path, 1_000))]


def put(ledger: Ledger, *names: str) -> None:
    for name in names:
        ledger.put(partial(entry, id=name))


def test_a_queued_request_is_written(path: Path) -> None:
    with running(path) as ledger:
        put(ledger, "req_1", "req_2")
        assert ledger.flush(LONG)
        assert ids(path) == ["req_1", "req_2"]
        assert (ledger.written, ledger.dropped, ledger.waiting, ledger.problem) == (2, 0, 0, "")
    assert decision(path, "last") == {"id": "req_2"}


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
def test_the_files_are_private(path: Path) -> None:
    with running(path) as ledger:
        put(ledger, "req_1")
        ledger.flush(LONG)
        assert [stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()] == [0o600] * 3
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_queued_requests_are_written_before_the_end(path: Path) -> None:
    with running(path, capacity=1_000) as ledger:
        put(ledger, *(f"req_{number}" for number in range(999)))
    assert len(ids(path)) == 999


def test_decisions_are_bounded_and_requests_are_not(path: Path) -> None:
    with running(path, decisions=3) as ledger:
        put(ledger, *(f"req_{number}" for number in range(10)))
    assert [number for number in range(10) if decision(path, f"req_{number}")] == [7, 8, 9]
    assert len(ids(path)) == 10


def test_old_requests_are_removed_at_start(path: Path) -> None:
    now = time.time()
    with running(path) as ledger:
        ledger.put(partial(entry, id="old", at=now - (KEEP_DAYS + 1) * 86_400))
        ledger.put(partial(entry, id="recent", at=now - (KEEP_DAYS - 1) * 86_400))
    assert ids(path) == ["old", "recent"]
    with running(path):
        pass
    assert ids(path) == ["recent"]
    assert usage(path, since=0, by="day")["total"]["requests"] == 1, "nor do totals count them"


def test_requests_queue_while_the_file_is_locked(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with running(path) as ledger:
        put(ledger, "req_1")
        ledger.flush(LONG)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            put(ledger, "req_2", "req_3")
            assert soon(lambda: ledger.problem, LONG)
            assert "locked" in ledger.problem
            assert not ledger.flush(LONG)
        assert soon(lambda: not ledger.waiting, LONG)
        assert ledger.problem == ""
    assert ids(path) == ["req_1", "req_2", "req_3"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_requests_beyond_the_capacity_are_dropped_and_counted(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"")
    with closing(sqlite3.connect(path, isolation_level=None)) as other, running(path, capacity=3) as ledger:
        other.execute("BEGIN EXCLUSIVE")
        put(ledger, *(f"req_{number}" for number in range(5)))
        assert soon(lambda: ledger.dropped, LONG)
        other.execute("COMMIT")
        assert soon(lambda: not ledger.waiting, LONG)
        assert ledger.written + ledger.dropped == 5
    assert caplog.text.count("requests are missing from the ledger: 3 wait to be written") == 1
    assert len(ids(path)) == 5 - ledger.dropped


def test_a_folder_that_cannot_be_created_is_reported_and_retried(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.write_text("a file in its place")
    with running(path) as ledger:
        assert soon(lambda: ledger.problem, LONG)
        put(ledger, "req_1")
        path.parent.unlink()
        assert soon(lambda: ledger.written, LONG)
    assert ids(path) == ["req_1"]
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


@pytest.mark.parametrize("content", [b"this is no database, but it is long enough to be one" * 40, None])
def test_a_damaged_file_is_moved_aside(path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    if content is None:
        with running(path) as ledger:
            put(ledger, "lost")
        content = path.read_bytes()
        content = content[:100] + b"\xff" * (len(content) - 100)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with running(path) as ledger:
        put(ledger, "req_1")
        assert soon(lambda: ledger.written, LONG)
    assert ids(path) == ["req_1"]
    assert [file.read_bytes() for file in path.parent.glob("ledger.damaged-*.db")] == [content]
    assert "damaged" in caplog.text


def test_a_file_of_a_newer_version_is_not_written(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with running(path) as ledger:
        put(ledger, "req_1")
        assert soon(lambda: "newer version" in ledger.problem, LONG)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_a_request_that_cannot_be_rendered_is_dropped(path: Path) -> None:
    def broken() -> None:
        raise KeyError("no such thing")

    with running(path) as ledger:
        ledger.put(broken)  # type: ignore[arg-type]
        put(ledger, "req_1")
    assert (ids(path), ledger.dropped) == (["req_1"], 1)


def test_values_out_of_range_are_stored_as_well_as_possible(path: Path) -> None:
    with running(path) as ledger:
        ledger.put(partial(entry, id="req_1", output=2**70, model="half \ud83d"))
    row = requests(path, 1)[0]
    assert (row["output"], row["model"]) == (2**63 - 1, "half ?")


def test_a_killed_process_loses_nothing_written(path: Path) -> None:
    code = f"""
import os, signal
from functools import partial
from pathlib import Path
from bm.ledger.database import LedgerFile
from bm.ledger.writer import Ledger
from tests.ledger.entries import entry
ledger = Ledger(LedgerFile(Path({str(path)!r})), decisions=10)
ledger.start()
for number in range(50):
    ledger.put(partial(entry, id=f"req_{{number}}"))
assert ledger.flush(20)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode < 0
    assert len(ids(path)) == 50
    with running(path) as ledger:
        put(ledger, "req_50")
    assert len(ids(path)) == 51


def test_whatever_fails_the_thread_goes_on_and_it_is_reported(path: Path) -> None:
    with running(path) as ledger:
        ledger.put(lambda: "no entry at all")  # type: ignore[arg-type,return-value]
        assert ledger.flush(LONG)
        put(ledger, "req_1")
        assert ledger.flush(LONG)
        assert ids(path) == ["req_1"] and ledger.dropped == 1
    (failure,) = tasks.failures()
    assert failure.startswith("writing the ledger failed, 1 requests are missing from it: TypeError")
