"""Moves accounts and keys of clients from the files of one machine into the database."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import NamedTuple, TypeVar

from bm.accounts.account import Account
from bm.accounts.credentials import Credentials
from bm.errors import AccountError
from bm.keys.file import StoredKeys
from bm.keys.key import Key
from bm.vault.database import DatabaseVault
from bm.vault.vault import FileVault

Item = TypeVar("Item", Account, Key)
Stored = TypeVar("Stored")


class Moved(NamedTuple):
    """How many accounts and keys were added, how many were there already, and why others were left out."""

    accounts: int
    keys: int
    present: int
    left_out: tuple[str, ...]


def move(files: FileVault, database: DatabaseVault) -> Moved:
    """Add what is in the files to the database. The files stay as they are.

    Raises:
        AccountError: the files cannot be read, or the database is away or refuses.
    """
    stored, clients = files.accounts.load(), files.keys.load()
    database.local_key()
    there, held = database.accounts.load(), database.keys.load()
    accounts = [each for each in stored.accounts if not _has_account(there, each)]
    keys = [each for each in clients.keys if not _has_key(held, each)]
    left_out = [*stored.warnings, *clients.warnings]
    present = len(stored.accounts) + len(clients.keys) - len(accounts) - len(keys)
    database.accounts.update(lambda there: _with(accounts, there, Credentials.add, left_out))
    database.keys.update(lambda held: _with(keys, held, StoredKeys.add, left_out))
    return Moved(len(accounts), len(keys), present, tuple(left_out))


def _with(items: list[Item], there: Stored, add: Callable[[Stored, Item], Stored], left_out: list[str]) -> Stored:
    """What is there with the items. Those that cannot be added are taken out of them, and it is said why."""
    for each in tuple(items):
        try:
            there = add(there, each)
        except AccountError as error:
            items.remove(each)
            left_out.append(f"{each.name}: {error}")
    return there


def remove_moved(files: FileVault, database: DatabaseVault) -> int:
    """Remove from the files what is in the database by now. Returns how many accounts and keys that were.

    Raises:
        AccountError: the files cannot be read or written, or the database is away.
    """
    there, held = database.accounts.load(), database.keys.load()
    stored, clients = files.accounts.load(), files.keys.load()
    accounts = [each for each in stored.accounts if _has_account(there, each)]
    keys = [each for each in clients.keys if _has_key(held, each)]
    files.accounts.update(lambda stored: reduce(Credentials.remove, (each.id for each in accounts), stored))
    files.keys.update(lambda clients: reduce(StoredKeys.revoke, (each.name for each in keys), clients))
    return len(accounts) + len(keys)


def _has_account(there: Credentials, account: Account) -> bool:
    """Whether the account is there, by its key, or as the same sign-in whose token may have been replaced since."""
    twins = [each for each in there.accounts if each.id == account.id and each.kind == account.kind]
    return any(each.key == account.key or (each.client is not None and each.client == account.client) for each in twins)


def _has_key(held: StoredKeys, key: Key) -> bool:
    return any((each.name, each.sha256) == (key.name, key.sha256) for each in held.keys)
