"""`bm accounts export`, `import`, `move` and `reseal`: accounts on another machine, and those of a team."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bm.cli import admin, render

if TYPE_CHECKING:
    from bm.accounts.credentials import Credentials
    from bm.config.paths import Paths
    from bm.vault.database import DatabaseVault


def export(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
) -> None:
    """Write all accounts to an encrypted file, for another machine."""
    from bm.accounts.transfer import exported, write_export
    from bm.cli import terminal

    stored = admin.vault(admin.here()).accounts.load()
    write_export(file, exported(stored, terminal.passphrase(twice=True)))
    render.line(f"{file}: {len(stored.accounts)} accounts")
    for account in stored.accounts:
        if account.key.startswith("file:"):
            render.note(f"{account.name}: {account.key} is exported as a reference; copy that file yourself")


def import_(
    file: Annotated[Path, typer.Argument(help="An export of bm, or a list with one name,key per line.")],
    provider: Annotated[str, typer.Option("--provider", help="The provider of the keys in a plain list.")] = "gemini",
) -> None:
    """Add the accounts in a file. Existing accounts are not changed."""
    from bm.accounts.transfer import accounts_in, is_sealed, merged, read_import
    from bm.cli import terminal

    paths = admin.here()
    admin.provider(paths, provider)
    content = read_import(file)
    passphrase = terminal.passphrase(twice=False) if is_sealed(content) else ""
    accounts = accounts_in(content, passphrase, provider)
    skipped: list[str] = []
    added: list[str] = []

    def change(stored: Credentials) -> Credentials:
        found = merged(stored, accounts)
        added[:], skipped[:] = found.added, found.skipped
        return found.credentials

    admin.change_accounts(paths, change)
    for reason in skipped:
        render.note(f"left out {reason}")
    render.line(f"{len(added)} accounts added{': ' if added else ''}{', '.join(added)}")


def move(
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove from the files what is in the database by now.")
    ] = False,
) -> None:
    """Copy the accounts and keys of this machine to the database.

    That is where `[ledger] url` and `[shared] seal` have them. Run again, it adds what is missing.
    """
    from bm.cli.exits import UsageError
    from bm.vault.move import move as copied
    from bm.vault.move import remove_moved
    from bm.vault.vault import FileVault

    paths = admin.here()
    files, database = FileVault(paths), _database(paths)
    daemon = admin.running(paths)
    lags = daemon and admin.ask_daemon(paths, daemon, "GET", "/admin/status").get("vault") != database.place
    if remove and lags:
        raise UsageError("the daemon still uses the files: bm restart first")
    done = copied(files, database)
    for reason in done.left_out:
        render.note(f"left out {reason}")
    there = f", {done.present} were there already" if done.present else ""
    render.line(f"{done.accounts} accounts and {done.keys} keys copied to {database.place}{there}")
    if remove:
        render.line(f"{remove_moved(files, database)} removed from {paths.accounts.name} and {paths.keys.name}")
    elif lags:
        render.note("the daemon still uses the files: bm restart, then bm accounts move --remove")
    elif done.accounts + done.keys + done.present:
        render.note(f"{paths.accounts} still holds the accounts, which are no longer used: bm accounts move --remove")
    admin.reload(paths)


def reseal() -> None:
    """Seal the accounts and keys in the database with the first key of `[shared] seal`."""
    stored = _database(admin.here()).reseal()
    accounts, keys = (sum(each.kind == kind for each in stored.rows) for kind in ("account", "key"))
    render.line(f"{accounts} accounts and {keys} keys are sealed with the first key of shared.seal")
    render.note("once every node has it, no other key is needed in shared.seal")


def _database(paths: Paths) -> DatabaseVault:
    """The vault in the database.

    Raises:
        UsageError: accounts and keys are in files.
    """
    from bm.cli.exits import UsageError
    from bm.vault.database import DatabaseVault

    vault = admin.vault(paths)
    if not isinstance(vault, DatabaseVault):
        raise UsageError("accounts and keys are in files: set ledger.url and shared.seal first (docs/accounts.md)")
    return vault
