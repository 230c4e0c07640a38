"""Sums and documents, with and without a writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from copy import copy
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from bm.ledger.database import MIGRATIONS, open_ledger
from bm.ledger.entry import COLUMNS, Entry
from bm.ledger.reader import LedgerError, decision, midnight, requests, usage
from bm.ledger.writer import Ledger
from bm.names import By
from tests.ledger.entries import entry

NOON = datetime(2026, 3, 2, 12).timestamp()
DAY = 86_400.0


def kept(tmp_path: Path, entries: Sequence[Entry]) -> Path:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path, decisions=100)
    ledger.start()
    for each in entries:
        ledger.put(partial(copy, each))
    ledger.stop(20)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    nothing = {"input": 0, "cache_read": 0, "cache_write": 0, "output": 0, "thinking": 0}
    return kept(
        tmp_path,
        [
            entry(id="a", at=NOON, cost=0.5),
            entry(id="b", at=NOON + 1, provider="groq", account="work", upstream_model="gpt-oss", cost=None, key="ci"),
            entry(id="c", at=NOON + DAY, failure="rate_limited", status=429, cost=None, **nothing),
            entry(id="d", at=NOON + DAY, cost=0.25),
        ],
    )


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("provider", ["gemini", "groq"]),
        ("model", ["gemini-3.8-flash", "gpt-oss"]),
        ("account", ["gemini/main", "groq/work"]),
        ("key", ["main", "ci"]),
        ("day", ["2026-03-02", "2026-03-03"]),
    ],
)
def test_usage_is_grouped(path: Path, by: By, names: list[str]) -> None:
    found = usage(path, since=0, by=by)
    assert [row["name"] for row in found["rows"]] == names
    for column in ("requests", "failures", "input", "cache_read", "cache_write", "output", "thinking", "unpriced"):
        assert sum(row[column] for row in found["rows"]) == found["total"][column]


def test_the_total(path: Path) -> None:
    assert usage(path, since=0, by="day")["total"] == {
        "requests": 4,
        "failures": 1,
        "input": 30,
        "cache_read": 12,
        "cache_write": 6,
        "output": 60,
        "thinking": 15,
        "cost": 0.75,
        "unpriced": 1,
    }


def test_only_requests_since_the_given_time_count(path: Path) -> None:
    found = usage(path, since=NOON + 2, by="day")
    assert [row["name"] for row in found["rows"]] == ["2026-03-03"]
    assert found["total"]["requests"] == 2


def test_days_begin_at_midnight() -> None:
    today = datetime(2026, 3, 2, 15, 30)
    assert midnight(1, today) == datetime(2026, 3, 2).timestamp()
    assert midnight(7, today) == datetime(2026, 2, 24).timestamp()


def test_the_latest_requests_come_first(path: Path) -> None:
    rows = requests(path, 2)
    assert [row["id"] for row in rows] == ["d", "c"]
    assert rows[0]["stream"] is True and rows[0]["passed_through"] is False


def test_a_decision_is_found_by_its_id(path: Path) -> None:
    assert decision(path, "b") == {"id": "b"}
    assert decision(path, "last") == {"id": "d"}
    assert decision(path, "unknown") is None


def test_a_file_that_no_writer_has_migrated_yet_has_one_key(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    older = [column for column in COLUMNS if column != "key"]
    values = [getattr(entry(id="a"), column) for column in older]
    with closing(open_ledger(path, MIGRATIONS[:2])) as ledger:
        ledger.execute(f"INSERT INTO requests ({', '.join(older)}) VALUES ({', '.join('?' * len(older))})", values)
    assert requests(path, 5)[0]["key"] == "main"
    assert [row["name"] for row in usage(path, since=0, by="key")["rows"]] == ["main"]


def test_a_missing_file_is_an_empty_ledger(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    assert (requests(path, 5), decision(path, "last")) == ([], None)
    assert usage(path, since=0, by="model")["total"]["requests"] == 0
    assert not path.exists()


def test_an_empty_file_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    assert requests(path, 5) == []


def test_a_writer_does_not_block_readers(path: Path) -> None:
    with closing(open_ledger(path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM requests")
        assert len(requests(path, 10)) == 4


def test_a_file_that_is_not_a_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LedgerError, match="not a database"):
        requests(path, 5)


def test_a_file_without_write_ahead_log_can_be_read(tmp_path: Path) -> None:
    path = kept(tmp_path, [entry(id="a")])
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
    assert len(requests(path, 5)) == 1
