"""`bm run`, `bm setup` and `bm env`: point tools at bm, for one run, for good, or for a shell."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bm.cli import admin, completion, render
from bm.cli.render import Json
from bm.clients.environment import HOW, UNSET, VARIABLES, Shell, beside_proxy, detect, is_proxied, script, values

if TYPE_CHECKING:
    from bm.clients.journal import Record
    from bm.clients.setup import Change
    from bm.clients.status import ToolStatus
    from bm.clients.tool import Model, Tool
    from bm.config.paths import Paths
    from bm.daemon.runtime import Daemon

PASS_THROUGH: Final[dict[str, Any]] = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Context settings of `bm run`: everything after the tool's name belongs to the tool, `--help` included."""


def env(
    shell: Annotated[Shell | None, typer.Option("--shell", help="The shell to print for; default: yours.")] = None,
    key: Annotated[str, typer.Option("--key", help="Another key than bm's own: one of bm keys add.")] = "",
    as_json: Json = False,
) -> None:
    """Print the variables that point a shell's tools at bm.

    Apply them with: eval "$(bm env)"
    """
    from bm.clients.catalog import BY_NAME, TOOLS
    from bm.clients.status import elsewhere

    paths = admin.here()
    chosen = shell or detect(os.environ, windows=sys.platform == "win32")
    names = _names(paths) | ({"key": key} if key else {})
    assigned = {**values(names["origin"], names["key"]), **beside_proxy(os.environ)}
    if as_json:
        render.json({"set": assigned, "unset": UNSET})
        return
    removed = (*UNSET, *(name for name in BY_NAME["claude"].unset if os.environ.get(name)))
    render.line(script(chosen, assigned, removed))
    for tool in TOOLS:
        if found := elsewhere(tool, {**os.environ, **dict.fromkeys(removed, "")}):
            render.note(f"note: {found} makes {tool.title} use another service (bm setup {tool.name} removes it)")
    if not render.is_terminal():
        return
    render.note("")
    render.note(f"to apply: {HOW[chosen]}")
    for row in VARIABLES:
        render.note(f"  {row.name:<24}{row.readers}")
    render.note(f"  {' and '.join(UNSET)} are unset: they would override the others; for a tool that insists on")
    render.note("  ANTHROPIC_API_KEY, set it to the value of ANTHROPIC_AUTH_TOKEN")


def run(
    tool: Annotated[
        str,
        typer.Argument(help="claude, codex, gemini, opencode, aider, qwen or llm.", autocompletion=completion.programs),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGS]...", help="Arguments for the tool, passed on unchanged.")
    ] = None,
) -> None:
    """Run a tool through bm once, without changing its files.

    Starts the daemon if needed. The exit code is the tool's own.
    """
    import shutil

    from bm.cli.exits import UsageError
    from bm.clients.launch import launch
    from bm.clients.status import elsewhere, warnings
    from bm.errors import BmError

    paths = admin.here()
    row = known(tool)
    if not row.runs:
        raise UsageError(f"{row.title} is set up, not run: bm setup {row.name}")
    program = shutil.which(row.program)
    if program is None:
        raise BmError(f"{row.title} is not installed: {row.program} is not on PATH ({row.install})")
    started(paths)
    names = _names(paths)
    given = arguments or []
    words = given[1:] if given[:1] == ["--"] else given
    ready = launch(row, program, words, names, os.environ, paths.clients.with_suffix(""))
    if found := elsewhere(row, os.environ):
        render.note(f"bm: {found} makes {row.title} use another service; this run overrides it")
    for note in (*ready.notes, *warnings(row, names, os.environ, Path.cwd(), run=True)):
        render.note(f"bm: {note}")
    _refuse_unserved(paths, row, words)
    _become(program, ready.argv, ready.environ)


def _refuse_unserved(paths: Paths, tool: Tool, words: Sequence[str]) -> None:
    """Say that no account can serve the tool now; on a terminal, ask whether to start it all the same."""
    from bm.cli import terminal

    asked = {"model": "sonnet", "protocol": tool.protocols[0]}
    failure = admin.ask(paths, "POST", "/admin/route", asked)["failure"]
    if failure is None or {"--version", "-V", "--help", "-h"} & set(words):
        return
    render.note(f"bm: {tool.title} would get no answer: {failure['message']}")
    if sys.stdin.isatty() and render.is_terminal() and not terminal.agreed("Start it anyway?", default=False):
        raise typer.Exit(1)


def started(paths: Paths) -> Daemon:
    """The daemon, which is started if it is not running."""
    from bm.daemon.start import start

    with render.waiting("starting the daemon"):
        done = start(paths, os.environ)
    if not done.already:
        render.note(f"bm: started at {done.daemon.url}, pid {done.daemon.pid} (bm stop stops it)")
    if done.note:
        render.note(f"bm: {done.note}")
    return done.daemon


def _become(program: str, argv: list[str], environ: dict[str, str]) -> None:
    """Replace this process with the tool, so that signals, terminal and exit code are the tool's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        import subprocess

        raise typer.Exit(subprocess.run([program, *argv[1:]], env=environ, check=False).returncode)
    os.execve(program, argv, environ)


def setup(
    tool: Annotated[
        str | None,
        typer.Argument(help="The tool; without it, list all.", show_default=False, autocompletion=completion.tools),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes without making them.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Restore the previous settings; without TOOL, those of every tool.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Configure a tool to use bm, in its own settings.

    Shows every change it makes; --undo restores the previous settings.
    """
    from bm.cli.service import offer

    paths = admin.here()
    if undo:
        _undo(paths, tool, dry_run=dry_run, as_json=as_json)
    elif tool is None:
        _list(paths, as_json=as_json)
    else:
        set_up(paths, tool, dry_run=dry_run, as_json=as_json)
        if not dry_run and not as_json:
            offer(paths)


def _list(paths: Paths, *, as_json: bool) -> None:
    import msgspec

    found = statuses(paths)
    if as_json:
        render.json({"tools": [msgspec.to_builtins(each) for each in found]})
        return
    rows = [(each.tool, render.yes(each.program), each.state, ", ".join(each.files)) for each in found]
    render.table(("tool", "installed", "uses bm", "settings"), rows, empty="no tools")


def statuses(paths: Paths) -> list[ToolStatus]:
    """Every tool that bm knows: whether it is installed and uses bm."""
    from bm.clients import journal
    from bm.clients.catalog import TOOLS
    from bm.clients.status import status

    held = journal.load(paths.clients)
    names = _names(paths)
    return [status(tool, names, os.environ, held) for tool in TOOLS]


def set_up(paths: Paths, name: str, *, dry_run: bool = False, as_json: bool = False) -> None:
    """Configure a tool, or only print what would change."""
    from bm.clients.editors import BY_HAND
    from bm.clients.setup import carry_out, opened, planned
    from bm.clients.status import elsewhere, status, warnings

    if name in BY_HAND:
        render.paragraph(BY_HAND[name].format(**_names(paths)))
        return
    tool = known(name)
    names = _names(paths)
    found = elsewhere(tool, os.environ)
    models = _models(paths) if any(file.listing for file in tool.files) else []
    with opened(paths.clients) as held:
        changes = planned(tool, names, os.environ, held, models)
        if not dry_run:
            carry_out(changes, held, paths.clients)
        installed = status(tool, names, os.environ, held).program
    notes = [f"{found} made {tool.title} use another service"] if found and not found.endswith("this shell") else []
    notes += list(warnings(tool, names, os.environ, Path.cwd()))
    notes += [tool.note] if tool.note else []
    notes += [] if installed else [f"{tool.title} is not installed here ({tool.install})"]
    notes += _proxy_notes()
    notes += _daemon_notes(paths)
    if as_json:
        render.json({"tool": name, "dry_run": dry_run, **_described(changes), "notes": notes})
        return
    records = [change.record for change in changes if change.record is not None]
    _show(changes, (names["key"], *_previous(records)), dry_run=dry_run, nothing=f"{tool.title} is set up already")
    if any(change.changes for change in changes) and not dry_run:
        render.paragraph(
            f"{tool.title} now uses {names['origin']} (bm setup {name} --undo restores the previous settings)"
        )
    for each in notes:
        render.note(f"note: {each}")


def _models(paths: Paths) -> list[Model]:
    """Aliases and all models that bm lists, for tools that have a list; none where they cannot be had now."""
    from bm.clients.tool import Model
    from bm.errors import BmError

    try:
        rows = admin.ask(paths, "GET", "/admin/models", timeout=admin.PROBE_LIMIT)["models"]
    except BmError as error:
        render.note(f"note: only opus, sonnet and haiku are listed: {error}")
        return []
    found = [Model(name, 0) for name in admin.loaded(paths).config.aliases]
    for row in rows:
        images, tools = "images" in row["takes"], "no tools" not in row["takes"]
        found += [Model(row["name"], row["context"] or 0, row["max_output"] or 0, images, tools)] * row["generates"]
    return found


def _undo(paths: Paths, name: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Undo tool by tool: a failure for one does not stop the others."""
    from bm.clients import journal
    from bm.errors import BmError, ConfigError

    held = journal.load(paths.clients)
    tools = dict.fromkeys(record.tool for record in held.records) if name is None else [known(name).name]
    done: dict[str, list[Change]] = {}
    failed: list[str] = []
    for tool in tools:
        try:
            done[tool] = _undo_one(paths, tool, dry_run=dry_run, silent=as_json)
        except (BmError, OSError) as error:
            failed.append(f"{tool}: {error}")
    if as_json:
        render.json({"dry_run": dry_run, "tools": {tool: _described(changes) for tool, changes in done.items()}})
    elif not tools:
        render.line("bm has not changed the settings of any tool")
    if failed:
        raise ConfigError("\n".join(failed))


def _undo_one(paths: Paths, tool: str, *, dry_run: bool, silent: bool) -> list[Change]:
    from bm.accounts.credentials import load
    from bm.clients.setup import carry_out, opened, undone
    from bm.clients.tool import shown
    from bm.config.keys import dotted

    with opened(paths.clients) as held:
        records = held.of(tool)
        changes = undone(records)
        if not dry_run:
            carry_out(changes, held, paths.clients)
    if silent:
        return changes
    nothing = "none of bm's settings are left" if records else "bm has not changed its settings"
    secrets = (load(paths.accounts).local_key, *_previous(records))
    _show(changes, secrets, dry_run=dry_run, nothing=f"{tool}: {nothing}")
    if records and not dry_run:
        render.line(f"{tool}: bm's settings are removed and the previous ones restored")
    for change in changes:
        for key in change.left:
            render.note(f"note: {shown(change.path)}: {dotted(key)} was changed since and stays as it is")
    return changes


def known(name: str) -> Tool:
    """The tool of that name.

    Raises:
        UsageError: there is none; the message names those bm knows.
    """
    from bm.cli.exits import UsageError
    from bm.clients.catalog import BY_NAME
    from bm.config.validation import nearest

    if name not in BY_NAME:
        near = nearest(name, list(BY_NAME))
        others = 'for any other, use the variables of `eval "$(bm env)"`'
        known = f"bm knows {', '.join(BY_NAME)}; {others}"
        raise UsageError(f"unknown tool {name!r}{f' ({near})' if near else ''}; {known}")
    return BY_NAME[name]


def _names(paths: Paths) -> dict[str, str]:
    """The values to fill into settings: bm's address, now or once it is started, and its local key.

    Raises:
        NotRunning: the address is known only while bm runs.
    """
    from bm.cli.exits import NotRunning
    from bm.config.address import origin_of

    daemon = admin.running(paths)
    origin = origin_of(admin.loaded(paths).config.server, daemon.url if daemon else "")
    if not origin:
        raise NotRunning("bm is not running, and its port is chosen when it starts: bm start, then try again")
    return {"origin": origin, "key": admin.vault(paths).local_key()}


def _proxy_notes() -> list[str]:
    """A proxy of this shell that the tool would send its requests to bm through."""
    if not is_proxied(os.environ):
        return []
    return ["a proxy is set in this shell: add 127.0.0.1,localhost to NO_PROXY, or requests to bm go to the proxy"]


def _daemon_notes(paths: Paths) -> list[str]:
    """What the user should know about the daemon the tool will connect to."""
    if not admin.loaded(paths).config.server.port:
        return ["the daemon's port changes at each start: set server.port, then run bm setup again"]
    return [] if admin.running(paths) else ["bm is not running (bm start); bm service install starts it at each login"]


def _previous(records: Sequence[Record]) -> tuple[str, ...]:
    """The previous values of settings that hold a key now: most likely the user's own keys."""

    def is_secret(key: tuple[str, ...]) -> bool:
        return any(word in key[-1].lower() for word in ("key", "token"))

    return tuple(
        put.before.strip("\"'") for record in records for put in record.puts if put.before and is_secret(put.key)
    )


def _show(changes: Sequence[Change], secrets: tuple[str, ...], *, dry_run: bool, nothing: str) -> None:
    from bm.clients.change import difference
    from bm.clients.tool import shown

    for change in changes:
        if text := difference(shown(change.path), change.before, change.after, secrets):
            render.line(text)
        elif change.changes:
            render.line(
                f"{shown(change.path)}: permissions change from {change.mode_before or 0:03o} to {change.mode:03o}"
            )
    if not any(change.changes for change in changes):
        render.line(nothing)
    elif dry_run:
        render.line("nothing was changed (--dry-run)")


def _described(changes: Sequence[Change]) -> dict[str, Any]:
    from bm.config.keys import dotted

    return {
        "files": [
            {"path": str(change.path), "changed": change.changes, "left": [dotted(key) for key in change.left]}
            for change in changes
        ]
    }
