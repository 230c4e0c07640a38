"""`bm config`: the configuration file, without ever showing a secret."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, edit, render

if TYPE_CHECKING:
    from bm.config.load import Loaded
    from bm.config.paths import Paths

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[str, typer.Argument(help="The setting, such as server.port or providers.groq.mode.")]


def path() -> None:
    """Print where the file is."""
    render.line(str(admin.here().config))


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


def check() -> None:
    """Tell whether the file and the environment make a valid configuration."""
    loaded = _loaded(admin.here())
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
        render.line(str(value).lower() if isinstance(value, bool) else str(value))


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
    edit.settings(admin.here(), {key: from_text(key, value)})


def unset(key: Key) -> None:
    """Remove a setting or a table, so that its default holds again."""
    from bm.config.edit import unset as take_out
    from bm.providers.catalog import KNOWN

    paths = admin.here()
    if not take_out(paths.config, key, known=KNOWN):
        render.note(f"{key} is not in {paths.config}")
    admin.reload(paths)


def edit_() -> None:
    """Open the file in your editor ($VISUAL, $EDITOR), then check it."""
    import shlex
    import subprocess

    from bm.cli.exits import UsageError
    from bm.config.paths import make_folders

    paths = admin.here()
    make_folders(paths)
    fallback = "notepad" if os.name == "nt" else "vi"
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or fallback
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
