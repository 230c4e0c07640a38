"""The rows of the vault: what a stolen database shows, and what a newer bm has written. Real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from bm.accounts.account import Account, OAuthClient
from bm.accounts.credentials import Credentials
from bm.database.connection import connect
from bm.database.migrations import migrate
from bm.errors import AccountError
from bm.keys.file import StoredKeys, new_key
from bm.keys.key import Key
from bm.vault.seal import Seal
from bm.vault.tables import (
    MAIN,
    PART,
    STEPS,
    Id,
    Rows,
    Stored,
    credentials_of,
    keys_of,
    read,
    with_credentials,
    with_keys,
    write,
)

if TYPE_CHECKING:
    from bm.database.connection import Connection

SEAL = Seal([b"k" * 32])
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
CLIENT = OAuthClient(id="the-client", secret="secret-of-the-client")
WORK = Account(name="work", key="secret-of-work", project="the-project", added_at=NOW, renewed_at=NOW, tier=2)
ME = Account(name="me", kind="google_oauth", key="secret-of-me", client=CLIENT, project="the-project", location="eu")
ROUTER = Account(name="main", provider="openrouter", key="secret-of-openrouter", enabled=False)
STORED = Credentials(local_key="secret-of-bm", accounts=(WORK, ME, ROUTER))
ADA = new_key(Key(name="ada", models=("claude-*",), budgets=("20/day",)), NOW)
ROWS = with_keys(with_credentials({}, STORED, "here"), StoredKeys(keys=(ADA.stored,)))


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with closing(connect(database)) as found:
        migrate(found, PART, STEPS)
        yield found


def saved(connection: Connection, rows: Rows, old: Rows | None = None) -> Stored:
    with connection.transaction():
        return write(connection, SEAL, Stored(0, old or {}), rows)


def test_what_is_written_is_read(connection: Connection) -> None:
    saved(connection, ROWS)
    found = read(connection, SEAL)
    assert credentials_of(found.rows, "here") == STORED
    assert keys_of(found.rows, "here") == StoredKeys(keys=(ADA.stored,))
    assert list(found.rows) == list(ROWS)


def test_the_database_holds_no_secret(connection: Connection) -> None:
    saved(connection, ROWS)
    raw = b""
    for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
        with connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)".encode()) as copy:
            raw += b"".join(bytes(part) for part in copy)
    assert b"openrouter" in raw
    for secret in (b"secret-of", ADA.secret.encode(), ADA.stored.sha256.encode(), b"the-client", b"the-project"):
        assert secret not in raw


def test_only_what_has_changed_is_written_and_each_change_has_a_version(connection: Connection) -> None:
    query = "SELECT kind, name, data FROM bm_sealed"
    first = saved(connection, ROWS)
    before = connection.execute(query).fetchall()
    changed = msgspec.structs.replace(STORED, accounts=(WORK, ME, msgspec.structs.replace(ROUTER, enabled=True)))
    second = saved(connection, with_credentials(ROWS, changed, "here"), ROWS)
    after = connection.execute(query).fetchall()
    assert [row[1] for row in set(after) - set(before)] == ["main"]
    assert second.version == first.version + 1 == read(connection, SEAL).version


def test_rows_that_are_exchanged_are_noticed(connection: Connection) -> None:
    saved(connection, ROWS)
    connection.execute("UPDATE bm_sealed SET data = (SELECT data FROM bm_sealed WHERE name = 'me') WHERE name = 'work'")
    assert list(found := read(connection, SEAL).unopened) == [Id("account", "gemini", "work")]
    assert "the account gemini/work: was changed or moved" in next(iter(found.values()))


def test_what_a_newer_bm_has_written_stays() -> None:
    newer = {"name": "n", "provider": "gemini", "kind": "passkey"}
    more = {"name": "work", "key": "secret", "colour": "red"}
    key = {"name": "bob", "sha256": "0" * 64, "weekdays": [1, 2]}
    rows = {
        Id("account", "gemini", "n"): msgspec.json.encode(newer),
        Id("account", "gemini", "work"): msgspec.json.encode(more),
        Id("key", "", "bob"): msgspec.json.encode(key),
        MAIN: b"bm-key",
    }
    found, clients = credentials_of(rows, "the database"), keys_of(rows, "the database")
    assert found.warnings == ("the database: of a kind that needs a newer bm, not used: n",)
    assert clients.warnings == ("the database: keys that need a newer bm are not accepted: bob",)
    off = msgspec.structs.replace(found.find("work"), enabled=False)
    again = with_keys(with_credentials(rows, found.change(off), "the database"), clients.add(ADA.stored))
    assert msgspec.json.decode(again[Id("account", "gemini", "n")]) == newer
    assert msgspec.json.decode(again[Id("account", "gemini", "work")])["colour"] == "red"
    assert msgspec.json.decode(again[Id("key", "", "bob")]) == key


def test_an_account_that_this_version_cannot_read_is_named() -> None:
    rows = {Id("account", "gemini", "w"): msgspec.json.encode({"name": "w", "key": "secret-of-w", "weight": "heavy"})}
    with pytest.raises(AccountError, match=r"the database: account number 1: .*update bm on this node") as caught:
        credentials_of(rows, "the database")
    assert "secret-of-w" not in str(caught.value)
