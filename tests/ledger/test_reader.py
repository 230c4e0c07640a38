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

from bm.chat.parts import Json
from bm.ledger.database import LedgerFile, open_ledger
from bm.ledger.entry import COLUMNS, Entry
from bm.ledger.reader import Spent, Step, decision, midnight, requests, series, spent, usage
from bm.ledger.shipper import Shipper
from bm.ledger.source import Where, _Database, _File, reading
from bm.ledger.spool import Spool
from bm.ledger.writer import Ledger
from bm.names import By
from tests.ledger.entries import entry

NOON = datetime(2026, 3, 2, 12).timestamp()
DAY = 86_400.0
NOTHING = {"input": 0, "cache_read": 0, "cache_write": 0, "output": 0, "thinking": 0}
ENTRIES = [
    entry(id="a", at=NOON, cost=0.5, tool="claude-cli"),
    entry(id="b", at=NOON + 1, provider="groq", account="work", upstream_model="gpt-oss", cost=None, key="ci"),
    entry(id="c", at=NOON + DAY, tool="claude-cli", failure="rate_limited", status=429, cost=None, **NOTHING),
    entry(id="d", at=NOON + DAY + 1, cost=0.25, tool="claude-cli"),
]
EITHER = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


def kept(folder: Path, entries: Sequence[Entry], url: str = "") -> Where:
    """A ledger of these requests: a file in the folder, or the database."""
    path = folder / ("spool.db" if url else "ledger.db")
    shipper = Shipper(path, url, node="one", retry=0.1) if url else None
    ledger = Ledger(Spool(path) if url else LedgerFile(path), decisions=100, shipper=shipper)
    ledger.start()
    for each in entries:
        ledger.put(partial(copy, each))
    ledger.stop(20)
    return ledger.where


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Where:
    """The same requests in either. Not to be changed."""
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgresql" else ""
    return kept(tmp_path_factory.mktemp("ledger"), ENTRIES, url)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of its own."""
    kept(tmp_path, ENTRIES)
    return tmp_path / "ledger.db"


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("provider", ["gemini", "groq"]),
        ("model", ["gemini-3.8-flash", "gpt-oss"]),
        ("account", ["gemini/main", "groq/work"]),
        ("key", ["main", "ci"]),
        ("tool", ["claude-cli", ""]),
        ("node", None),
        ("day", ["2026-03-02", "2026-03-03"]),
    ],
)
def test_usage_is_grouped(ledger: Where, by: By, names: list[str] | None) -> None:
    found = usage(ledger, since=0, by=by)
    # A file knows of one node.
    names = names or (["one"] if isinstance(ledger, str) else [""])
    assert [row["name"] for row in found["rows"]] == names
    for column in ("requests", "failures", "input", "cache_read", "cache_write", "output", "thinking", "unpriced"):
        assert sum(row[column] for row in found["rows"]) == found["total"][column]


def test_the_total(ledger: Where) -> None:
    assert usage(ledger, since=0, by="day")["total"] == {
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


@EITHER
def test_what_the_free_tier_saves(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    rows = [("gemini", "ann"), ("gemini", "vertex"), ("groq", "ann")]
    entries = [
        entry(id=f"{provider}-{account}", provider=provider, account=account, cost=0.5) for provider, account in rows
    ]
    ledger = kept(tmp_path, entries, request.getfixturevalue("database") if kind == "postgresql" else "")
    total = usage(ledger, since=0, by="day", billed=["vertex"])["total"]
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
def test_usage_over_time(
    ledger: Where, step: Step, until: float, steps: list[str], points: list[tuple[int, str]]
) -> None:
    found = series(ledger, since=NOON - 60 * (step == "day"), until=until, by="provider", step=step)
    assert found["steps"] == steps
    assert [(steps.index(each["step"]), each["name"]) for each in found["points"]] == points
    total = usage(ledger, since=NOON, by="provider")["total"]
    if step == "day":
        for column in ("requests", "failures", "input", "output", "unpriced"):
            assert sum(each[column] for each in found["points"]) == total[column]


def test_only_requests_since_the_given_time_count(ledger: Where) -> None:
    found = usage(ledger, since=NOON + 2, by="day")
    assert [row["name"] for row in found["rows"]] == ["2026-03-03"]
    assert found["total"]["requests"] == 2


@pytest.mark.parametrize("since", [0, NOON - NOON % 1 - 43_200, NOON, NOON + DAY / 2, NOON + DAY])
def test_totals_of_days_say_what_the_requests_say(ledger: Where, since: float) -> None:
    def found() -> list[Json]:
        days = [series(ledger, since=since or NOON - DAY, until=NOON + DAY, by=by, step="day") for by in get_args(By)]
        return [*(usage(ledger, since=since, by=by) for by in get_args(By)), *days]

    with reading(ledger) as source:
        assert source is not None
        assert source.rows("SELECT sum(requests) AS n, sum(cost) AS cost FROM totals") == [{"n": 4, "cost": 0.75}]
    by_totals = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Database, "has_totals", False)
        patch.setattr(_File, "has_totals", property(lambda self: False, lambda self, value: None), raising=False)
        assert found() == by_totals


@EITHER
def test_counts_that_no_service_has_are_added_as_well_as_possible(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    entries = [entry(id=f"req_{number}", output=2**70, model="half \ud83d, no\0ne") for number in range(3)]
    ledger = kept(tmp_path, entries, request.getfixturevalue("database") if kind == "postgresql" else "")
    assert usage(ledger, since=0, by="day")["total"]["output"] >= 2**63 - 1
    assert requests(ledger, 1)[0]["output"] == 2**63 - 1
    assert requests(ledger, 1)[0]["model"].startswith("half ?, no")


def test_a_file_gets_its_totals_from_what_it_holds_and_what_an_earlier_version_adds(path: Path) -> None:
    by_row = usage(path, since=0, by="account")
    insert = f"INSERT INTO requests ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)} FROM requests WHERE id = 'd'"
    with closing(sqlite3.connect(path)) as file:
        file.executescript("DROP TRIGGER requests_total; DROP TABLE totals; PRAGMA user_version = 4")
    with closing(open_ledger(path)) as file:
        assert usage(path, since=0, by="account") == by_row
        file.execute(insert)
    assert usage(path, since=0, by="account")["total"]["requests"] == 5


def test_what_was_spent_by_key_and_provider(ledger: Where) -> None:
    assert spent(ledger, since=NOON, ended=NOON + 2 * DAY) == [
        Spent("ci", "groq", 0.0, 36),
        Spent("main", "gemini", 0.75, 72),
    ]
    # It had not ended by then, or had begun before.
    assert spent(ledger, since=NOON, ended=NOON + 1) == []
    assert spent(ledger, since=NOON + 2, ended=NOON + 2 * DAY) == [Spent("main", "gemini", 0.25, 36)]


def test_days_begin_at_midnight() -> None:
    today = datetime(2026, 3, 2, 15, 30)
    assert midnight(1, today) == datetime(2026, 3, 2).timestamp()
    assert midnight(7, today) == datetime(2026, 2, 24).timestamp()


def test_the_latest_requests_come_first(ledger: Where) -> None:
    rows = requests(ledger, 2)
    assert [row["id"] for row in rows] == ["d", "c"]
    assert rows[0]["stream"] is True and rows[0]["passed_through"] is False


def test_a_decision_is_found_by_its_id(ledger: Where) -> None:
    assert decision(ledger, "b") == {"id": "b"}
    assert decision(ledger, "last") == {"id": "d"}
    assert decision(ledger, "unknown") is None
