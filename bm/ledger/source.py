"""What the ledger is read from: a SQLite file or a PostgreSQL database, behind the same tables.

The queries of `reader` are written once. Each source shows them `requests`, `totals` and `decisions` with the same
columns: `hour` and `day` of local time, the `node` that served, and `place`, by which the latest comes last.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from bm.errors import BmError, ConfigError
from bm.ledger.database import primary_code
from bm.ledger.entry import LARGEST
from bm.names import MAIN_KEY

if TYPE_CHECKING:
    from bm.database.connection import Connection

Where: TypeAlias = Path | str
"""The file of the ledger, or the URL of its database."""

PATIENCE = 2.0
"""Seconds to wait while another process holds the file's lock."""

_ADDED = ((3, "key", MAIN_KEY), (4, "tool", ""))
"""Columns of later versions of the schema, and what holds for older files. Only the writer migrates, and a file may not
have had one yet."""

_IN_FILE = """
    CREATE TEMP VIEW requests AS SELECT *, {lacking} '' AS node, seq AS place,
        strftime('%Y-%m-%d', at, 'unixepoch', 'localtime') AS day,
        strftime('%Y-%m-%d %H:00', at, 'unixepoch', 'localtime') AS hour
    FROM main.requests;
    CREATE TEMP VIEW decisions AS SELECT *, seq AS place FROM main.decisions;
"""
_TOTALS_IN_FILE = "CREATE TEMP VIEW totals AS SELECT *, '' AS node FROM main.totals;"

_IN_DATABASE = """
    WITH requests AS NOT MATERIALIZED (SELECT *, left(hour, 10) AS day, ended AS place FROM bm_requests),
        decisions AS NOT MATERIALIZED (SELECT *, ended AS place FROM bm_decisions),
        totals AS NOT MATERIALIZED (SELECT * FROM bm_totals)
"""
_LIMIT = "SET LOCAL statement_timeout = '30s'"
_PARAMETER = re.compile(r":([a-z]+)")


class LedgerError(BmError):
    """The ledger cannot be read."""


class Source(Protocol):
    """An open ledger. `elements` is a query for the elements of the JSON list in the parameter `billed`."""

    elements: str
    has_totals: bool

    def rows(self, query: str, given: Mapping[str, Any] = {}) -> list[dict[str, Any]]:
        """The rows of a query with parameters such as `:since`."""
        ...


def reading(where: Where) -> AbstractContextManager[Source | None]:
    """The ledger, open for reading; None if there is no file, or an empty one.

    Raises:
        LedgerError: it cannot be read.
    """
    return _reading_file(where) if isinstance(where, Path) else _reading_database(where)


class _File:
    elements = "SELECT value FROM json_each(:billed)"

    def __init__(self, ledger: sqlite3.Connection, version: int) -> None:
        self._ledger = ledger
        lacking = "".join(f"'{value}' AS {name}, " for since, name, value in _ADDED if version < since)
        self.has_totals = bool(ledger.execute("SELECT 1 FROM sqlite_schema WHERE name = 'totals'").fetchone())
        ledger.executescript(_IN_FILE.format(lacking=lacking) + (_TOTALS_IN_FILE if self.has_totals else ""))

    def rows(self, query: str, given: Mapping[str, Any] = {}) -> list[dict[str, Any]]:
        return [dict(row) for row in self._ledger.execute(query, dict(given))]


@contextmanager
def _reading_file(path: Path) -> Iterator[Source | None]:
    if not path.exists():
        yield None
        return
    try:
        with closing(_opened(path)) as ledger:
            version: int = ledger.execute("PRAGMA user_version").fetchone()[0]
            yield _File(ledger, version) if version else None
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: cannot be read: {error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    """A read-only connection; where SQLite cannot create files beside the ledger, one that takes no locks."""
    try:
        return _connected(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if primary_code(error) != sqlite3.SQLITE_CANTOPEN:
            raise
    return _connected(path, "immutable=1")


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    ledger = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=PATIENCE)
    ledger.row_factory = sqlite3.Row
    try:
        ledger.execute("SELECT 1 FROM sqlite_schema LIMIT 1")
    except sqlite3.Error:
        ledger.close()
        raise
    return ledger


class _Database:
    elements = "SELECT jsonb_array_elements_text(CAST(:billed AS jsonb))"
    has_totals = True

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, query: str, given: Mapping[str, Any] = {}) -> list[dict[str, Any]]:
        written = _PARAMETER.sub(r"%(\1)s", f"{_IN_DATABASE} {query}".replace("%", "%%"))
        cursor = self._connection.execute(written.encode(), dict(given))
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, map(_plain, row), strict=True)) for row in cursor]


def _plain(value: Any) -> Any:
    """Sums of whole numbers are decimals in PostgreSQL, without an upper bound."""
    return min(int(value), LARGEST) if isinstance(value, Decimal) else value


@contextmanager
def _reading_database(url: str) -> Iterator[Source]:
    from bm.database.connection import connect, reported

    try:
        with closing(connect(url)) as connection, reported():
            connection.read_only = True
            with connection.transaction():
                connection.execute(_LIMIT)
                yield _Database(connection)
    except ConfigError as error:
        raise LedgerError(str(error)) from error
