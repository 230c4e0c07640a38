"""Requests reach the database once, whichever side is killed meanwhile. Real server."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from bm import tasks
from bm.database.connection import connect
from bm.database.migrations import migrate
from bm.ledger import shipper as module
from bm.ledger.postgres import MIGRATIONS, PART
from bm.ledger.reader import decision, requests, usage
from bm.ledger.shipper import Shipper
from bm.ledger.source import reading
from bm.ledger.spool import Spool
from bm.ledger.writer import Ledger
from tests.ledger.entries import entry
from tests.support.postgres import Server
from tests.support.waiting import LONG, soon


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool.db"


@contextmanager
def running(path: Path, url: str, *, node: str = "one", decisions: int = 100) -> Iterator[tuple[Ledger, Shipper]]:
    shipper = Shipper(path, url, node=node, retry=0.05)
    ledger = Ledger(Spool(path), decisions=decisions, shipper=shipper, retry=0.05)
    ledger.start()
    try:
        yield ledger, shipper
    finally:
        ledger.stop(LONG)


def put(ledger: Ledger, *numbers: int) -> None:
    for number in numbers:
        ledger.put(partial(entry, id=f"req_{number}", at=2_000_000_000.0 + number))


def exactly(url: str, count: int) -> bool:
    """Whether the database has the first so many requests, each once, also in its totals."""
    ids = sorted(row["id"] for row in requests(url, 10_000))
    assert ids == sorted(f"req_{number}" for number in range(count))
    return bool(usage(url, since=0, by="day")["total"]["requests"] == count)


def test_a_flush_waits_until_the_database_has_what_is_queued(path: Path, database: str) -> None:
    with running(path, database) as (ledger, shipper):
        put(ledger, 0, 1)
        assert ledger.flush(LONG)
        assert exactly(database, 2)
        assert (ledger.written, ledger.dropped, shipper.stored, shipper.waiting, shipper.problem) == (2, 0, 2, 0, "")
    assert decision(database, "last") == {"id": "req_1"}


def test_decisions_are_bounded(path: Path, database: str) -> None:
    with running(path, database, decisions=3) as (ledger, _):
        put(ledger, *range(10))
        assert ledger.flush(LONG)
        ledger.decisions = 2
        put(ledger, *range(10, 210))
    with reading(database) as source:
        assert source is not None
        assert [row["id"] for row in source.rows("SELECT id FROM decisions ORDER BY place")] == ["req_208", "req_209"]


def test_requests_wait_while_the_database_is_away(
    path: Path, postgres: Server, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bm.ledger")
    with running(path, database) as (ledger, shipper):
        put(ledger, *range(3))
        assert ledger.flush(LONG)
        postgres.kill()
        put(ledger, *range(3, 1_000))
        assert soon(lambda: shipper.waiting == 997, LONG)
        assert not ledger.flush(LONG)
        assert "the database cannot be reached" in shipper.problem and ledger.problem == ""
        assert ledger.is_unreachable
        postgres.start()
        assert soon(lambda: not shipper.waiting, LONG)
        assert soon(lambda: not shipper.problem and not ledger.is_unreachable, LONG)
    assert exactly(database, 1_000)
    assert [(record.levelname, "spool.db" in record.getMessage()) for record in caplog.records] == [
        ("WARNING", True),
        ("INFO", False),
    ]


def test_a_database_that_does_not_answer_is_away(
    path: Path, postgres: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SILENT", 0.1)
    with running(path, database) as (ledger, shipper):
        put(ledger, 0)
        assert ledger.flush(LONG)
        processes = postgres.processes()
        for process in processes:
            process.suspend()
        try:
            put(ledger, 1)
            assert soon(lambda: shipper.is_unreachable, LONG)
            assert shipper.problem.startswith("no answer for")
            assert ledger.metrics()["bm_ledger_away"] == 1.0
        finally:
            for process in processes:
                process.resume()
        assert soon(lambda: shipper.stored == 2, LONG)
    assert exactly(database, 2)


def test_what_waits_at_the_end_is_brought_over_by_the_next_run(path: Path, postgres: Server, database: str) -> None:
    postgres.kill()
    with running(path, database) as (ledger, _):
        put(ledger, *range(5))
    postgres.start()
    with running(path, database):
        pass
    assert exactly(database, 5)


KILLED = """
    import itertools, sys, time
    from functools import partial
    from pathlib import Path
    from bm.ledger.shipper import Shipper
    from bm.ledger.spool import Spool
    from bm.ledger.writer import Ledger
    from tests.ledger.entries import entry

    path, url, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    ledger = Ledger(Spool(path), decisions=10, shipper=Shipper(path, url, node="one", retry=0.02), retry=0.02)
    ledger.start()
    for number in itertools.count(number):
        ledger.put(partial(entry, id=f"req_{number}", at=2_000_000_000.0 + number))
        ledger.flush(0)
        while ledger.waiting:
            time.sleep(0.001)
        print(number, flush=True)
"""
"""Writes without end, and says which requests are in its spool."""


def test_neither_killed_nodes_nor_killed_databases_lose_or_double_a_request(
    path: Path, postgres: Server, database: str
) -> None:
    count = 0
    for is_first in (True, False):
        program = [sys.executable, "-c", textwrap.dedent(KILLED), str(path), database, str(count)]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=os.environ) as node:
            assert node.stdout is not None
            limit = threading.Timer(3 * LONG, node.kill)
            limit.start()
            for line in node.stdout:
                count = int(line) + 1
                if count % 60 == 30 and is_first:
                    postgres.kill()
                if count % 60 == 45 and postgres.process is None:
                    postgres.start()
                if count % 60 == 0:
                    break
            limit.cancel()
            node.kill()
            # It may have said more than was read, or have written without saying.
            count = max([count, *(int(line) + 1 for line in node.stdout)])
        if postgres.process is None:
            postgres.start()
    with running(path, database) as (_, shipper):
        assert shipper.flush(LONG)
    found = len(requests(database, 10_000))
    assert found in (count, count + 1)
    assert exactly(database, found)


def test_a_request_that_the_database_never_takes_does_not_hold_up_the_others(path: Path, database: str) -> None:
    with running(path, database) as (ledger, shipper):
        put(ledger, 0)
        # An index takes 2,704 bytes, as far as they can be compressed.
        ledger.put(partial(entry, id=os.urandom(5_000).hex()))
        put(ledger, 1)
        assert ledger.flush(LONG)
        assert (shipper.stored, shipper.refused, shipper.problem) == (2, 1, "")
    assert exactly(database, 2)
    (failure,) = tasks.failures()
    assert failure.startswith("writing the ledger failed, 1 requests are missing from it")


def test_what_is_no_request_is_passed_over(path: Path, database: str) -> None:
    with closing(Spool(path)) as spool:
        spool.write([])
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("INSERT INTO waiting (entry) VALUES (x'ff00')")
    with running(path, database) as (ledger, shipper):
        put(ledger, 0)
        assert ledger.flush(LONG)
        assert (shipper.stored, shipper.refused) == (1, 1)
    assert exactly(database, 1)


def test_a_damaged_spool_is_moved_aside_and_the_next_requests_arrive(path: Path, database: str) -> None:
    with running(path, database) as (ledger, _):
        put(ledger, 0)
        assert ledger.flush(LONG)
        path.write_bytes(b"no database at all" * 1_000)
        path.with_name("spool.db-wal").write_bytes(b"")
        put(ledger, 1)
        assert soon(lambda: ledger.written == 2, LONG)
        assert ledger.flush(LONG)
    assert exactly(database, 2)
    assert len(list(path.parent.glob("spool.damaged-*.db"))) == 1


def test_a_database_of_a_newer_bm_is_not_written(path: Path, database: str) -> None:
    with closing(connect(database)) as connection:
        migrate(connection, PART, (*MIGRATIONS, "SELECT 1"))
    with running(path, database) as (ledger, shipper):
        put(ledger, 0)
        assert soon(lambda: "belongs to a newer bm" in shipper.problem, LONG)
        assert soon(lambda: shipper.waiting == 1, LONG)
