"""The tables are made once, by one node, and never for an older bm. Real server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import LiteralString

import pytest

from bm.database.connection import connect
from bm.database.migrations import migrate
from bm.errors import ConfigError
from tests.support.postgres import Server

STEPS = ("CREATE TABLE one (id integer)", "CREATE TABLE two (id integer)")


def run(url: str, *steps: str, part: str = "things") -> None:
    with closing(connect(url)) as connection:
        migrate(connection, part, steps)


def tables(url: str) -> set[str]:
    with closing(connect(url)) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in rows}


def test_each_step_is_taken_once(database: str) -> None:
    run(database, STEPS[0])
    run(database, *STEPS)
    run(database, *STEPS)
    run(database, "CREATE TABLE three (id integer)", part="others")
    assert tables(database) == {"bm_migrations", "one", "two", "three"}


def test_nodes_that_start_at_once_do_not_hinder_each_other(database: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: run(database, *STEPS), range(8)))
    assert tables(database) == {"bm_migrations", "one", "two"}


def test_a_step_that_fails_leaves_nothing(database: str) -> None:
    with pytest.raises(ConfigError, match=r"ledger\.url.*refuses.*syntax error"):
        run(database, STEPS[0], "CREATE TABLED")
    assert tables(database) == set()


def test_the_tables_of_a_newer_bm_are_left_alone(database: str) -> None:
    run(database, *STEPS)
    with pytest.raises(ConfigError, match="belongs to a newer bm: its tables for things are of version 2"):
        run(database, STEPS[0])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("REVOKE ALL ON SCHEMA public FROM public", "permission denied.*let the user own the database"),
        ("SET default_transaction_read_only = on", "read-only transaction.*it is a replica: name the primary"),
    ],
)
def test_who_may_not_make_tables_hears_what_helps(
    postgres: Server, database: str, command: LiteralString, words: str
) -> None:
    postgres.admin(f"ALTER DATABASE {database.rpartition('/')[2]} OWNER TO postgres")
    with closing(connect(database)) as connection:
        if command.startswith("SET"):
            connection.execute(command)
        with pytest.raises(ConfigError, match=rf"ledger\.url.*{words}"):
            migrate(connection, "things", STEPS)
