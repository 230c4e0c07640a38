"""A file of the ledger in a database: all of it, once. Real server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from bm.errors import ConfigError
from bm.ledger import move as module
from bm.ledger.database import MIGRATIONS, LedgerFile, open_ledger
from bm.ledger.entry import COLUMNS
from bm.ledger.move import Moved, move
from bm.ledger.reader import decision, requests, usage
from bm.names import By
from tests.ledger.entries import entry


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with five requests, which are moved two at a time."""
    monkeypatch.setattr(module, "_BATCH", 2)
    models = ("half \ud83d", "NUL \0", "a", "b", "c")
    entries = [entry(id=f"req_{at}", at=2e9 + 40_000 * at, model=model) for at, model in enumerate(models)]
    entries[4] = entry(id="req_4", provider="groq", cost=None, stream=False, key="ci", failure="rate_limited")
    with closing(LedgerFile(tmp_path / "ledger.db")) as file:
        file.write(entries, 3)
    return tmp_path / "ledger.db"


def test_the_database_says_what_the_file_said(path: Path, database: str) -> None:
    assert list(move(path, database, node="one")) == [Moved(2, 2), Moved(4, 4), Moved(5, 5)]
    for by in get_args(By):
        names = {"node": lambda row: row | {"name": "one"}}.get(by, lambda row: row)
        expected = usage(path, since=0, by=by)
        assert usage(database, since=0, by=by) == expected | {"rows": [*map(names, expected["rows"])]}
    found = {row["id"]: row for row in requests(database, 9)}
    for row in requests(path, 9):
        assert found[row["id"]] == row | {"node": "one", "model": row["model"].replace("\0", "\ufffd")}
    assert [decision(database, f"req_{at}") for at in range(5)] == [decision(path, f"req_{at}") for at in range(5)]


def test_what_was_moved_before_is_passed_over(path: Path, database: str) -> None:
    interrupted = move(path, database, node="one")
    assert next(interrupted) == Moved(2, 2)
    interrupted.close()
    assert list(move(path, database, node="one"))[-1] == Moved(5, 3)
    with closing(LedgerFile(path)) as file:
        file.write([entry(id="req_5")], 3)
    assert list(move(path, database, node="one"))[-1] == Moved(6, 1)
    assert usage(database, since=0, by="day")["total"]["requests"] == 6


def test_a_file_of_an_earlier_version_is_moved(tmp_path: Path, database: str) -> None:
    path, older = tmp_path / "ledger.db", [name for name in COLUMNS if name not in ("key", "tool")]
    values = [getattr(entry(id="a"), name) for name in older]
    with closing(open_ledger(path, MIGRATIONS[:2])) as ledger:
        ledger.execute(f"INSERT INTO requests ({', '.join(older)}) VALUES ({', '.join('?' * len(older))})", values)
    assert list(move(path, database, node="one")) == [Moved(1, 1)]
    assert (requests(database, 1)[0]["key"], requests(database, 1)[0]["tool"]) == ("main", "")


def test_an_empty_file_has_nothing_to_move(tmp_path: Path, database: str) -> None:
    (tmp_path / "ledger.db").touch()
    assert list(move(tmp_path / "ledger.db", database, node="one")) == []


def test_the_file_stays_as_it_is(path: Path, database: str) -> None:
    with pytest.raises(ConfigError, match="password authentication failed"):
        list(move(path, database.replace("password-of", "wrong-password-of"), node="one"))
    list(move(path, database, node="one"))
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM requests").fetchone() == (5,)
