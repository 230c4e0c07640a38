"""Moves a ledger from its file to a database."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from bm.database.connection import connect
from bm.ledger.entry import COLUMNS, FLAGS, Entry
from bm.ledger.postgres import prepare, store
from bm.ledger.source import reading

_BATCH = 2_000
_NEXT = f"""
    SELECT place, {", ".join(COLUMNS)},
        (SELECT document FROM decisions WHERE decisions.id = requests.id) AS decision
    FROM requests WHERE place > :after ORDER BY place LIMIT :count
"""


class Moved(NamedTuple):
    """Requests that were read so far, and how many of them the database did not have yet."""

    read: int
    added: int


def move(path: Path, url: str, *, node: str) -> Generator[Moved, None, None]:
    """Copy the requests in a file to a database as those of a node, part by part, with the decisions behind them. What
    was copied before is passed over, by the ids of the requests. The file stays as it is.

    Raises:
        LedgerError: the file cannot be read.
        ConfigError: the database cannot be used; what was yielded so far is in it.
    """
    moved, after = Moved(0, 0), 0
    with closing(connect(url)) as connection, reading(path) as source:
        prepare(connection)
        while source and (rows := source.rows(_NEXT, {"after": after, "count": _BATCH})):
            after = rows[-1]["place"]
            added = store(connection, [_entry(row) for row in rows], node=node)
            moved = Moved(moved.read + len(rows), moved.added + added)
            yield moved


def _entry(row: dict[str, Any]) -> Entry:
    flags = {name: bool(row[name]) for name in FLAGS}
    return Entry(**{name: row[name] for name in COLUMNS} | flags, decision=row["decision"] or b"")
