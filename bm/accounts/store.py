"""Where the accounts are stored, as everything that reads or changes them sees it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from bm.accounts.credentials import Credentials, load, update
from bm.config.files import locked
from bm.dispatch.target import AccountId

Change = Callable[[Credentials], Credentials]


class AccountStore(Protocol):
    """Reads and changes the stored accounts. Every call may block."""

    def load(self) -> Credentials:
        """The accounts as they are now.

        Raises:
            AccountError: they cannot be read.
        """
        ...

    def update(self, change: Change, *, patience: float = 10.0) -> Credentials:
        """Replace the accounts with the result of `change`, which nothing else changes meanwhile, and return it.

        Raises:
            AccountError: `change` raised it, or the accounts cannot be read or written. Nothing is changed.
            LockTimeout: something else changes them for longer than `patience` seconds.
        """
        ...

    def refreshing(self, account_id: AccountId, patience: float) -> AbstractContextManager[object]:
        """Exclude every other refresh of the account's token within the block.

        Raises:
            LockTimeout: another refresh takes longer than `patience` seconds.
            AccountError, OSError: none can be excluded.
        """
        ...


class AccountFile:
    """The accounts in accounts.toml."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Credentials:
        return load(self._path)

    def update(self, change: Change, *, patience: float = 10.0) -> Credentials:
        return update(self._path, change, patience=patience)

    def refreshing(self, account_id: AccountId, patience: float) -> AbstractContextManager[object]:
        return locked(lock_path(self._path, account_id), patience)


def lock_path(path: Path, account_id: AccountId) -> Path:
    """The lock file that serializes refreshes of one account between processes."""
    name = hashlib.sha256("\0".join(account_id).encode()).hexdigest()[:12]
    path = Path(os.path.realpath(path))
    return path.with_name(f"{path.name}.{name}.lock")
