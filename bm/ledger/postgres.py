"""The tables of the ledger in PostgreSQL, and what writes to them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from bm.database.connection import number, reported
from bm.database.migrations import migrate
from bm.ledger.database import DAY, KEEP_DAYS, storable
from bm.ledger.entry import COLUMNS, Entry

if TYPE_CHECKING:
    from bm.database.connection import Connection

PART: Final = "ledger"

MIGRATIONS: Final = (
    """
    CREATE TABLE bm_requests (
        id TEXT COLLATE "C" PRIMARY KEY,
        at DOUBLE PRECISION NOT NULL,
        protocol TEXT COLLATE "C" NOT NULL,
        operation TEXT COLLATE "C" NOT NULL,
        model TEXT COLLATE "C" NOT NULL,
        provider TEXT COLLATE "C" NOT NULL,
        account TEXT COLLATE "C" NOT NULL,
        upstream_model TEXT COLLATE "C" NOT NULL,
        stream BOOLEAN NOT NULL,
        status BIGINT NOT NULL,
        finish TEXT COLLATE "C" NOT NULL,
        failure TEXT COLLATE "C" NOT NULL,
        attempts BIGINT NOT NULL,
        first_content DOUBLE PRECISION,
        took DOUBLE PRECISION NOT NULL,
        input BIGINT NOT NULL,
        cache_read BIGINT NOT NULL,
        cache_write BIGINT NOT NULL,
        output BIGINT NOT NULL,
        thinking BIGINT NOT NULL,
        cost DOUBLE PRECISION,
        passed_through BOOLEAN NOT NULL,
        dropped TEXT COLLATE "C" NOT NULL,
        key TEXT COLLATE "C" NOT NULL,
        tool TEXT COLLATE "C" NOT NULL,
        node TEXT COLLATE "C" NOT NULL,
        hour TEXT COLLATE "C" NOT NULL,
        ended DOUBLE PRECISION NOT NULL GENERATED ALWAYS AS (at + took) STORED
    );
    CREATE INDEX bm_requests_at ON bm_requests (at);
    CREATE INDEX bm_requests_ended ON bm_requests (ended);
    CREATE TABLE bm_totals (
        day TEXT COLLATE "C" NOT NULL,
        node TEXT COLLATE "C" NOT NULL,
        provider TEXT COLLATE "C" NOT NULL,
        account TEXT COLLATE "C" NOT NULL,
        upstream_model TEXT COLLATE "C" NOT NULL,
        key TEXT COLLATE "C" NOT NULL,
        tool TEXT COLLATE "C" NOT NULL,
        requests NUMERIC NOT NULL,
        failures NUMERIC NOT NULL,
        input NUMERIC NOT NULL,
        cache_read NUMERIC NOT NULL,
        cache_write NUMERIC NOT NULL,
        output NUMERIC NOT NULL,
        thinking NUMERIC NOT NULL,
        cost DOUBLE PRECISION,
        unpriced NUMERIC NOT NULL,
        PRIMARY KEY (day, node, provider, account, upstream_model, key, tool)
    );
    CREATE TABLE bm_decisions (
        id TEXT COLLATE "C" PRIMARY KEY,
        node TEXT COLLATE "C" NOT NULL,
        ended DOUBLE PRECISION NOT NULL,
        document BYTEA NOT NULL
    );
    CREATE INDEX bm_decisions_ended ON bm_decisions (ended);
    CREATE INDEX bm_decisions_node ON bm_decisions (node, ended);
    """,
)
"""`hour` is that of the node's local time, as it is when the row is written. `ended` is Unix time."""

_QUARTER: Final = 900
"""Offsets of time zones are multiples of a quarter of an hour."""
_FIELDS: Final = (*COLUMNS, "node", "hour")
_LIMIT: Final = "SET LOCAL statement_timeout = '60s'"
_STAGE: Final = f"pg_temp.bm_incoming_{len(MIGRATIONS)}"
"""A pooler may hand over a session in which an earlier version of bm has made its own."""
_INCOMING: Final = f"""
    CREATE TEMPORARY TABLE IF NOT EXISTS {_STAGE} ON COMMIT DELETE ROWS AS
        SELECT {", ".join(_FIELDS)}, CAST('' AS BYTEA) AS document FROM bm_requests WITH NO DATA
"""
_COPY: Final = f"COPY {_STAGE} ({', '.join(_FIELDS)}, document) FROM STDIN"
_COUNTS: Final = ("requests", "failures", "input", "cache_read", "cache_write", "output", "thinking", "unpriced")
_GROUP: Final = "left(hour, 10), node, provider, account, upstream_model, key, tool"
_STORE: Final = f"""
    WITH stored AS (
        INSERT INTO bm_requests ({", ".join(_FIELDS)}) SELECT {", ".join(_FIELDS)} FROM {_STAGE}
        ON CONFLICT (id) DO NOTHING RETURNING *
    ), decided AS (
        INSERT INTO bm_decisions (id, node, ended, document)
        SELECT id, stored.node, stored.ended, document FROM stored JOIN {_STAGE} USING (id)
        WHERE document <> '' ON CONFLICT (id) DO NOTHING
    ), counted AS (
        INSERT INTO bm_totals (
            day, node, provider, account, upstream_model, key, tool,
            requests, failures, input, cache_read, cache_write, output, thinking, cost, unpriced
        )
        SELECT {_GROUP}, count(*), count(*) FILTER (WHERE failure <> ''), sum(input), sum(cache_read), sum(cache_write),
            sum(output), sum(thinking), sum(cost),
            count(*) FILTER (WHERE cost IS NULL AND input::numeric + cache_read + cache_write + output > 0)
        FROM stored GROUP BY {_GROUP} ORDER BY {_GROUP}
        ON CONFLICT (day, node, provider, account, upstream_model, key, tool) DO UPDATE SET
            {", ".join(f"{name} = bm_totals.{name} + excluded.{name}" for name in _COUNTS)},
            cost = CASE WHEN excluded.cost IS NULL THEN bm_totals.cost
                ELSE coalesce(bm_totals.cost, 0) + excluded.cost END
    )
    SELECT count(*) FROM stored
"""
_FORGET: Final = """
    DELETE FROM bm_decisions WHERE node = %s AND ended <= (
        SELECT ended FROM bm_decisions WHERE node = %s ORDER BY ended DESC OFFSET %s LIMIT 1
    )
"""


def prepare(connection: Connection) -> None:
    """Bring the tables up to date, and make sure that they can be written.

    Raises:
        DatabaseAway: the connection is lost.
        ConfigError: the database cannot be used; the message says why.
    """
    migrate(connection, PART, MIGRATIONS)
    store(connection, [], node="")


def store(connection: Connection, entries: Sequence[Entry], *, node: str) -> int:
    """Write requests in one transaction, with their decisions and the totals of their days. Those that are there
    already, by their ids, are left as they are. Returns how many were not.

    Raises:
        DatabaseAway: the connection is lost; all or none are written.
        ConfigError: the database refuses; none are written.
    """
    with reported(), connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_LIMIT)
        cursor.execute(_INCOMING)
        with cursor.copy(_COPY) as copy:
            for entry in entries:
                copy.write_row(_row(entry, node))
        return number(connection, _STORE)


def _row(entry: Entry, node: str) -> list[Any]:
    """The values as PostgreSQL takes them: it stores no NUL in a text."""
    *values, document = storable(entry)
    return [
        *(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in values),
        node,
        _hour(int(entry.at // _QUARTER)),
        document,
    ]


@lru_cache(maxsize=1_000)
def _hour(quarter: int) -> str:
    """The hour of local time that a quarter of an hour since 1970 is in."""
    return time.strftime("%Y-%m-%d %H:00", time.localtime(quarter * _QUARTER))


def forget(connection: Connection, *, node: str, decisions: int) -> None:
    """Keep so many decisions of a node, and nothing that is older than `KEEP_DAYS`, of nodes that are no more either.

    Raises:
        ConfigError: the database refuses.
    """
    oldest = time.time() - KEEP_DAYS * DAY
    with reported():
        connection.execute(_FORGET, (node, node, decisions))
        connection.execute("DELETE FROM bm_decisions WHERE ended < %s", (oldest,))
        connection.execute("DELETE FROM bm_requests WHERE at < %s", (oldest,))
        connection.execute("DELETE FROM bm_totals WHERE day < %s", (_hour(int(oldest // _QUARTER))[:10],))
