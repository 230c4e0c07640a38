"""What a user hears whose `[ledger] url` does not lead to a database. Real server."""

from __future__ import annotations

import socket

import pytest

from bm.database.connection import DatabaseAway, connect, options, place_of
from bm.errors import ConfigError
from tests.support.postgres import Server

SECRET = "p-ss/w:rd"


def refusal(url: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        connect(url).close()
    assert caught.value.key == "ledger.url"
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("url", [f"postgresql://bm:{SECRET}@host/db", "postgresql://host/db?colour=red"])
def test_what_is_no_url_of_postgresql_is_named_and_not_quoted(url: str) -> None:
    error = refusal(url)
    assert "is not the URL of a PostgreSQL database" in str(error)
    assert "write %40 for @" in error.hint


def test_no_server_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        error = refusal(f"postgresql://bm@127.0.0.1:{probe.getsockname()[1]}/bm")
    assert isinstance(error, DatabaseAway)
    assert "\n" not in str(error)


def test_a_wrong_password_and_an_unknown_database(postgres: Server, database: str) -> None:
    assert "password authentication failed" in str(refusal(postgres.url(password="another")))
    assert 'database "nowhere" does not exist' in str(refusal(postgres.url("nowhere")))


def test_an_old_server(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bm.database.connection.OLDEST", 99)
    assert "is too old: bm needs 99 or newer" in str(refusal(database))


def test_options_of_the_url_win() -> None:
    assert options("postgresql://host/db?connect_timeout=60")["connect_timeout"] == "60"


def test_a_place_is_shown_without_password() -> None:
    assert place_of("postgresql://bm:secret@db.example:5433/bm?sslmode=require") == "postgresql://db.example:5433/bm"
