"""`bm run`: one run of a tool that finds bm, with none of its files touched."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bm.cli import admin, render

if TYPE_CHECKING:
    from bm.clients.tool import Tool
    from bm.config.paths import Paths

AS_GIVEN: Final[dict[str, Any]] = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Everything behind the name of the tool is the tool's own, `--help` included."""


def run(
    tool: Annotated[str, typer.Argument(help="claude, codex, gemini, opencode, aider, qwen or llm.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGS]...", help="What the tool is given, as it stands.")
    ] = None,
) -> None:
    """Run a tool that finds bm this once; starts the daemon, changes no file of the tool.

    Its exit code is the tool's own.
    """
    from bm.accounts.credentials import ensure_local_key
    from bm.clients.launch import launch
    from bm.clients.status import warnings

    paths = admin.here()
    row = known(tool)
    program = _found(row)
    url = _started(paths)
    names = {"origin": url, "key": ensure_local_key(paths.accounts)}
    given = arguments or []
    words = given[1:] if given[:1] == ["--"] else given
    ready = launch(row, program, words, names, os.environ, paths.clients.with_suffix(""))
    for note in (*ready.notes, *warnings(row, names, os.environ, Path.cwd(), run=True)):
        render.note(f"bm: {note}")
    _become(program, ready.argv, ready.environ)


def known(name: str) -> Tool:
    """The tool of that name.

    Raises:
        UsageError: bm knows none; names those it knows.
    """
    from bm.cli.exits import UsageError
    from bm.clients.catalog import BY_NAME

    if name not in BY_NAME:
        others = 'any other is led to bm by the variables of `eval "$(bm env)"`'
        raise UsageError(f"bm knows no tool {name!r}, but {', '.join(BY_NAME)}; {others}")
    return BY_NAME[name]


def _found(tool: Tool) -> str:
    import shutil

    from bm.errors import BmError

    program = shutil.which(tool.program)
    if program is None:
        raise BmError(f"{tool.title} is not installed: there is no {tool.program} on PATH ({tool.install})")
    return program


def _started(paths: Paths) -> str:
    """Where the daemon listens, which is started when it does not run."""
    from bm.daemon.start import start

    started = start(paths, os.environ)
    if not started.already:
        render.note(f"bm: started at {started.daemon.url}, pid {started.daemon.pid} (bm stop ends it)")
    if started.note:
        render.note(f"bm: {started.note}")
    return started.daemon.url


def _become(program: str, argv: list[str], environ: dict[str, str]) -> None:
    """Let the tool take this process over: signals, terminal and exit code are then its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        import subprocess

        raise typer.Exit(subprocess.run([program, *argv[1:]], env=environ, check=False).returncode)
    os.execve(program, argv, environ)


COMMANDS = {"run": run}
