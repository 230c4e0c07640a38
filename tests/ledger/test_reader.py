"""Sums and documents, with and without a writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from copy import copy
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from bm.ledger.database import MIGRATIONS, open_ledger
from bm.ledger.entry import COLUMNS, Entry
from bm.ledger.reader import LedgerError, Spent, Step, decision, midnight, requests, series, spent, usage
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
            entry(id="a", at=NOON, cost=0.5, tool="claude-cli"),
            entry(id="b", at=NOON + 1, provider="groq", account="work", upstream_model="gpt-oss", cost=None, key="ci"),
            entry(id="c", at=NOON + DAY, tool="claude-cli", failure="rate_limited", status=429, cost=None, **nothing),
            entry(id="d", at=NOON + DAY, cost=0.25, tool="claude-cli"),
        ],
    )


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("provider", ["gemini", "groq"]),
        ("model", ["gemini-3.8-flash", "gpt-oss"]),
        ("account", ["gemini/main", "groq/work"]),
        ("key", ["main", "ci"]),
        ("tool", ["claude-cli", ""]),
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
        "free_cost": 0.75,
    }


def test_what_the_free_tier_saves(tmp_path: Path) -> None:
    rows = [("gemini", "ann"), ("gemini", "vertex"), ("groq", "ann")]
    path = kept(tmp_path, [entry(provider=provider, account=account, cost=0.5) for provider, account in rows])
    total = usage(path, since=0, by="day", billed=["vertex"])["total"]
    assert (total["cost"], total["free_cost"]) == (1.5, 0.5)


@pytest.mark.parametrize(
    ("step", "until", "steps", "points"),
    [
        (
            "day",
            NOON + 2 * DAY,
            ["2026-03-02", "2026-03-03", "2026-03-04"],
            [(0, "gemini"), (0, "groq"), (1, "gemini")],
        ),
        ("hour", NOON + 3700, ["2026-03-02 12:00", "2026-03-02 13:00"], [(0, "gemini"), (0, "groq")]),
    ],
)
def test_usage_over_time(path: Path, step: Step, until: float, steps: list[str], points: list[tuple[int, str]]) -> None:
    found = series(path, since=NOON - 60 * (step == "day"), until=until, by="provider", step=step)
    assert found["steps"] == steps
    assert [(steps.index(each["step"]), each["name"]) for each in found["points"]] == points
    total = usage(path, since=NOON, by="provider")["total"]
    if step == "day":
        for column in ("requests", "failures", "input", "output", "unpriced"):
            assert sum(each[column] for each in found["points"]) == total[column]


def test_only_requests_since_the_given_time_count(path: Path) -> None:
    found = usage(path, since=NOON + 2, by="day")
    assert [row["name"] for row in found["rows"]] == ["2026-03-03"]
    assert found["total"]["requests"] == 2


@pytest.mark.parametrize("by", get_args(By))
@pytest.mark.parametrize("since", [0, NOON - NOON % 1 - 43_200, NOON, NOON + DAY / 2, NOON + DAY])
def test_totals_of_days_say_what_the_requests_say(path: Path, by: By, since: float) -> None:
    expected = usage(path, since=since, by=by)
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT sum(requests) FROM totals").fetchone() == (4,)
        file.execute("DROP TABLE totals")
    assert usage(path, since=since, by=by) == expected
    until = NOON + DAY
    days = series(path, since=since or NOON - DAY, until=until, by=by, step="day")["points"]
    assert sum(each["requests"] for each in days) == expected["total"]["requests"]


def test_a_file_gets_its_totals_from_what_it_holds_and_what_an_earlier_version_adds(path: Path) -> None:
    by_row = usage(path, since=0, by="account")
    insert = f"INSERT INTO requests ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)} FROM requests WHERE id = 'd'"
    with closing(sqlite3.connect(path)) as file:
        file.executescript("DROP TRIGGER requests_total; DROP TABLE totals; PRAGMA user_version = 4")
    with closing(open_ledger(path)) as file:
        assert usage(path, since=0, by="account") == by_row
        file.execute(insert)
    assert usage(path, since=0, by="account")["total"]["requests"] == 5


def test_what_was_spent_by_key_and_provider(path: Path) -> None:
    assert spent(path, since=NOON, ended=NOON + 2 * DAY) == [
        Spent("ci", "groq", 0.0, 36),
        Spent("main", "gemini", 0.75, 72),
    ]
    # It had not ended by then, or had begun before.
    assert spent(path, since=NOON, ended=NOON + 1) == []
    assert spent(path, since=NOON + 2, ended=NOON + 2 * DAY) == [Spent("main", "gemini", 0.25, 36)]


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


@pytest.mark.parametrize(("version", "lacking"), [(2, ("key", "tool")), (3, ("tool",))])
def test_a_file_that_no_writer_has_migrated_yet_can_be_read(
    tmp_path: Path, version: int, lacking: tuple[str, ...]
) -> None:
    path = tmp_path / "ledger.db"
    older = [column for column in COLUMNS if column not in lacking]
    values = [getattr(entry(id="a"), column) for column in older]
    with closing(open_ledger(path, MIGRATIONS[:version])) as ledger:
        ledger.execute(f"INSERT INTO requests ({', '.join(older)}) VALUES ({', '.join('?' * len(older))})", values)
    assert (requests(path, 5)[0]["key"], requests(path, 5)[0]["tool"]) == ("main", "")
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
