"""Whether a tool is installed, whether it is configured to use bm, and what would override that."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from bm.clients.change import holds
from bm.clients.environment import values
from bm.clients.formats import EDITORS
from bm.clients.journal import Journal
from bm.clients.setup import is_used, read
from bm.clients.tool import Override, SettingsFile, Tool, filled, shown
from bm.config.document import CannotEdit
from bm.config.keys import dotted
from bm.config.paths import in_home
from bm.errors import ConfigError

State = Literal["yes", "stale", "by hand", "no"]
"""Configured to use bm: by `bm setup`; by `bm setup`, but with another address or key or changed since; by someone
else; not at all."""


class ToolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One tool. `program` is where it is installed, "" when it is not."""

    tool: str
    title: str
    program: str
    state: State
    files: tuple[str, ...]


def status(tool: Tool, names: Mapping[str, str], environ: Mapping[str, str], journal: Journal) -> ToolStatus:
    """The status of `tool` towards the bm whose `origin` and `key` are in `names`."""
    files = [file for file in tool.files if is_used(file, environ)]
    configured = all(_is_configured(file, names, environ) for file in files)
    state: State = "by hand" if configured else "no"
    if journal.of(tool.name):
        state = "yes" if configured else "stale"
    return ToolStatus(
        tool=tool.name,
        title=tool.title,
        program=_installed(tool, environ),
        state=state,
        files=tuple(shown(file.place.find(environ)) for file in files),
    )


def _installed(tool: Tool, environ: Mapping[str, str]) -> str:
    """Where the tool is: its program, or its folder among the extensions of VS Code."""
    program = shutil.which(tool.program, path=environ.get("PATH")) if tool.program else None
    if program is None and tool.extension:
        program = next(map(str, sorted(in_home("~/.vscode/extensions").glob(tool.extension))), None)
    return program or ""


def warnings(
    tool: Tool, names: Mapping[str, str], environ: Mapping[str, str], folder: Path, *, run: bool = False
) -> Iterator[str]:
    """What overrides the settings of `tool`, or a `run` of it, when it is started in `folder`."""
    for file in () if run else tool.files:
        if file.strict and not _is_plain(file.place.find(environ)):
            where = shown(file.place.find(environ))
            yield f"{where} has comments or trailing commas, and {tool.title} reads no file with such: remove them"
    exported = values(names["origin"], names["key"])
    for variable in () if run else tool.overriding_variables:
        if environ.get(variable) and environ[variable] != exported.get(variable):
            yield f"{variable} is set in this shell and may override these settings; unset it for {tool.title}"
    own = {file.place.find(environ).resolve() for file in tool.files}
    for override in tool.overrides:
        if override.over not in ("both", "run" if run else "settings"):
            continue
        for path in _places(override, folder):
            is_own = path.resolve() in own and not override.name.startswith("~")
            if not is_own and path.is_file() and (what := _overriding(override, path, tool, names)):
                yield f"{shown(path)}: {what} when {tool.title} is started here"


def _is_plain(path: Path) -> bool:
    """Whether a file is JSON without comments and trailing commas; also if there is none."""
    import json

    try:
        text = (read(path) or "{}").removeprefix("\ufeff")
    except (ConfigError, OSError):
        return True
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def elsewhere(tool: Tool, environ: Mapping[str, str]) -> str:
    """What makes `tool` use another service whatever address it is given, as a phrase; "" for nothing."""
    for file in tool.files:
        path = file.place.find(environ)
        try:
            text = read(path) or ""
            removed = (setting.key for setting in file.settings if setting.value is None)
            found = [dotted(key) for key in removed if EDITORS[file.format].get(text, key) is not None]
        except (CannotEdit, ConfigError, OSError):
            continue
        if found:
            return f"{', '.join(found)} in {shown(path)}"
    found = [name for name in tool.unset if environ.get(name)]
    return f"{', '.join(found)} in this shell" if found else ""


def _is_configured(file: SettingsFile, names: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    try:
        text = read(file.place.find(environ))
        return text is not None and holds(text, file.format, file.settings, names)
    except (CannotEdit, ConfigError, OSError):
        return False


def _places(override: Override, folder: Path) -> Iterator[Path]:
    if override.name.startswith("~"):
        yield in_home(override.name)
        return
    home = in_home("~")
    for above in (folder, *folder.parents):
        if above == home:
            return
        yield above / override.name


def _overriding(override: Override, path: Path, tool: Tool, names: Mapping[str, str]) -> str:
    """What in a file overrides bm's address, as a phrase; "" for nothing."""
    if not override.keys:
        return "it is read instead of bm's file and overrides bm's address"
    edit = EDITORS[override.format]
    wanted = {setting.key: setting.value for file in tool.files for setting in file.settings}
    found: list[str] = []
    try:
        text = read(path) or ""
        for key in override.keys:
            now, own = edit.get(text, key), wanted.get(key)
            if now is not None and (own is None or not edit.same(now, edit.write(filled(own, names)))):
                found.append(dotted(key))
    except (CannotEdit, ConfigError, OSError):
        return ""
    return f"{', '.join(found)} override{'s' if len(found) == 1 else ''} bm's address" if found else ""
