"""PostgreSQL: connections, the schema `bm` and its migrations, and errors that name the setting and the remedy.

psycopg is an optional dependency and takes time to import, so functions import it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from bm.errors import ConfigError

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

KEY: Final = "ledger.url"
"""The setting that names the database."""

OLDEST: Final = 15
"""The oldest version that PostgreSQL maintains (postgresql.org/support/versioning, 30 November 2026: 14 ended on 12
November 2026), and the oldest one that bm is tested with."""

INSTALL: Final = "pipx inject better-manager 'psycopg[binary]', or pip install 'better-manager[postgres]'"

_CONNECT = 5
"""Seconds to connect, for each address of the host."""
_SILENCE = 10_000
"""Milliseconds without an acknowledgement after which a connection is given up, where the system can do that."""
_LOCKED = "30s"
"""How long a migration waits for another node's, and for readers."""
_MIGRATING = 0x626D_0001
"""The advisory lock of migrations: `bm` and a number."""

_AWAY = (
    "resolve host",
    "translate host name",
    "could not connect",
    "connection refused",
    "timeout expired",
    "timed out",
    "is the server running",
    "unreachable",
    "no route to host",
    "closed the connection unexpectedly",
    "connection reset",
    "starting up",
    "shutting down",
    "recovery mode",
    "not yet accepting connections",
    "too many c",
    "remaining connection slots",
)
"""Words of errors that pass: the network's, and those of a server that starts, stops or is busy."""
_ENDED = ("57P", "08")
"""The states of an operator's intervention, such as a shutdown, and of connections that break
(postgresql.org/docs/current/errcodes-appendix.html)."""
_REFUSALS = (
    ("password authentication failed", "correct the user or the password in it"),
    ("no password supplied", "write it before the @, set PGPASSWORD, or name a passfile"),
    ("does not exist", "create it on the server, or correct its name: createdb NAME, createuser NAME"),
    ("not permitted to log in", "ALTER ROLE … LOGIN on the server"),
    ("no pg_hba.conf entry", "let pg_hba.conf of the server admit this user, database and address"),
    ("does not support ssl", "remove sslmode from it, or turn on TLS on the server"),
    ("certificate", "check sslmode and sslrootcert in it"),
)
"""Words of refusals, as the client or a server that speaks English says them, and what helps."""


class DatabaseAway(ConfigError):
    """The database cannot be reached now: the network or the server is down, or the address is wrong."""


def connect(url: str) -> Connection:
    """Connect, with explicit transactions only.

    Raises:
        DatabaseAway: it cannot be reached now.
        ConfigError: it refuses, psycopg is not installed, or the URL cannot be read.
    """
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict, make_conninfo
    except ImportError as error:
        message = f"needs psycopg, which is not installed or lacks libpq ({error})"
        raise ConfigError(message, key=KEY, hint=INSTALL) from None
    defaults: dict[str, Any] = {"application_name": "bm", "connect_timeout": _CONNECT, "tcp_user_timeout": _SILENCE}
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        # The error quotes the URL, which may hold a password.
        hint = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with % as %25 and @ as %40 in the password"
        raise ConfigError("cannot be read as the URL of a database", key=KEY, hint=hint) from None
    try:
        # Statements are not prepared, because poolers such as PgBouncer may change the session under a client.
        target = make_conninfo("", **{**defaults, **given, "client_encoding": "UTF8"})
        return psycopg.connect(target, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise explained(error) from None


def explained(error: psycopg.Error) -> ConfigError:
    """An error of the database as one that names the setting and the remedy."""
    from psycopg import errors

    said = " ".join(str(error).split()).removeprefix("connection failed: ")
    lower = said.lower()
    if error.sqlstate is None and any(words in lower for words in _AWAY):
        hint = "start it, or correct host and port"
        return DatabaseAway(f"the database cannot be reached: {said}", key=KEY, hint=hint)
    remedy = next((remedy for words, remedy in _REFUSALS if error.sqlstate is None and words in lower), "")
    if isinstance(error, errors.InsufficientPrivilege):
        remedy = "let its owner run: GRANT CREATE, TEMPORARY ON DATABASE … TO …; or use its owner in the URL"
    elif isinstance(error, errors.ReadOnlySqlTransaction):
        remedy = "it is a replica: name the primary, or several hosts with target_session_attrs=read-write"
    elif isinstance(error, errors.LockNotAvailable):
        remedy = "another node or session holds the tables: try again"
    elif (error.sqlstate or "").startswith(_ENDED) or (error.sqlstate is None and _is_lost(error)):
        return DatabaseAway(f"the database has ended the connection: {said}", key=KEY)
    return ConfigError(f"the database refuses: {said}", key=KEY, hint=remedy)


def _is_lost(error: psycopg.Error) -> bool:
    """Whether a connection broke that had been there."""
    return "connection failed" not in str(error) and "connection" in str(error)


def migrate(connection: Connection, part: str, migrations: Sequence[str]) -> None:
    """Bring the tables of a part of bm to the latest version, in one transaction. Several nodes may do so at once.

    Raises:
        ConfigError: the server is older than `OLDEST`, its encoding is not UTF8, a newer bm has written the tables, or
            there are no rights to create them.
    """
    import psycopg

    _check(connection)
    try:
        with connection.transaction():
            if _version(connection, part) == len(migrations):
                return
            connection.execute(f"SET LOCAL lock_timeout = '{_LOCKED}'")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATING,))
            if not _exists(connection, "to_regnamespace('bm')"):
                connection.execute("CREATE SCHEMA bm")
            if not _exists(connection, "to_regclass('bm.versions')"):
                connection.execute("CREATE TABLE bm.versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL)")
            version = _version(connection, part)
            if version > len(migrations):
                message = f"a newer version of bm has written its tables (version {version} of {part})"
                raise ConfigError(message, key=KEY, hint=f"upgrade this bm, which knows version {len(migrations)}")
            for script in migrations[version:]:
                connection.execute(script.encode())
            applied = (
                "INSERT INTO bm.versions VALUES (%s, %s) ON CONFLICT (part) DO UPDATE SET version = excluded.version"
            )
            connection.execute(applied, (part, len(migrations)))
    except psycopg.Error as error:
        raise explained(error) from error


def _check(connection: Connection) -> None:
    version = connection.info.server_version // 10_000
    if version < OLDEST:
        message = f"the server is PostgreSQL {version}; bm needs {OLDEST} or newer"
        raise ConfigError(message, key=KEY, hint="upgrade the server")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        hint = "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'"
        raise ConfigError(f"the encoding of the database is {encoding}; bm needs UTF8", key=KEY, hint=hint)


def _exists(connection: Connection, what: str) -> bool:
    row = connection.execute(f"SELECT {what} IS NOT NULL").fetchone()
    return row is not None and bool(row[0])


def _version(connection: Connection, part: str) -> int:
    """The version of the part's tables; 0 if there are none."""
    if not _exists(connection, "to_regclass('bm.versions')"):
        return 0
    row = connection.execute("SELECT version FROM bm.versions WHERE part = %s", (part,)).fetchone()
    return row[0] if row else 0
