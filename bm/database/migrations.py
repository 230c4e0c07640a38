"""The tables in the database: each part of bm has its steps, which are taken once and in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, LiteralString

from bm.database.connection import SETTING, number, reported
from bm.errors import ConfigError

if TYPE_CHECKING:
    from bm.database.connection import Connection

_LOCK: Final = 0x626D_0001
"""The advisory lock of PostgreSQL under which tables are made; a number of bm's own."""
_PATIENCE: Final = "SET LOCAL lock_timeout = '30s'"
"""How long to wait for another node, and for sessions that read the tables."""
_TABLE: Final = (
    "CREATE TABLE bm_migrations (part text NOT NULL, version integer NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (part, version))"
)


def migrate(connection: Connection, part: str, steps: Sequence[LiteralString]) -> None:
    """Take the steps of a part that the database has not seen yet, all or none. Nodes that start at once wait for each
    other.

    Raises:
        ConfigError: a newer bm has taken further steps, or the database refuses one.
        DatabaseAway: the connection is lost.
    """
    with reported(), connection.transaction():
        connection.execute(_PATIENCE)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if number(connection, "SELECT to_regclass('bm_migrations') IS NULL"):
            connection.execute(_TABLE)
        taken = number(connection, "SELECT coalesce(max(version), 0) FROM bm_migrations WHERE part = %s", (part,))
        if taken > len(steps):
            found = f"its tables for {part} are of version {taken}, and this bm knows {len(steps)}"
            raise ConfigError(f"the database belongs to a newer bm: {found}", key=SETTING, hint="update bm here")
        for version, step in enumerate(steps[taken:], taken + 1):
            connection.execute(step)
            connection.execute("INSERT INTO bm_migrations (part, version) VALUES (%s, %s)", (part, version))
