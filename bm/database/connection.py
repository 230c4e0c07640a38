"""Connections to the database that `[ledger] url` names. Errors name that setting and never contain its password."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, LiteralString, TypeAlias

from bm.errors import ConfigError

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

    Connection: TypeAlias = psycopg.Connection[TupleRow]

SETTING: Final = "ledger.url"
OLDEST: Final = 15
"""The oldest version that PostgreSQL maintains, and the oldest that bm is tested with. 14 ended on 12 November 2026
(postgresql.org/support/versioning)."""
_DEFAULTS: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "application_name": "bm",
    # A server that vanishes without a word is noticed within about ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What holds unless the URL says otherwise."""


_AWAY: Final = (
    "resolve host",
    "translate host name",
    "connection refused",
    "timeout expired",
    "timed out",
    "is the server running",
    "unreachable",
    "no route to host",
    "connection reset",
    "closed the connection",
    "broken pipe",
    "starting up",
    "shutting down",
    "recovery mode",
    "not yet accepting connections",
    "too many c",
    "connection slots",
)
"""Words of errors that pass: the network's, those of a server that starts, stops or is busy, and of a proxy before one
that is down. The error of a failed connection has no SQLSTATE."""
_ENDED: Final = ("57P", "08")
"""The SQLSTATEs of an operator's intervention, such as a shutdown, and of broken connections
(postgresql.org/docs/current/errcodes-appendix.html)."""
_REMEDIES: Final = (
    ("password authentication failed", "correct the user or the password in it"),
    ("no password supplied", "write it before the @, set PGPASSWORD, or name a passfile"),
    ("does not exist", "create it on the server, or correct its name: createuser NAME, createdb -O USER NAME"),
    ("not permitted to log in", "ALTER ROLE … LOGIN on the server"),
    ("no pg_hba.conf entry", "let pg_hba.conf of the server admit this user, database and address"),
    ("does not support ssl", "remove sslmode from it, or turn on TLS on the server"),
    ("certificate", "check sslmode and sslrootcert in it"),
)
"""Words of a refused login, as the library and a server that speaks English say them, and what helps."""
_RIGHTS = "let the user own the database, or GRANT CREATE, USAGE ON SCHEMA public and TEMPORARY ON DATABASE … to it"
_REPLICA = "it is a replica: name the primary, or several hosts with target_session_attrs=read-write"
_HELD = "another node or session holds the tables: try again"


class DatabaseAway(ConfigError):
    """The database cannot be reached now, or has closed the connection: the network or the server is down, or the URL
    names another place."""

    passes = True


def options(url: str) -> dict[str, Any]:
    """What to connect with.

    Raises:
        ConfigError: psycopg is not installed, or the URL is none of PostgreSQL.
    """
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        remedy = "pipx inject better-manager 'psycopg[binary]', or pip install 'better-manager[postgres]'"
        raise ConfigError("needs the package psycopg, which is not installed", key=SETTING, hint=remedy) from None
    try:
        given = conninfo_to_dict(url)
        # A password with a sign that ends it is taken for a port, a host or a name, which messages quote.
        ports = str(given.get("port") or 5432).split(",")
        is_cut = any("@" in str(given.get(name)) for name in ("host", "dbname"))
        if all(port.isdecimal() for port in ports) and not is_cut:
            return _DEFAULTS | given | {"client_encoding": "UTF8"}
        raise ValueError
    except (psycopg.Error, ValueError):
        form = "postgresql://USER:PASSWORD@HOST:5432/DATABASE; in a password write %40 for @ and %2F for /"
        raise ConfigError("is not the URL of a PostgreSQL database", key=SETTING, hint=form) from None


def connect(url: str) -> Connection:
    """A connection, each statement of which is a transaction of its own. Blocks.

    Raises:
        DatabaseAway: there is none to be had now.
        ConfigError: psycopg is not installed, the URL is none of PostgreSQL, the login is refused, the server is too
            old, or the database cannot hold every text.
    """
    given = options(url)
    import psycopg

    with reported():
        # Statements are not prepared on the server: a pooler such as PgBouncer may change the session under a client.
        connection = psycopg.connect(**given, autocommit=True, prepare_threshold=None)
    try:
        _check(connection)
    except ConfigError:
        connection.close()
        raise
    return connection


def _check(connection: Connection) -> None:
    if (version := connection.info.server_version // 10_000) < OLDEST:
        hint = "upgrade the server"
        raise ConfigError(f"PostgreSQL {version} is too old: bm needs {OLDEST} or newer", key=SETTING, hint=hint)
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        hint = "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'"
        raise ConfigError(f"the database's encoding is {encoding}: bm needs UTF8", key=SETTING, hint=hint)


def number(connection: Connection, query: LiteralString, values: Sequence[object] = ()) -> int:
    """The number that a query yields."""
    row = connection.execute(query, values or None).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors of psycopg within the block into bm's.

    Raises:
        DatabaseAway: the connection is lost or cannot be made now.
        ConfigError: the database refuses the login or what was asked.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _explained(error) from error


def _explained(error: psycopg.Error) -> ConfigError:
    """An error of psycopg as one of bm, with what helps."""
    import psycopg
    from psycopg import errors

    words = _words(error)
    if _is_away(error, words.lower()):
        hint = "start it, or correct host and port"
        return DatabaseAway(f"the database cannot be reached: {words}", key=SETTING, hint=hint)
    hint = ""
    if isinstance(error, errors.InsufficientPrivilege):
        hint = _RIGHTS
    elif isinstance(error, errors.ReadOnlySqlTransaction):
        hint = _REPLICA
    elif isinstance(error, errors.LockNotAvailable):
        hint = _HELD
    elif isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        hint = next((remedy for known, remedy in _REMEDIES if known in words.lower()), "")
    return ConfigError(f"the database refuses: {words}", key=SETTING, hint=hint)


def _is_away(error: psycopg.Error, words: str) -> bool:
    import psycopg

    if error.sqlstate is not None:
        return error.sqlstate.startswith(_ENDED)
    if isinstance(error, psycopg.InterfaceError) or "connection failed" not in words:
        # A connection that had been there.
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return any(known in words for known in _AWAY)


def _words(error: Exception) -> str:
    """What the server or the library says, on one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line) or type(error).__name__


def place_of(url: str) -> str:
    """Where the database is, without user, password and options."""
    scheme, _, rest = url.partition("://")
    # A password may hold what ends the host elsewhere.
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
