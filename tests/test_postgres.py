"""PostgreSQL: what its errors say, and migrations by several nodes at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from bm import postgres as bm_postgres
from bm.errors import ConfigError
from bm.postgres import DatabaseAway, connect, migrate
from tests.support.postgres import PASSWORD, USER, Server

THINGS = "CREATE TABLE bm.things (name TEXT); INSERT INTO bm.things VALUES ('kept')"
SIZES = "ALTER TABLE bm.things ADD COLUMN size INTEGER NOT NULL DEFAULT 7"


def migrated(url: str, migrations: Sequence[str]) -> None:
    with closing(connect(url)) as connection:
        migrate(connection, "things", migrations)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (PASSWORD, "wrong", "password authentication failed for user .* (correct the user or the password in it)"),
        (f":{PASSWORD}@", "@", "no password supplied (write it before the @, set PGPASSWORD, or name a passfile)"),
        ("/test_", "/none_", 'database "none_.* does not exist (create it on the server'),
        (f"{USER}:", "else:", "correct the user"),
        ("/test_", "?sslmode=require&dbname=test_", "(remove sslmode from it"),
        ("/test_", "?nonsense=1&dbname=test_", "cannot be read as the URL of a database (postgresql://USER:"),
        (PASSWORD, "half%zz", "cannot be read as the URL of a database"),
    ],
)
def test_a_refusal_names_the_setting_and_the_remedy(database: str, old: str, new: str, words: str) -> None:
    assert old in database
    with pytest.raises(ConfigError) as caught:
        connect(database.replace(old, new))
    said = str(caught.value)
    first, _, last = words.partition(".*")
    assert said.startswith("ledger.url: ") and first in said and last in said
    assert PASSWORD not in said and "zz" not in said
    assert not isinstance(caught.value, DatabaseAway)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "nowhere.invalid:{port}"])
def test_a_database_that_cannot_be_reached(free_port: int, host: str) -> None:
    with pytest.raises(DatabaseAway, match=r"ledger\.url: the database cannot be reached: .*start it, or correct host"):
        connect(f"postgresql://{USER}:{PASSWORD}@{host.format(port=free_port)}/bm")


def test_without_psycopg_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"ledger\.url: needs psycopg.*pipx inject better-manager"):
        connect("postgresql://localhost/bm")


def test_tables_are_migrated_and_keep_their_rows(database: str) -> None:
    migrated(database, [THINGS])
    migrated(database, [THINGS, SIZES])
    migrated(database, [THINGS, SIZES])
    with closing(connect(database)) as connection:
        assert connection.execute("SELECT * FROM bm.things").fetchall() == [("kept", 7)]


def test_nodes_that_start_at_once_migrate_once(database: str) -> None:
    slow = f"{THINGS}; SELECT pg_sleep(0.05)"
    with ThreadPoolExecutor(4) as nodes:
        list(nodes.map(lambda _: migrated(database, [slow, SIZES]), range(4)))
    with closing(connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM bm.things").fetchall() == [(1,)]


def test_a_failed_migration_changes_nothing(database: str) -> None:
    migrated(database, [THINGS])
    with pytest.raises(ConfigError, match="the database refuses: relation"):
        migrated(database, [THINGS, f"{SIZES}; SELECT * FROM nowhere"])
    migrated(database, [THINGS, SIZES])


def test_tables_of_a_newer_version_are_refused(database: str) -> None:
    migrated(database, [THINGS, SIZES])
    with pytest.raises(ConfigError, match=r"ledger\.url: a newer version of bm has written .*upgrade this bm"):
        migrated(database, [THINGS])


def test_an_older_server_is_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bm_postgres, "OLDEST", 99)
    with pytest.raises(ConfigError, match=r"the server is PostgreSQL \d+; bm needs 99 or newer \(upgrade the server"):
        migrated(database, [THINGS])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("REVOKE CREATE ON DATABASE {name} FROM PUBLIC; ALTER DATABASE {name} OWNER TO postgres", "GRANT CREATE"),
        ("ALTER DATABASE {name} SET default_transaction_read_only = on", "name the primary"),
    ],
)
def test_without_the_right_to_create_tables(postgres: Server, database: str, command: str, words: str) -> None:
    for each in command.format(name=database.rpartition("/")[2]).split(";"):
        postgres.admin(each)
    with pytest.raises(ConfigError, match=f"ledger.url: the database refuses: .*{words}"):
        migrated(database, [THINGS])


def test_a_database_in_another_encoding_is_refused(postgres: Server) -> None:
    postgres.admin(f"CREATE DATABASE latin OWNER {USER} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(ConfigError, match="the encoding of the database is LATIN1; bm needs UTF8"):
        migrated(postgres.url("latin"), [THINGS])
    postgres.admin("DROP DATABASE latin WITH (FORCE)")


def test_a_connection_that_ends_is_a_database_that_is_away(postgres: Server, database: str) -> None:
    with closing(connect(database)) as connection:
        postgres.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bm'")
        with pytest.raises(DatabaseAway):
            migrate(connection, "things", [THINGS])
