"""What bm knows about a coding tool: the settings that point it at bm, and what would override them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from bm.clients.formats import Format
from bm.config.keys import Key
from bm.config.paths import in_home
from bm.names import ProtocolName


class Setting(NamedTuple):
    """One setting of a tool. `{origin}` and `{key}` in its value are bm's address and local key. A value of None
    removes a setting that would override the others."""

    key: Key
    value: Any

    @property
    def is_secret(self) -> bool:
        """Whether the value holds bm's key."""
        return "{key}" in str(self.value)


class Place(NamedTuple):
    """Where a tool keeps a file.

    The environment variable `variable` replaces `folder`; `below` is appended to it. Of several `names`, the tool
    prefers the first that exists.
    """

    folder: str
    names: tuple[str, ...]
    variable: str = ""
    below: str = ""
    mac: str = ""
    windows: str = ""

    def find(self, environ: Mapping[str, str]) -> Path:
        """The file that exists, or the one to create."""
        folder = self._folder(environ)
        files = [folder / name for name in self.names]
        return next((file for file in files if file.exists()), files[-1])

    def _folder(self, environ: Mapping[str, str]) -> Path:
        if self.variable and (named := environ.get(self.variable)):
            return in_home(named).absolute() / self.below
        own = {"darwin": self.mac, "win32": self.windows}.get(sys.platform) or self.folder
        if own.startswith("~/.config/") and (config := environ.get("XDG_CONFIG_HOME")):
            return Path(config, own.removeprefix("~/.config/"))
        return in_home(own)


class Model(NamedTuple):
    """A model that a tool may list: its name as it is typed, and its limits in tokens, 0 if unknown."""

    name: str
    context: int
    output: int = 0
    images: bool = True
    tools: bool = True


FAMILIES: Final = tuple(Model(name, 200_000, 32_000) for name in ("opus", "sonnet", "haiku"))
"""Names that every provider of bm maps."""


class SettingsFile(NamedTuple):
    """A settings file of a tool, and the settings in it that point the tool at bm.

    One `if_present` is left alone where its folder does not exist. Of a `strict` one the tool reads plain JSON alone.
    `listing` gives further settings, which list models.
    """

    place: Place
    format: Format
    settings: tuple[Setting, ...]
    if_present: bool = False
    strict: bool = False
    listing: Callable[[Sequence[Model]], tuple[Setting, ...]] | None = None


class Override(NamedTuple):
    """A file whose settings override bm's.

    A `name` without `~` is looked for in the working directory and its parents. Without `keys`, the file overrides bm
    by existing. `over` says what it overrides: the settings of `bm setup`, a run by `bm run`, or both.
    """

    name: str
    format: Format
    keys: tuple[Key, ...] = ()
    over: Literal["settings", "run", "both"] = "settings"


class Overlay(NamedTuple):
    """A settings file in bm's own folder for a single run, for a tool whose files override the environment.

    `{file}` and `{folder}` in `arguments` and `environ` are that file and the first folder of `name`. With `copies` the
    file starts as a copy of the tool's own, and is used only when the tool's own has other settings.
    """

    name: str
    settings: tuple[Setting, ...]
    arguments: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    copies: bool = False


class Tool(NamedTuple):
    """One coding tool.

    `program` is its command, empty without one, `install` how to install it, `protocols` are those it speaks to bm.
    `extension` is a pattern of its folder among VS Code's extensions, if it is one. `bm setup` changes `files`;
    `overrides` and `overriding_variables` override them. `note` is printed afterwards. The rest is for `bm run`, unless
    `runs` is false: `arguments` go before the user's, `environ` and `unset` are variables beside those of `bm env`,
    `document` is a variable that holds settings as JSON.
    """

    name: str
    title: str
    program: str
    install: str
    protocols: tuple[ProtocolName, ...]
    files: tuple[SettingsFile, ...]
    overrides: tuple[Override, ...] = ()
    overriding_variables: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()
    document: tuple[str, tuple[Setting, ...]] | None = None
    overlay: Overlay | None = None
    note: str = ""
    extension: str = ""
    runs: bool = True


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """`value` with each `{name}` replaced by its entry in `names`; other braces stay."""
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
    """`path` with `~` for the home folder."""
    home = in_home("~")
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)
