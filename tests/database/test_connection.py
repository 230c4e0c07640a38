"""What a user hears whose `[ledger] url` does not lead to a database. Real server."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import closing

import pytest

from bm.database.connection import DatabaseAway, connect, options, place_of, reported
from bm.errors import ConfigError
from tests.support.postgres import PASSWORD, USER, Server

SECRET = "p-ss/w:rd"


def refusal(url: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        connect(url).close()
    assert caught.value.key == "ledger.url"
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        f"bm:{SECRET}@host/db",
        f"bm:a@{SECRET}@host/db",
        "bm:p@ssphrase@host/db",
        f"bm:12/{SECRET}@host/db",
        "host/db?colour=red",
    ],
)
def test_what_is_no_url_of_postgresql_is_named_and_not_quoted(url: str) -> None:
    error = refusal(f"postgresql://{url}")
    assert "ssphrase" not in str(error)
    assert "is not the URL of a PostgreSQL database" in str(error)
    assert "write %40 for @" in error.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_no_server_listens(host: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        error = refusal(f"postgresql://bm@{host}:{probe.getsockname()[1]}/bm")
    assert isinstance(error, DatabaseAway) and "correct host and port" in error.hint
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("old", "new", "words", "remedy"),
    [
        (PASSWORD, "another", "password authentication failed", "correct the user or the password"),
        (f"{USER}:", "else:", "password authentication failed", "correct the user or the password"),
        (f":{PASSWORD}@", "@", "no password supplied", "set PGPASSWORD"),
        ("/test_", "/none_", "does not exist", "createdb"),
        ("/test_", "?sslmode=require&dbname=test_", "does not support SSL", "remove sslmode"),
    ],
)
def test_a_refused_login_says_what_helps(database: str, old: str, new: str, words: str, remedy: str) -> None:
    assert old in database
    error = refusal(database.replace(old, new))
    assert words in error.message and remedy in error.hint
    assert not isinstance(error, DatabaseAway) and PASSWORD not in str(error)


def test_a_closed_connection_is_a_database_that_is_away(postgres: Server, database: str) -> None:
    with closing(connect(database)) as connection:
        postgres.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bm'")
        for _ in range(2):
            with pytest.raises(DatabaseAway), reported():
                connection.execute("SELECT 1")


def test_a_proxy_before_a_server_that_is_down_is_a_database_that_is_away() -> None:
    """It takes the connection and closes it at once."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        closing_it = threading.Thread(target=lambda: proxy.accept()[0].close())
        closing_it.start()
        error = refusal(f"postgresql://bm@127.0.0.1:{proxy.getsockname()[1]}/bm")
        closing_it.join()
    assert isinstance(error, DatabaseAway)


def test_without_psycopg_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pipx inject better-manager" in refusal("postgresql://localhost/bm").hint


def test_a_database_in_another_encoding(postgres: Server) -> None:
    postgres.admin(f"CREATE DATABASE latin OWNER {USER} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    assert "encoding is LATIN1: bm needs UTF8" in str(refusal(postgres.url("latin")))
    postgres.admin("DROP DATABASE latin WITH (FORCE)")


def test_an_old_server(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bm.database.connection.OLDEST", 99)
    assert "is too old: bm needs 99 or newer" in str(refusal(database))


def test_options_of_the_url_win() -> None:
    assert options("postgresql://host/db?connect_timeout=60")["connect_timeout"] == "60"


@pytest.mark.parametrize("password", ["secret", "sec#ret", "sec/ret", "sec?ret"])
def test_a_place_is_shown_without_password(password: str) -> None:
    url = f"postgresql://bm:{password}@db.example:5433/bm?sslmode=require"
    assert place_of(url) == "postgresql://db.example:5433/bm"
