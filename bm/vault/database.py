"""The accounts and keys of clients in PostgreSQL, sealed, for every node that has the key of the seal.

A daemon keeps what it has read last. While the database is away, or sealed with a key that this node does not have, it
goes on with that, and cannot change anything. A process that has read nothing yet does not begin. A single row that
cannot be opened is not used, and stays.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bm.accounts import credentials as accounts_file
from bm.accounts.credentials import Credentials, new_local_key
from bm.accounts.store import AccountStore, Change
from bm.config.files import LockTimeout
from bm.config.paths import Paths
from bm.database.connection import connect, place_of, reported
from bm.database.migrations import migrate
from bm.dispatch.target import AccountId
from bm.errors import AccountError, ConfigError
from bm.keys.file import KeyStore, StoredKeys
from bm.tasks import note, report
from bm.vault import tables
from bm.vault.seal import Seal
from bm.vault.tables import Rows, Stored

if TYPE_CHECKING:
    from bm.database.connection import Connection

LOOK_EVERY: Final = 2.0
"""Seconds after which a daemon looks for changes and at its connection, although no node has reported any."""

PAUSE: Final = 5.0
"""Seconds after a failure for which what was read last is taken at once. A connection takes as long to fail."""
SILENCE: Final = 10.0
"""Seconds for which the database may say nothing. That its machine still answers does not mean that it does."""
STANDSTILL: Final = 120
"""Seconds after which the server ends a transaction of a node that does nothing in it. A token may take a minute."""
_NOTE: Final = "accounts in the database"

_log = logging.getLogger("bm.accounts")


class DatabaseVault:
    """The accounts and keys in the database `url`. `seal` reads the keys of the seal, which may change."""

    def __init__(self, url: str, seal: Callable[[], Seal], paths: Paths) -> None:
        self._url, self.seal, self._file = url, seal, paths.accounts
        self.place = place_of(url)
        self.accounts: AccountStore = _Accounts(self, paths.accounts)
        self.keys: KeyStore = _Keys(self)
        self.problem = ""
        self._held: Stored | None = None
        self._is_made = False
        self._failed_at = -math.inf
        self._asked_at: tuple[int, float] | None = None
        """The socket on which the database is asked for the version, and since when."""
        self._asking = threading.Lock()
        """Held while that is cut or ends."""

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection to the database with the vault's tables.

        Raises:
            AccountError: there is none, or it breaks within the block.
        """
        try:
            with closing(connect(self._url)) as connection, reported():
                if not self._is_made:
                    migrate(connection, tables.PART, tables.STEPS)
                    self._is_made = True
                yield connection
        except ConfigError as error:
            found = AccountError(f"the accounts and keys are in a database: {error}")
            found.passes = error.passes
            raise found from error

    def read(self, *, probe: bool = False) -> Stored:
        """What is in the database now, or was when it could last be read. After a failure only a `probe` asks again.

        Raises:
            AccountError: this process has not read it yet, and cannot.
        """
        if self._held is not None and not probe and time.monotonic() - self._failed_at < PAUSE:
            return self._held
        try:
            with self.connected() as connection:
                stored = tables.read(connection, self.seal())
        except AccountError as error:
            self._failed(error)
            if self._held is None:
                raise
            return self._held
        self._succeeded()
        if self._held is not None and stored.unopened:
            before = {each: self._held.rows[each] for each in stored.unopened if each in self._held.rows}
            stored = stored._replace(rows={**stored.rows, **before})
        self._held = stored
        return stored

    def change(self, make: Callable[[Rows], Rows], patience: float, *, every: bool = False) -> Stored:
        """Replace the rows with the result of `make`, while nothing else changes them. `every` row is sealed anew.

        Raises:
            AccountError: `make` raised it, or the database is away or refuses. Nothing is changed.
        """
        with self.connected() as connection, connection.transaction():
            _limit(connection, patience)
            seal = self.seal()
            stored = tables.read(connection, seal, locked=True)
            new = make(stored.rows)
            if every or list(new.items()) != list(stored.rows.items()):
                stored = tables.write(connection, seal, stored, new, every=every)
        self._succeeded()
        return stored

    def reseal(self) -> Stored:
        """Seal every row with the first key.

        Raises:
            AccountError: a row cannot be opened, or the database is away or refuses. Nothing is changed.
        """
        return self.change(lambda rows: rows, 10.0, every=True)

    def local_key(self) -> str:
        """bm's own key, which all nodes share. It is copied to accounts.toml, where commands on this machine find it.

        The first node gives the one that it has.

        Raises:
            AccountError: it cannot be read or stored.
            LockTimeout: another process holds the file for too long.
        """
        own = accounts_file.load(self._file).local_key
        found = tables.credentials_of((self._held or self.read()).rows, self.place).local_key
        if not found:
            offered = own or new_local_key()
            found = self.accounts.update(lambda stored: _with_local_key(stored, offered)).local_key
        if found != own:
            accounts_file.update(self._file, lambda stored: msgspec.structs.replace(stored, local_key=found))
            if own:
                _log.warning("bm's own key in %s is now that of the other nodes, in %s", self._file, self.place)
        return found

    def stamp(self) -> object:
        """The version that was read last, also by `watch`, and what could not be opened."""
        return self._held and (self._held.version, *self._held.unopened.items())

    async def watch(self) -> None:
        """Read what other nodes change, until cancelled."""
        done = threading.Event()
        # A thread of its own: it waits all the time, and the process ends without it.
        threading.Thread(target=self._follow, args=(done,), name="bm-accounts", daemon=True).start()
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY)
                with self._asking:
                    if self._asked_at is not None and time.monotonic() - self._asked_at[1] > SILENCE:
                        _cut(self._asked_at[0])
        finally:
            done.set()

    def _follow(self, done: threading.Event) -> None:
        while not done.is_set():
            try:
                with self.connected() as connection:
                    self._listen(connection, done)
            except AccountError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - the edge of the thread
                report("following the accounts", error, " and was started again")
            done.wait(LOOK_EVERY)

    def _listen(self, connection: Connection, done: threading.Event) -> None:
        connection.execute(b"LISTEN " + tables.CHANNEL.encode())
        while not done.is_set():
            self._asked_at = connection.fileno(), time.monotonic()
            try:
                version = tables.version_of(connection)
            finally:
                # Before the connection is closed, whose number another socket gets then.
                with self._asking:
                    self._asked_at = None
            held = self._held
            if self.problem or held is None or version != held.version or held.unopened:
                self.read(probe=True)
            for _ in connection.notifies(timeout=LOOK_EVERY, stop_after=1):
                """A node has changed something."""

    def _failed(self, error: AccountError) -> None:
        self._failed_at = time.monotonic()
        if self._held is not None and not self.problem:
            self.problem = f"{error}; since {datetime.now():%H:%M} this node goes on with those it has"
            note(_NOTE, self.problem)
            _log.error("%s", self.problem)

    def _succeeded(self) -> None:
        self._failed_at = -math.inf
        if self.problem:
            self.problem = ""
            note(_NOTE, "")
            _log.info("the accounts and keys can be read again from %s", self.place)


class _Accounts:
    """The accounts of a vault."""

    def __init__(self, vault: DatabaseVault, file: Path) -> None:
        self._vault, self._file = vault, file

    def load(self) -> Credentials:
        stored = self._vault.read()
        found = tables.credentials_of(stored.rows, self._vault.place)
        unopened = tuple(f"{self._vault.place}: {note}" for note in stored.notes("account"))
        found = msgspec.structs.replace(found, warnings=(*found.warnings, *unopened))
        if unused := accounts_file.load(self._file).accounts:
            words = f"its {len(unused)} accounts are not used, but those in {self._vault.place} (bm accounts move)"
            return msgspec.structs.replace(found, warnings=(*found.warnings, f"{self._file}: {words}"))
        return found

    def update(self, change: Change, *, patience: float = 10.0) -> Credentials:
        where = self._vault.place

        def make(rows: Rows) -> Rows:
            return tables.with_credentials(rows, change(tables.credentials_of(rows, where)), where)

        return tables.credentials_of(self._vault.change(make, patience).rows, where)

    @contextmanager
    def refreshing(self, account_id: AccountId, patience: float) -> Iterator[None]:
        with self._vault.connected() as connection:
            _lock(connection, account_id, patience, self._vault.place)
            yield
            # The end of the connection releases the lock.


def _lock(connection: Connection, account_id: AccountId, patience: float, place: str) -> None:
    """Hold a lock until the end of the transaction that this begins.

    Raises:
        LockTimeout: another node holds it.
    """
    from psycopg import errors

    number = int.from_bytes(hashlib.sha256("\0".join(account_id).encode()).digest()[:8], signed=True)
    connection.execute("BEGIN")
    _limit(connection, patience)
    try:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (number,))
    except errors.LockNotAvailable:
        raise LockTimeout(Path(place)) from None


class _Keys:
    """The keys of clients of a vault."""

    def __init__(self, vault: DatabaseVault) -> None:
        self._vault = vault

    def load(self) -> StoredKeys:
        stored = self._vault.read()
        found = tables.keys_of(stored.rows, self._vault.place)
        unopened = tuple(f"{self._vault.place}: {note}" for note in stored.notes("key"))
        return msgspec.structs.replace(found, warnings=(*found.warnings, *unopened))

    def update(self, change: Callable[[StoredKeys], StoredKeys], *, patience: float = 10.0) -> StoredKeys:
        where = self._vault.place

        def make(rows: Rows) -> Rows:
            return tables.with_keys(rows, change(tables.keys_of(rows, where)))

        return tables.keys_of(self._vault.change(make, patience).rows, where)


def _cut(descriptor: int) -> None:
    """End the connection of a socket, which wakes the thread that waits for it."""
    with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as duplicate, suppress(OSError):
        duplicate.shutdown(socket.SHUT_RDWR)


def _limit(connection: Connection, patience: float) -> None:
    """Limit how long a transaction waits for locks, and how long it holds them if this process stands still."""
    # For PostgreSQL, 0 is no limit.
    query = "SELECT set_config('lock_timeout', %s, true), set_config('idle_in_transaction_session_timeout', %s, true)"
    connection.execute(query, (f"{max(1, round(patience * 1000))}ms", f"{STANDSTILL}s"))


def _with_local_key(stored: Credentials, offered: str) -> Credentials:
    return stored if stored.local_key else msgspec.structs.replace(stored, local_key=offered)
