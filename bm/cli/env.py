"""`bm env`: the variables that lead the tools of a shell to bm."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bm.cli import admin, render
from bm.clients.environment import HOW, UNSET, VARIABLES, Shell, detect, script, values

if TYPE_CHECKING:
    from bm.config.paths import Paths


def env(
    shell: Annotated[Shell | None, typer.Option("--shell", help="The shell that will read it; default: yours.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Point this shell's tools at bm: eval "$(bm env)"."""
    from bm.accounts.credentials import ensure_local_key

    paths = admin.here()
    chosen = shell or detect(os.environ, windows=sys.platform == "win32")
    assigned = values(origin(paths), ensure_local_key(paths.accounts))
    if as_json:
        render.json({"set": assigned, "unset": UNSET})
        return
    render.line(script(chosen, assigned, UNSET))
    if render.is_terminal():
        _explain(chosen)


def _explain(shell: Shell) -> None:
    """For a person who looks at it instead of having it carried out."""
    render.note("")
    render.note(f"carried out by: {HOW[shell]}")
    for row in VARIABLES:
        render.note(f"  {row.name:<24}{row.readers}")
    render.note(f"  {' and '.join(UNSET)} are unset: they would win over the others; a tool that insists on")
    render.note("  ANTHROPIC_API_KEY takes the value of ANTHROPIC_AUTH_TOKEN")


def origin(paths: Paths) -> str:
    """Where bm is, or will be once it is started.

    Raises:
        NotRunning: the port is only known once it runs.
    """
    from bm.cli.exits import NotRunning
    from bm.config.address import url_of
    from bm.config.load import load
    from bm.providers.catalog import KNOWN

    if daemon := admin.running(paths):
        return daemon.url
    server = load(paths.config, os.environ, known=KNOWN).config.server
    if not server.port:
        raise NotRunning("bm is not running, and its port is free to change: bm start, then this again")
    return url_of(server.host, server.port)


COMMANDS = {"env": env}
