"""The tables in PostgreSQL: each request once, in the sums of its day. Real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bm.database.connection import connect
from bm.database.migrations import migrate
from bm.errors import ConfigError
from bm.ledger.database import DAY, KEEP_DAYS
from bm.ledger.entry import Entry
from bm.ledger.postgres import MIGRATIONS, PART, forget, prepare, store
from bm.ledger.reader import decision, requests, usage
from tests.ledger.entries import entry
from tests.support.postgres import PASSWORD, USER, Server

if TYPE_CHECKING:
    from bm.database.connection import Connection


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with closing(connect(database)) as opened:
        prepare(opened)
        yield opened


def some(*numbers: int) -> list[Entry]:
    return [entry(id=f"req_{number}", at=2_000_000_000.0 + number) for number in numbers]


def test_what_is_there_already_is_left_as_it_is(database: str, connection: Connection) -> None:
    assert store(connection, some(1, 2), node="one") == 2
    assert store(connection, some(2, 3, 3), node="two") == 1
    assert [(row["id"], row["node"]) for row in requests(database, 9)] == [
        ("req_3", "two"),
        ("req_2", "one"),
        ("req_1", "one"),
    ]
    total = usage(database, since=0, by="node")
    assert [(row["name"], row["requests"], row["cost"]) for row in total["rows"]] == [("one", 2, 0.5), ("two", 1, 0.25)]


def test_nodes_that_write_the_same_at_once_write_it_once(database: str, connection: Connection) -> None:
    def write(start: int) -> int:
        with closing(connect(database)) as own:
            return sum(store(own, some(*range(first, first + 40)), node="one") for first in range(start, 100, 20))

    with ThreadPoolExecutor(4) as nodes:
        assert sum(nodes.map(write, (0, 5, 10, 15))) == 135
    assert usage(database, since=0, by="day")["total"]["requests"] == len(requests(database, 1_000)) == 135


def test_what_breaks_off_leaves_nothing(database: str, connection: Connection) -> None:
    connection.execute("DROP TABLE bm_totals")
    with pytest.raises(ConfigError, match=r"ledger\.url: the database refuses: relation .*bm_totals"):
        store(connection, some(1), node="one")
    assert connection.execute("SELECT count(*) FROM bm_requests").fetchone() == (0,)


def test_the_decisions_of_each_node_are_bounded(database: str, connection: Connection) -> None:
    store(connection, some(*range(10)), node="one")
    store(connection, some(*range(10, 12)), node="two")
    forget(connection, node="one", decisions=3)
    assert [number for number in range(12) if decision(database, f"req_{number}")] == [7, 8, 9, 10, 11]
    assert len(requests(database, 100)) == 12


def test_old_requests_are_removed_with_their_totals_and_decisions(database: str, connection: Connection) -> None:
    now = time.time()
    old, recent = now - (KEEP_DAYS + 1) * DAY, now - (KEEP_DAYS - 1) * DAY
    both = [entry(id="old", at=old, decision=b"{}"), entry(id="recent", at=recent, decision=b"{}")]
    store(connection, both, node="a pod that is no more")
    forget(connection, node="one", decisions=9)
    assert decision(database, "old") is None and decision(database, "recent") == {}
    assert [row["id"] for row in requests(database, 9)] == ["recent"]
    assert usage(database, since=0, by="day")["total"]["requests"] == 1


def test_tables_of_a_newer_version_are_refused(connection: Connection) -> None:
    migrate(connection, PART, (*MIGRATIONS, "SELECT 1"))
    with pytest.raises(ConfigError, match=r"ledger\.url: the database belongs to a newer bm: its tables for ledger"):
        prepare(connection)


def test_who_may_only_read_hears_so_at_the_start(postgres: Server, database: str, connection: Connection) -> None:
    postgres.admin("CREATE ROLE reader LOGIN PASSWORD 'reads'")
    connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    url = database.replace(USER, "reader", 1).replace(PASSWORD, "reads")
    refused = pytest.raises(ConfigError, match=r"ledger\.url: .*: permission denied for table bm_requests")
    with closing(connect(url)) as reader, refused:
        prepare(reader)
    connection.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM reader")
    postgres.admin("DROP ROLE reader")
