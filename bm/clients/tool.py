"""What bm knows of a coding tool: the settings that lead it to bm, and what would win over them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bm.clients.formats import Format
from bm.config.keys import Key


class Setting(NamedTuple):
    """One setting of a tool. `{origin}` and `{key}` in its value are bm's address and local key; a value of None takes
    the setting away, because it would win."""

    key: Key
    value: Any

    @property
    def is_secret(self) -> bool:
        """Whether bm's key goes in."""
        return "{key}" in str(self.value)


class Place(NamedTuple):
    """Where a tool keeps a file.

    `variable` names the folder in place of `folder`, or one above it, with `below` between. Of several `names` those
    come first that win over the others.
    """

    folder: str
    names: tuple[str, ...]
    variable: str = ""
    below: str = ""
    mac: str = ""
    windows: str = ""

    def find(self, environ: Mapping[str, str]) -> Path:
        """The file that is there, or the one to make."""
        folder = self._folder(environ)
        files = [folder / name for name in self.names]
        return next((file for file in files if file.exists()), files[-1])

    def _folder(self, environ: Mapping[str, str]) -> Path:
        if self.variable and (named := environ.get(self.variable)):
            return Path(named).expanduser().absolute() / self.below
        own = {"darwin": self.mac, "win32": self.windows}.get(sys.platform) or self.folder
        if own.startswith("~/.config/") and (config := environ.get("XDG_CONFIG_HOME")):
            return Path(config, own.removeprefix("~/.config/"))
        return Path(own).expanduser()


class SettingsFile(NamedTuple):
    """A file of a tool's settings, and those of them that lead it to bm."""

    place: Place
    format: Format
    settings: tuple[Setting, ...]


class Rival(NamedTuple):
    """A file whose settings win over those that bm sets. A `name` without `~` is looked for in the working directory
    and above it. Without `keys` the file alone is enough. `over` tells whether it wins over the settings, over a run by
    `bm run`, or over both."""

    name: str
    format: Format
    keys: tuple[Key, ...] = ()
    over: Literal["settings", "run", "both"] = "settings"


class Overlay(NamedTuple):
    """Settings for a single run, in a file below bm's own folder, for a tool whose files win over the environment.

    `{file}` and `{folder}` in `arguments` and `environ` are that file and the folder `name` begins with. With `copies`
    the file begins as a copy of the tool's own, and is used only where that one says otherwise.
    """

    name: str
    settings: tuple[Setting, ...]
    arguments: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    copies: bool = False


class Tool(NamedTuple):
    """One coding tool.

    `program` is what it is called on the command line, `install` how it comes there. `files` are changed by `bm setup`;
    `rivals` and `rival_variables` win over them. The rest is for `bm run`: the `arguments` in front of the person's,
    variables besides those of `bm env` and variables that must not be there, `document` as settings that a variable
    holds as JSON. `note` is what a person has to know.
    """

    name: str
    title: str
    program: str
    install: str
    files: tuple[SettingsFile, ...]
    rivals: tuple[Rival, ...] = ()
    rival_variables: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()
    document: tuple[str, tuple[Setting, ...]] | None = None
    overlay: Overlay | None = None
    note: str = ""


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """`value` with `{name}` replaced by what `names` has for it; other braces stay."""
    if isinstance(value, dict):
        return {name: filled(each, names) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, names) for each in value]
    if not isinstance(value, str):
        return value
    for name, text in names.items():
        value = value.replace(f"{{{name}}}", text)
    return value


def shown(path: Path) -> str:
    """`path` as a person writes it: below the home folder with `~`."""
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)
