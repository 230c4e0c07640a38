"""How a tool stands: whether it is here, whether it is led to bm, and what would win over that."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from bm.clients.change import holds
from bm.clients.environment import values
from bm.clients.formats import editor
from bm.clients.journal import Journal
from bm.clients.setup import read
from bm.clients.tool import Rival, Tool, filled, shown
from bm.config.document import CannotEdit
from bm.config.keys import dotted
from bm.errors import ConfigError

State = Literal["yes", "stale", "by hand", "no"]
"""Led to bm by `bm setup`; so, but to another address or with another key, or changed since; led to bm by somebody
else; not at all."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How one tool stands. `program` is where it was found, "" when it was not."""

    tool: str
    title: str
    program: str
    state: State
    files: tuple[str, ...]


def standing(tool: Tool, names: Mapping[str, str], environ: Mapping[str, str], held: Journal) -> Standing:
    """How `tool` stands towards the bm that `names` (`origin`, `key`) tells of."""
    paths = [file.place.find(environ) for file in tool.files]
    return Standing(
        tool=tool.name,
        title=tool.title,
        program=shutil.which(tool.program, path=environ.get("PATH")) or "",
        state=_state(tool, names, environ, held),
        files=tuple(shown(path) for path in paths),
    )


def warnings(
    tool: Tool, names: Mapping[str, str], environ: Mapping[str, str], folder: Path, *, run: bool = False
) -> Iterator[str]:
    """What would win over the settings of `tool`, or over a `run` of it, for who starts it in `folder`."""
    exported = values(names["origin"], names["key"])
    for variable in () if run else tool.rival_variables:
        if environ.get(variable) and environ[variable] != exported.get(variable):
            yield f"{variable} is set in this shell and may win over these settings; unset it for {tool.title}"
    own = {file.place.find(environ).resolve() for file in tool.files}
    for rival in tool.rivals:
        if rival.over not in ("both", "run" if run else "settings"):
            continue
        for path in _places(rival, folder):
            is_own = path.resolve() in own and not rival.name.startswith("~")
            if not is_own and path.is_file() and (what := _winning(rival, path, tool, names)):
                yield f"{shown(path)}: {what} over bm's address for who starts {tool.title} here"


def _state(tool: Tool, names: Mapping[str, str], environ: Mapping[str, str], held: Journal) -> State:
    led = all(_leads(file.place.find(environ), tool, number, names) for number, file in enumerate(tool.files))
    if held.of(tool.name):
        return "yes" if led else "stale"
    return "by hand" if led else "no"


def _leads(path: Path, tool: Tool, number: int, names: Mapping[str, str]) -> bool:
    file = tool.files[number]
    try:
        text = read(path)
        return text is not None and holds(text, file.format, file.settings, names)
    except (CannotEdit, ConfigError, OSError):
        return False


def _places(rival: Rival, folder: Path) -> Iterator[Path]:
    if rival.name.startswith("~"):
        yield Path(rival.name).expanduser()
        return
    home = Path.home()
    for above in (folder, *folder.parents):
        if above == home:
            return
        yield above / rival.name


def _winning(rival: Rival, path: Path, tool: Tool, names: Mapping[str, str]) -> str:
    """What of a file wins, "" when nothing does."""
    if not rival.keys:
        return "it is read instead of bm's and so wins"
    edit = editor(rival.format)
    wanted = {setting.key: setting.value for file in tool.files for setting in file.settings}
    won: list[str] = []
    try:
        text = read(path) or ""
        for key in rival.keys:
            found = edit.get(text, key)
            own = wanted.get(key)
            if found is not None and (own is None or not edit.same(found, edit.write(filled(own, names)))):
                won.append(dotted(key))
    except (CannotEdit, ConfigError, OSError):
        return ""
    return f"{', '.join(won)} {'wins' if len(won) == 1 else 'win'}" if won else ""
