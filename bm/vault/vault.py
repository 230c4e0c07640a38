"""Where the accounts and the keys of clients are: in the files of this machine, or in a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from bm.accounts.credentials import ensure_local_key
from bm.accounts.store import AccountFile, AccountStore
from bm.config.files import stamp
from bm.config.paths import Paths
from bm.config.schema import Config
from bm.errors import AccountError
from bm.keys.file import KeyFile, KeyStore

if TYPE_CHECKING:
    from bm.vault.seal import Seal


class Vault(Protocol):
    """The stored accounts and keys. `place` says where they are. Every call but `stamp` may block."""

    accounts: AccountStore
    keys: KeyStore
    place: str

    def local_key(self) -> str:
        """bm's own key, which is made when there is none.

        Raises:
            AccountError: it cannot be read or stored.
            LockTimeout: something else changes the accounts for too long.
        """
        ...

    def stamp(self) -> object:
        """Differs once the accounts or keys have changed."""
        ...

    async def watch(self) -> None:
        """Look for changes that `stamp` does not see by itself, until cancelled."""
        ...


class FileVault:
    """The accounts and keys in accounts.toml and keys.toml."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self.accounts: AccountStore = AccountFile(paths.accounts)
        self.keys: KeyStore = KeyFile(paths.keys)
        self.place = str(paths.accounts)

    def local_key(self) -> str:
        return ensure_local_key(self._paths.accounts)

    def stamp(self) -> object:
        return stamp(self._paths.accounts), stamp(self._paths.keys)

    async def watch(self) -> None:
        """A look at the files is all it takes."""


def open_vault(paths: Paths, config: Config, environ: Mapping[str, str], held: Vault | None = None) -> Vault:
    """Where the configuration has the accounts and keys. A running daemon goes on with the vault that it holds.

    Nothing is read yet: a database that is away is an error of the first use.

    Raises:
        AccountError: accounts.toml, which the start of that daemon has written, is gone: no accounts, and another key
            for clients, are not what it should go on with.
    """
    if config.shared.seals and not isinstance(held, FileVault):
        # Its modules are loaded only where there is a database.
        from bm.vault.database import DatabaseVault
        from bm.vault.seal import read_seal

        def seal() -> Seal:
            return read_seal(config.shared.seals, environ)

        if not isinstance(held, DatabaseVault):
            return DatabaseVault(config.ledger.url, seal, paths)
        held.seal = seal
        return held
    if isinstance(held, FileVault) and not paths.accounts.exists():
        raise AccountError(f"{paths.accounts}: is gone; put it back, or begin without accounts with `bm restart`")
    return held or FileVault(paths)
