"""A file or a database, open for reading."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bm.database.connection import connect
from bm.ledger.database import MIGRATIONS, LedgerFile, open_ledger
from bm.ledger.entry import COLUMNS
from bm.ledger.postgres import prepare
from bm.ledger.reader import decision, requests, usage
from bm.ledger.source import LedgerError, reading
from tests.ledger.entries import entry
from tests.support.postgres import PASSWORD


def filled(folder: Path) -> Path:
    """A file with one request."""
    with closing(LedgerFile(folder / "ledger.db")) as file:
        file.write([entry(id="a")], 10)
    return folder / "ledger.db"


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


def test_a_writer_does_not_block_readers(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with closing(open_ledger(path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM requests")
        assert len(requests(path, 10)) == 1


def test_a_file_that_is_not_a_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LedgerError, match="not a database"):
        requests(path, 5)


def test_a_file_without_write_ahead_log_can_be_read(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
    assert len(requests(path, 5)) == 1


def test_percent_signs_and_lists_are_plain_values(database: str) -> None:
    with closing(connect(database)) as connection:
        prepare(connection)
    with reading(database) as source:
        assert source is not None
        query = f"SELECT '100%' AS text WHERE 'b%' IN ({source.elements})"
        assert source.rows(query, {"billed": '["a", "b%"]'}) == [{"text": "100%"}]


def test_a_database_that_cannot_be_read_is_an_error(database: str) -> None:
    with pytest.raises(LedgerError, match=r'ledger\.url: the database refuses: relation "bm_requests" does not exist'):
        requests(database, 5)
    with pytest.raises(LedgerError, match="password authentication failed"):
        requests(database.replace(PASSWORD, "wrong"), 5)
