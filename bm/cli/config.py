"""`bm config`: show and change the configuration, with secrets masked."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, completion, render
from bm.cli.render import Json

if TYPE_CHECKING:
    from bm.config.paths import Paths
    from bm.config.schema import Config
    from bm.errors import ConfigError

Key = Annotated[
    str,
    typer.Argument(help="The setting, such as server.port or providers.groq.mode.", autocompletion=completion.settings),
]


def path(as_json: Json = False) -> None:
    """Print the path of the file; with --json, of all files."""
    paths = admin.here()
    if as_json:
        render.json({name: str(getattr(paths, name)) for name in paths.__struct_fields__})
    else:
        render.line(str(paths.config))


def show(as_json: Json = False) -> None:
    """Print all settings in force, defaults included."""
    import tomli_w

    from bm.config.secrets import masked

    loaded = admin.loaded(admin.here())
    settings = masked(loaded.config)
    if as_json:
        render.json(settings)
        return
    render.line(tomli_w.dumps(settings).rstrip())
    for key, variable in loaded.sources.items():
        render.line(f"# {key} comes from the environment variable {variable}")


def check(as_json: Json = False) -> None:
    """Check the file and the environment for errors."""
    from bm.cli.exits import USAGE
    from bm.errors import ConfigError

    paths = admin.here()
    try:
        loaded = admin.loaded(paths)
        if loaded.config.routes.hook:
            from bm.gateway.hook import load_hook

            load_hook(loaded.config.routes.hook, paths.config.parent)
    except ConfigError as error:
        if not as_json:
            raise
        render.json({"valid": False, "path": str(paths.config), "problems": _problems(error), "warnings": []})
        raise typer.Exit(USAGE) from None
    if as_json:
        render.json(
            {
                "valid": True,
                "path": str(paths.config),
                "problems": [],
                "warnings": list(loaded.warnings),
            }
        )
        return
    for warning in loaded.warnings:
        render.note(f"warning: {warning}")
    render.line("the configuration is valid")


def get(key: Key, as_json: Json = False) -> None:
    """Print one setting in force.

    The exit code is 1 if it is not set and has no default, and 2 if there is no such setting.
    """
    from bm.config.keys import split
    from bm.errors import BmError

    parts = split(key)
    _insist(key, parts)
    value: Any = _in_force(admin.loaded(admin.here()).config)
    for part in parts:
        if not isinstance(value, dict) or part not in value:
            raise BmError(f"{key} is not set")
        value = value[part]
    if as_json or isinstance(value, dict | list):
        render.json(value)
    else:
        render.line(_text(value))


def _insist(key: str, parts: tuple[str, ...]) -> None:
    """Refuse the name of a setting that there is not."""
    from bm.cli.exits import UsageError
    from bm.config.validation import unknown_key

    if fault := unknown_key(parts):
        raise UsageError(f"{key}: {fault}")


def _in_force(config: Config) -> dict[str, Any]:
    """All settings, also of the known providers that the file does not name."""
    import msgspec

    from bm.config.schema import ProviderConfig
    from bm.config.secrets import masked
    from bm.providers.catalog import KNOWN

    named = {name: ProviderConfig() for name in KNOWN if name != "gemini"} | dict(config.providers)
    return masked(msgspec.structs.replace(config, providers=named))


def _text(value: object) -> str:
    """A value as it would be typed."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.15g}"
        case _:
            return str(value)


def _problems(error: ConfigError) -> list[dict[str, Any]]:
    from bm.config.load import problems_in

    return [
        {"path": each.path, "line": each.line or None, "key": each.key, "message": each.message, "hint": each.hint}
        for each in problems_in(error)
    ]


def set_(
    key: Key, value: Annotated[str, typer.Argument(help="The new value.", autocompletion=completion.values)]
) -> None:
    """Change one setting. Comments and order in the file are kept."""
    from bm.cli.exits import UsageError
    from bm.config.edit import from_text
    from bm.config.keys import split
    from bm.config.secrets import is_reference

    parts = split(key)
    if parts[-1] == "api_key" and value and not is_reference(value):
        remedy = f"bm providers key {parts[1]}" if len(parts) > 1 else "bm providers key NAME"
        raise UsageError(f"a key does not belong on the command line, where others can read it ({remedy}, or env:NAME)")
    paths = admin.here()
    admin.change_settings(paths, {key: from_text(key, value)})
    _note_restart(paths, key)


def unset(key: Key) -> None:
    """Remove a setting or table, which restores its default.

    One that the file does not have is removed already. The exit code is 2 if there is no such setting.
    """
    from bm.config.keys import split

    paths = admin.here()
    if not admin.unset_setting(paths, key):
        # A setting of an older bm may be removed.
        _insist(key, split(key))
        render.note(f"{key} is not in {paths.config}")
    _note_restart(paths, key)


def _note_restart(paths: Paths, key: str) -> None:
    """Say so if a running daemon keeps what it has."""
    from bm.config.edit import applies_at_start
    from bm.config.keys import split

    if applies_at_start(split(key)) and admin.running(paths):
        render.note(f"note: {key} applies after bm restart")


def edit_() -> None:
    """Edit the file in $VISUAL or $EDITOR, then check it."""
    import shlex
    import subprocess

    from bm.cli.exits import UsageError
    from bm.config.paths import make_folders

    paths = admin.here()
    make_folders(paths)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("an editor needs a terminal (set EDITOR to one that does not, or use bm config set)")
    editor = editor or ("notepad" if os.name == "nt" else "vi")
    try:
        with admin.recorded(paths, "config"):
            done = subprocess.run([*shlex.split(editor, posix=os.name != "nt"), str(paths.config)], check=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot run the editor {editor!r}: {error}") from None
    if done.returncode:
        raise UsageError(f"the editor {editor!r} exited with code {done.returncode}")
    admin.loaded(paths)
    admin.reload(paths)
    render.line("the configuration is valid")


def undo(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Take back the last change of the configuration, the accounts or the keys.

    Only the last command that changed one can be undone, and only while the files are as it left them. Changes in a
    database are not undone. Settings of tools are restored by bm setup TOOL --undo.
    """
    from bm.cli import changes, terminal
    from bm.errors import BmError

    paths = admin.here()
    record = changes.last(paths)
    if record is None:
        render.line("there is nothing to undo")
        return
    if record.database:
        change = (
            f"{record.command!r} of {render.moment(record.at)} changed {record.database}, not a file of this machine"
        )
        raise BmError(f"{change}, so it is not undone (change it back with `bm accounts` or `bm keys`)")
    files = " and ".join(str(getattr(paths, file)) for file in record.files)
    question = f"Undo {record.command!r} of {render.moment(record.at)}, which changed {files}?"
    if not terminal.confirmed(question, yes=yes):
        raise typer.Exit(1)
    changes.restore(paths, record)
    admin.reload(paths)
    render.line(f"undone: {record.command}")
