"""`bm setup`: lead a tool to bm by its own settings, and back again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, render
from bm.cli.env import origin
from bm.cli.run import known

if TYPE_CHECKING:
    from bm.clients.journal import Record
    from bm.clients.setup import Change
    from bm.config.paths import Paths


def setup(
    tool: Annotated[str | None, typer.Argument(help="The tool; without it, list them.", show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Put the settings back as they were; without TOOL, those of every tool.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Lead a tool to bm by its own settings, and back again with --undo. Shows every change."""
    paths = admin.here()
    if undo:
        _undo(paths, tool, dry_run=dry_run, as_json=as_json)
    elif tool is None:
        _list(paths, as_json=as_json)
    else:
        _set_up(paths, tool, dry_run=dry_run, as_json=as_json)


def _list(paths: Paths, *, as_json: bool) -> None:
    import msgspec

    from bm.clients import journal
    from bm.clients.catalog import TOOLS
    from bm.clients.status import status

    held = journal.load(paths.clients)
    names = _names(paths)
    found = [status(tool, names, os.environ, held) for tool in TOOLS]
    if as_json:
        render.json({"tools": [msgspec.to_builtins(each) for each in found]})
        return
    rows = [(each.tool, each.program or "-", each.state, ", ".join(each.files)) for each in found]
    render.table(("tool", "found", "set up", "settings"), rows, empty="no tools")


def _set_up(paths: Paths, name: str, *, dry_run: bool, as_json: bool) -> None:
    from bm.clients.setup import carry_out, opened, planned
    from bm.clients.status import status, warnings

    tool = known(name)
    names = _names(paths)
    with opened(paths.clients) as held:
        changes = planned(tool, names, os.environ, held)
        secrets = (names["key"], *_former(changes))
        if not dry_run:
            carry_out(changes, held, paths.clients)
        stands = status(tool, names, os.environ, held)
    said = list(warnings(tool, names, os.environ, Path.cwd()))
    said += [tool.note] if tool.note else []
    said += [] if stands.program else [f"{tool.title} is not on PATH ({tool.install})"]
    said += _of_daemon(paths)
    if as_json:
        render.json({"tool": name, "dry_run": dry_run, **_described(changes), "notes": said})
        return
    _show(changes, secrets, dry_run=dry_run, nothing=f"{tool.title} is set up already")
    if any(change.changes for change in changes) and not dry_run:
        render.line(f"{tool.title} now goes to {names['origin']} (bm setup {name} --undo puts back what was there)")
    for each in said:
        render.note(f"note: {each}")


def _undo(paths: Paths, name: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Tool by tool: what cannot be put back for one is no reason to leave the others."""
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
        render.line("bm has changed nothing of any tool")
    if failed:
        raise ConfigError("\n".join(failed))


def _undo_one(paths: Paths, tool: str, *, dry_run: bool, silent: bool) -> list[Change]:
    from bm.accounts.credentials import load
    from bm.clients.setup import carry_out, opened, undone

    with opened(paths.clients) as held:
        records = held.of(tool)
        changes = undone(records)
        if not dry_run:
            carry_out(changes, held, paths.clients)
    if silent:
        return changes
    secrets = (load(paths.accounts).local_key, *_of_records(records))
    nothing = "nothing of bm is left to take out" if records else "bm has changed nothing"
    _show(changes, secrets, dry_run=dry_run, nothing=f"{tool}: {nothing}")
    if records and not dry_run:
        render.line(f"{tool}: bm's settings are out, and what was there before is back")
    _tell_left(changes)
    return changes


def _names(paths: Paths) -> dict[str, str]:
    from bm.accounts.credentials import ensure_local_key

    return {"origin": origin(paths), "key": ensure_local_key(paths.accounts)}


def _of_daemon(paths: Paths) -> list[str]:
    """What to know about the daemon that the tool will look for."""
    from bm.config.load import load
    from bm.providers.catalog import KNOWN

    if not load(paths.config, os.environ, known=KNOWN).config.server.port:
        return ["the daemon's port is free to change: set server.port, then bm setup again"]
    return [] if admin.running(paths) else ["bm is not running (bm start)"]


def _former(changes: Sequence[Change]) -> tuple[str, ...]:
    return _of_records([change.record for change in changes if change.record is not None])


def _of_records(records: Sequence[Record]) -> tuple[str, ...]:
    """The values that settings had which hold a key now: somebody's own keys, most likely."""
    former = [put.before for record in records for put in record.puts if put.before and _is_secret(put.key)]
    return tuple(raw.strip("\"'") for raw in former)


def _is_secret(key: tuple[str, ...]) -> bool:
    return any(word in key[-1].lower() for word in ("key", "token"))


def _show(changes: Sequence[Change], secrets: tuple[str, ...], *, dry_run: bool, nothing: str) -> None:
    from bm.clients.change import difference
    from bm.clients.tool import shown

    for change in changes:
        if text := difference(shown(change.path), change.before, change.after, secrets):
            render.line(text)
        elif change.changes:
            render.line(f"{shown(change.path)}: permissions {change.mode_before or 0:03o} become {change.mode:03o}")
    if not any(change.changes for change in changes):
        render.line(nothing)
    elif dry_run:
        render.line("nothing was changed (--dry-run)")


def _tell_left(changes: Sequence[Change]) -> None:
    from bm.clients.tool import shown
    from bm.config.keys import dotted

    for change in changes:
        for key in change.left:
            render.note(f"note: {shown(change.path)}: {dotted(key)} was changed since, and stays as it is")


def _described(changes: Sequence[Change]) -> dict[str, Any]:
    from bm.config.keys import dotted

    return {
        "files": [
            {"path": str(change.path), "changed": change.changes, "left": [dotted(key) for key in change.left]}
            for change in changes
        ]
    }


COMMANDS = {"setup": setup}
