"""Which ledger the configuration names: the file of this machine, or a database that several nodes share."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from bm.config.paths import Paths
from bm.config.schema import Config
from bm.config.shared import node_name
from bm.ledger.database import LedgerFile
from bm.ledger.source import Where
from bm.ledger.spool import Spool
from bm.ledger.writer import RETRY, Ledger

_log = logging.getLogger("bm.ledger")


def ledger_of(paths: Paths, config: Config) -> Where:
    """Where the ledger is to be read."""
    return config.ledger.url or paths.ledger


def spool_of(paths: Paths) -> Path:
    """The file of requests on their way to the database, next to ledger.db."""
    return paths.ledger.with_name("spool.db")


def writer_of(paths: Paths, config: Config) -> Ledger:
    """What writes the ledger. It is to be started and stopped."""
    decisions = config.limits.decisions
    if not config.ledger.url:
        return Ledger(LedgerFile(paths.ledger), decisions=decisions)
    # What writes to a database is loaded only where there is one.
    from bm.ledger.shipper import Shipper

    spool = spool_of(paths)
    shipper = Shipper(spool, config.ledger.url, node=node_name(config.shared), retry=RETRY)
    return Ledger(Spool(spool), decisions=decisions, shipper=shipper)


def check_ledger(paths: Paths, config: Config) -> None:
    """Make sure at the start that the database can be used. Blocks for some seconds if it cannot be reached.

    A database that has taken requests of this node before may be away: they wait in the spool.

    Raises:
        ConfigError: it cannot be used; the message names the setting and what helps.
    """
    if not config.ledger.url:
        return
    from bm.database.connection import DatabaseAway, connect, place_of
    from bm.ledger.postgres import prepare

    try:
        with closing(connect(config.ledger.url)) as connection:
            prepare(connection)
    except DatabaseAway as error:
        if not _has_reached(spool_of(paths), place_of(config.ledger.url)):
            raise
        _log.warning("%s; until then requests wait in %s", error, spool_of(paths))


def look(url: str) -> str:
    """Where the database is, which can be used. Blocks, and changes nothing.

    Raises:
        ConfigError: it cannot be used; the message names the setting and what helps.
    """
    from bm.database.connection import connect, place_of

    connect(url).close()
    return place_of(url)


def _has_reached(spool: Path, place: str) -> bool:
    try:
        with closing(Spool(spool)) as opened:
            return spool.exists() and opened.has_reached(place)
    except (sqlite3.Error, OSError):
        return False
