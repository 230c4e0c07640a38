"""The PostgreSQL server that other tests use."""

from __future__ import annotations

import psycopg

from tests.support.postgres import Server


def test_what_was_committed_survives_a_kill(postgres: Server, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE things AS SELECT 7 AS number")
    postgres.kill()
    postgres.start()
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT number FROM things").fetchall() == [(7,)]
