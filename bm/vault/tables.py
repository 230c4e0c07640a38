"""The tables of the vault in PostgreSQL: a row for each account and key, sealed, and the version of them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, LiteralString, NamedTuple

import msgspec

from bm.accounts.credentials import Credentials, table_of
from bm.accounts.credentials import content_of as credentials_in
from bm.database.connection import number
from bm.errors import AccountError
from bm.keys.file import StoredKeys, tables_of
from bm.keys.file import content_of as keys_in
from bm.vault.seal import Seal, Sealed

if TYPE_CHECKING:
    from bm.database.connection import Connection

PART: Final = "vault"
STEPS: Final[tuple[LiteralString, ...]] = (
    """
    CREATE TABLE bm_vault (version bigint NOT NULL);
    INSERT INTO bm_vault (version) VALUES (0);
    CREATE TABLE bm_sealed (
        kind text NOT NULL,
        provider text NOT NULL,
        name text NOT NULL,
        place integer NOT NULL,
        seal text NOT NULL,
        data bytea NOT NULL,
        PRIMARY KEY (kind, provider, name)
    )
    """,
)
CHANNEL: Final = "bm_vault"
"""Where nodes hear of changes, by NOTIFY."""


class Id(NamedTuple):
    """What a row holds: an account of a provider, a client's key, or bm's own key."""

    kind: Literal["account", "key", "main"]
    provider: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"the {self.kind} {self.provider}{'/' if self.provider else ''}{self.name}".rstrip()


MAIN: Final = Id("main")
Rows = Mapping[Id, bytes]
"""The opened rows, in their order."""


class Stored(NamedTuple):
    """All rows. Each change has a higher `version`. `unopened` are those that cannot be opened here, and why."""

    version: int
    rows: Rows
    unopened: Mapping[Id, str] = {}

    def notes(self, kind: str) -> tuple[str, ...]:
        """What to know of the accounts, or of the keys, that cannot be opened."""
        return tuple(f"is not used: {why}" for each, why in self.unopened.items() if each.kind == kind)


def version_of(connection: Connection, *, locked: bool = False) -> int:
    """The version; `locked` until the transaction ends, so that nothing else changes the rows."""
    query: LiteralString = "SELECT version FROM bm_vault FOR UPDATE" if locked else "SELECT version FROM bm_vault"
    return number(connection, query)


def read(connection: Connection, seal: Seal, *, locked: bool = False) -> Stored:
    """All rows, opened.

    Raises:
        AccountError: none can be opened, or bm's own key cannot.
    """
    version = version_of(connection, locked=locked)
    found = connection.execute(_GET).fetchall()
    rows: dict[Id, bytes] = {}
    unopened: dict[Id, str] = {}
    for kind, provider, name, key, data in found:
        each = Id(kind, provider, name)
        try:
            rows[each] = seal.open(Sealed(key, bytes(data)), str(each))
        except AccountError as error:
            if each == MAIN:
                raise
            unopened[each] = str(error)
    if unopened and not rows:
        raise AccountError(next(iter(unopened.values())))
    return Stored(version, rows, unopened)


def write(connection: Connection, seal: Seal, old: Stored, new: Rows, *, every: bool = False) -> Stored:
    """Replace the rows within a transaction that has locked them, and notify every node. `every` row is sealed anew.

    Those that could not be opened stay.

    Raises:
        AccountError: a new row would replace one of those, or `every` row should be sealed.
    """
    for each, why in old.unopened.items():
        if every or each in new:
            raise AccountError(why)
    for each in old.rows.keys() - new.keys():
        query: LiteralString = "DELETE FROM bm_sealed WHERE kind = %s AND provider = %s AND name = %s"
        connection.execute(query, each)
    before = {each: (place, plain) for place, (each, plain) in enumerate(old.rows.items())}
    for place, (each, plain) in enumerate(new.items()):
        if every or before.get(each) != (place, plain):
            sealed = seal.seal(plain, str(each))
            connection.execute(_PUT, (*each, place, sealed.key, sealed.data))
    version = number(connection, "UPDATE bm_vault SET version = version + 1 RETURNING version")
    connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(version)))
    return Stored(version, new, old.unopened)


_GET: LiteralString = "SELECT kind, provider, name, seal, data FROM bm_sealed ORDER BY place, kind, provider, name"
_PUT: LiteralString = (
    "INSERT INTO bm_sealed (kind, provider, name, place, seal, data) VALUES (%s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (kind, provider, name)"
    " DO UPDATE SET place = excluded.place, seal = excluded.seal, data = excluded.data"
)


def credentials_of(rows: Rows, where: str) -> Credentials:
    """The accounts and bm's own key. `where` names the database in errors and warnings.

    Raises:
        AccountError: an account cannot be used.
    """
    return credentials_in(_account_table(rows), where)


def with_credentials(rows: Rows, credentials: Credentials, where: str) -> Rows:
    """The rows with other accounts. What a newer bm has written stays.

    Raises:
        AccountError: an account has the name of one that needs a newer bm.
    """
    table = table_of(_account_table(rows), credentials, where)
    main = {MAIN: table["local_key"].encode()} if table["local_key"] else {}
    accounts = {Id("account", row.get("provider", "gemini"), row["name"]): _encode(row) for row in table["accounts"]}
    return main | accounts | {each: plain for each, plain in rows.items() if each.kind == "key"}


def keys_of(rows: Rows, where: str) -> StoredKeys:
    """The keys of clients. `where` names the database in errors and warnings.

    Raises:
        AccountError: one cannot be a key.
    """
    return keys_in([_decode(plain) for each, plain in rows.items() if each.kind == "key"], where)


def with_keys(rows: Rows, stored: StoredKeys) -> Rows:
    """The rows with other keys."""
    keys = {Id("key", "", str(row["name"])): _encode(row) for row in tables_of(stored)}
    return {each: plain for each, plain in rows.items() if each.kind != "key"} | keys


def _account_table(rows: Rows) -> dict[str, Any]:
    accounts = [_decode(plain) for each, plain in rows.items() if each.kind == "account"]
    return {"accounts": accounts} | ({"local_key": rows[MAIN].decode()} if MAIN in rows else {})


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
