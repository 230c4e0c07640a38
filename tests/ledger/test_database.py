"""Creating, migrating and moving aside the ledger's file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bm.ledger.database import MIGRATIONS, insert, is_damage, move_aside, open_ledger
from bm.ledger.entry import COLUMNS


def test_a_new_file_has_every_column(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path / "ledger.db")) as ledger:
        names = [row[1] for row in ledger.execute("PRAGMA table_info(requests)")]
        version = ledger.execute("PRAGMA user_version").fetchone()[0]
    assert names == ["seq", *COLUMNS]
    assert version == len(MIGRATIONS)


def test_an_older_file_is_migrated_and_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = "CREATE TABLE things (name TEXT)"
    with closing(open_ledger(path, [first])) as ledger:
        ledger.execute("INSERT INTO things VALUES ('kept')")
    with closing(open_ledger(path, [first, "ALTER TABLE things ADD COLUMN size INTEGER NOT NULL DEFAULT 7"])) as ledger:
        assert ledger.execute("SELECT name, size FROM things").fetchall() == [("kept", 7)]


def test_decisions_of_version_1_get_the_current_names(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    old = b'{"attempts":[{"booked":"cooldown","rests":3.0,"message":"say \\"rests\\": 1"}],"seams":1}'
    new = b'{"attempts":[{"effect":"cooldown","cooldown":3.0,"message":"say \\"rests\\": 1"}],"continuations":1}'
    with closing(open_ledger(path, MIGRATIONS[:1])) as ledger:
        ledger.execute("INSERT INTO decisions (id, document) VALUES ('req_1', ?)", (old,))
    with closing(open_ledger(path)) as ledger:
        assert ledger.execute("SELECT document FROM decisions").fetchone() == (new,)


def test_a_failed_migration_leaves_the_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = "CREATE TABLE things (name TEXT)"
    open_ledger(path, [first]).close()
    with pytest.raises(sqlite3.OperationalError):
        open_ledger(path, [first, "CREATE TABLE more (name TEXT); CREATE TABLE things (name TEXT)"])
    with closing(open_ledger(path, [first])) as ledger:
        assert [row[0] for row in ledger.execute("SELECT name FROM sqlite_schema")] == ["things"]


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path, ["CREATE TABLE a (b)", "CREATE TABLE c (d)"]).close()
    with pytest.raises(sqlite3.OperationalError, match="newer version"):
        open_ledger(path, ["CREATE TABLE a (b)"])


@pytest.mark.parametrize(
    ("rows", "variables", "statements"),
    [(0, 250_000, 0), (1, 250_000, 1), (200, 250_000, 3), (200, 140, 4), (8, 8, 2)],
    ids=["none", "one", "128, 64 and 8", "fewer values: 64, 64, 64 and 8", "least"],
)
def test_rows_are_inserted_by_few_statements(tmp_path: Path, rows: int, variables: int, statements: int) -> None:
    values = [(number, f"name {number}") for number in range(rows)]
    with closing(open_ledger(tmp_path / "ledger.db", ["CREATE TABLE things (number INTEGER, name TEXT)"])) as ledger:
        ran = list[str]()
        ledger.set_trace_callback(ran.append)
        ledger.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, variables)
        insert(ledger, "INSERT INTO things VALUES", values)
        assert len(ran) == statements
        assert ledger.execute("SELECT number, name FROM things ORDER BY rowid").fetchall() == values


def test_damage_is_distinguished_from_other_errors(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError) as broken:
        open_ledger(path)
    assert is_damage(broken.value)
    with pytest.raises(sqlite3.OperationalError) as wrong:
        open_ledger(tmp_path / "other.db", ["CREATE NONSENSE"])
    assert not is_damage(wrong.value)
    assert not is_damage(OSError())


def test_moving_a_file_aside_moves_its_wal_files(tmp_path: Path) -> None:
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (tmp_path / name).write_text(name)
    kept = move_aside(tmp_path / "ledger.db")
    assert kept.read_text() == "ledger.db"
    assert sorted(file.name for file in tmp_path.iterdir()) == [kept.name, f"{kept.name}-shm", f"{kept.name}-wal"]
