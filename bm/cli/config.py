"""`bm config`: the configuration file, without ever showing a secret."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, edit, render

if TYPE_CHECKING:
    from bm.config.load import Loaded
    from bm.config.paths import Paths
    from bm.errors import ConfigError

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[str, typer.Argument(help="The setting, such as server.port or providers.groq.mode.")]


def path(as_json: Json = False) -> None:
    """Print where the file is; with --json, where all files are."""
    paths = admin.here()
    if as_json:
        render.json({name: str(getattr(paths, name)) for name in paths.__struct_fields__})
    else:
        render.line(str(paths.config))


def show(as_json: Json = False) -> None:
    """Print the settings in force, defaults included; secrets are masked."""
    import tomli_w

    from bm.cli.masked import masked

    loaded = _loaded(admin.here())
    settings = masked(loaded.config)
    if as_json:
        render.json(settings)
        return
    render.line(tomli_w.dumps(settings).rstrip())
    for key, variable in loaded.sources.items():
        render.line(f"# {key} is from the environment variable {variable}")


def check(as_json: Json = False) -> None:
    """Tell whether the file and the environment make a valid configuration."""
    from bm.cli.exits import USAGE
    from bm.errors import ConfigError

    paths = admin.here()
    try:
        loaded = _loaded(paths)
    except ConfigError as error:
        if not as_json:
            raise
        render.json({"valid": False, "path": str(paths.config), "problems": _problems(error), "warnings": []})
        raise typer.Exit(USAGE) from None
    if as_json:
        render.json({"valid": True, "path": str(paths.config), "problems": [], "warnings": loaded.warnings})
        return
    for warning in loaded.warnings:
        render.note(f"warning: {warning}")
    render.line("the configuration is valid")


def get(key: Key, as_json: Json = False) -> None:
    """Print one setting as it is in force."""
    from bm.cli.exits import UsageError
    from bm.cli.masked import masked
    from bm.config.keys import split

    value: Any = masked(_loaded(admin.here()).config)
    for part in split(key):
        if not isinstance(value, dict) or part not in value:
            raise UsageError(f"{key} is not set, and has no default (bm config show)")
        value = value[part]
    if as_json or isinstance(value, dict | list):
        render.json(value)
    else:
        render.line(_text(value))


def _text(value: object) -> str:
    """A value as a person would type it."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.15g}"
        case _:
            return str(value)


def _problems(error: ConfigError) -> list[dict[str, Any]]:
    """What is wrong, place by place."""
    from bm.config.load import InvalidConfig

    found = error.problems if isinstance(error, InvalidConfig) else (error,)
    return [
        {"path": each.path, "line": each.line or None, "key": each.key, "message": each.message, "hint": each.hint}
        for each in found
    ]


def set_(key: Key, value: Annotated[str, typer.Argument(help="Its new value.")]) -> None:
    """Change one setting; comments and order of the file stay."""
    from bm.cli.exits import UsageError
    from bm.config.edit import from_text
    from bm.config.keys import split
    from bm.config.secrets import is_reference

    parts = split(key)
    if parts[-1] == "api_key" and value and not is_reference(value):
        cure = f"bm providers key {parts[1]}" if len(parts) > 1 else "bm providers key NAME"
        raise UsageError(f"a key does not belong on a command line, which others can read ({cure}, or env:NAME)")
    paths = admin.here()
    edit.settings(paths, {key: from_text(key, value)})
    _tell_of_restart(paths, parts)


def unset(key: Key) -> None:
    """Remove a setting or a table, so that its default holds again."""
    from bm.config.edit import unset as take_out
    from bm.config.keys import split
    from bm.providers.catalog import KNOWN

    paths = admin.here()
    if not take_out(paths.config, key, known=KNOWN):
        render.note(f"{key} is not in {paths.config}")
    admin.reload(paths)
    _tell_of_restart(paths, split(key))


def _tell_of_restart(paths: Paths, key: tuple[str, ...]) -> None:
    """A running daemon does not leave its address."""
    if key in (("server",), ("server", "host"), ("server", "port")) and admin.running(paths):
        render.note("note: the daemon goes on where it is until bm restart")


def edit_() -> None:
    """Open the file in your editor ($VISUAL, $EDITOR), then check it."""
    import shlex
    import subprocess

    from bm.cli.exits import UsageError
    from bm.config.paths import make_folders

    paths = admin.here()
    make_folders(paths)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("an editor needs a terminal (or name one in EDITOR that does not, or use bm config set)")
    editor = editor or ("notepad" if os.name == "nt" else "vi")
    try:
        done = subprocess.run([*shlex.split(editor, posix=os.name != "nt"), str(paths.config)], check=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"the editor {editor!r} cannot be run: {error}") from None
    if done.returncode:
        raise UsageError(f"the editor {editor!r} ended with exit code {done.returncode}")
    _loaded(paths)
    admin.reload(paths)
    render.line("the configuration is valid")


def _loaded(paths: Paths) -> Loaded:
    from bm.config.load import load
    from bm.providers.catalog import KNOWN

    return load(paths.config, os.environ, known=KNOWN)


COMMANDS = {"path": path, "show": show, "check": check, "get": get, "set": set_, "unset": unset, "edit": edit_}
