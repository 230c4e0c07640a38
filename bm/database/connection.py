"""Connections to the database that `[ledger] url` names. Errors name that setting and never contain its password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from bm.errors import ConfigError

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

    Connection: TypeAlias = psycopg.Connection[TupleRow]

SETTING: Final = "ledger.url"
OLDEST: Final = 12
"""The oldest major version of PostgreSQL that bm is made for."""
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


class DatabaseAway(ConfigError):
    """The database cannot be reached, refuses the login, or has closed the connection."""


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
        # A password with a sign that ends it is taken for a port, which messages quote.
        if all(port.isdecimal() for port in str(given.get("port") or 5432).split(",")):
            return _DEFAULTS | given
        raise ValueError
    except (psycopg.Error, ValueError):
        form = "postgresql://USER:PASSWORD@HOST:5432/DATABASE; in a password write %40 for @ and %2F for /"
        raise ConfigError("is not the URL of a PostgreSQL database", key=SETTING, hint=form) from None


def connect(url: str) -> Connection:
    """A connection, each statement of which is a transaction of its own. Blocks.

    Raises:
        DatabaseAway: there is none to be had now.
        ConfigError: psycopg is not installed, the URL is none of PostgreSQL, or the server is too old.
    """
    given = options(url)
    import psycopg

    with reported():
        connection = psycopg.connect(**given, autocommit=True)
    if (version := connection.info.server_version // 10_000) < OLDEST:
        connection.close()
        raise ConfigError(f"PostgreSQL {version} is too old: bm needs {OLDEST} or newer", key=SETTING)
    return connection


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors of psycopg within the block into bm's.

    Raises:
        DatabaseAway: the connection is lost or cannot be made.
        ConfigError: the database refuses what was asked.
    """
    import psycopg

    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseAway(f"the database cannot be reached: {_words(error)}", key=SETTING) from error
    except psycopg.errors.InsufficientPrivilege as error:
        remedy = "GRANT CREATE, USAGE ON SCHEMA public TO the user, or let it own the database"
        raise ConfigError(f"the database refuses: {_words(error)}", key=SETTING, hint=remedy) from error
    except psycopg.Error as error:
        raise ConfigError(f"the database refuses: {_words(error)}", key=SETTING) from error


def _words(error: Exception) -> str:
    """What the server or the library says, on one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line) or type(error).__name__


def place_of(url: str) -> str:
    """Where the database is, without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
