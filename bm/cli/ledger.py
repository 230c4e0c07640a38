"""`bm ledger`: the ledger itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bm.cli import admin, render

_EVERY = 100_000
"""Requests after which it says how far it is."""


def move(
    file: Annotated[Path | None, typer.Option("--from", help="Another file than this machine's ledger.db.")] = None,
) -> None:
    """Copy the requests in ledger.db to the database of the ledger.

    The database is that of [ledger] url. What is there already is passed over, so it may be interrupted and repeated.
    The file stays as it is.
    """
    from bm.cli.exits import UsageError
    from bm.config.secrets import without_login
    from bm.config.shared import node_name
    from bm.ledger.move import Moved
    from bm.ledger.move import move as parts

    paths = admin.here()
    config, path = admin.loaded(paths).config, file or paths.ledger
    if not config.ledger.url:
        raise UsageError("the ledger has no database yet: bm config set ledger.url postgresql://USER:PASSWORD@HOST/DB")
    if not path.exists():
        raise UsageError(f"{path}: there is no such file")
    moved = Moved(0, 0)
    with render.waiting("copying the ledger"):
        for moved in parts(path, config.ledger.url, node=node_name(config.shared)):
            if moved.read % _EVERY == 0:
                render.note(f"{moved.read:,} requests so far")
    there = f"; {moved.read - moved.added:,} were there already" if moved.read > moved.added else ""
    render.line(f"{moved.added:,} requests copied to {without_login(config.ledger.url)}{there}")
    daemon = admin.running(paths)
    if daemon and admin.ask_daemon(paths, daemon, "GET", "/admin/status")["ledger"]["path"] == str(path):
        render.note(f"note: the running daemon still writes to {path}: bm restart, then bm ledger move once more")
