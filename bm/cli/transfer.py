"""`bm accounts export` and `import`: accounts on another machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bm.cli import admin, render

if TYPE_CHECKING:
    from bm.accounts.credentials import Credentials


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
