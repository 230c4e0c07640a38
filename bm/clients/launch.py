"""Start a tool so that it uses bm for one run, without changing any of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bm.clients.change import applied, holds
from bm.clients.environment import UNSET, beside_proxy, values
from bm.clients.setup import read
from bm.clients.tool import Overlay, Setting, Tool, filled, shown
from bm.config.document import CannotEdit
from bm.config.files import make_private_folder, write_private
from bm.errors import ConfigError


class Launch(NamedTuple):
    """What to run, in which environment, and what to tell the user."""

    argv: list[str]
    environ: dict[str, str]
    notes: tuple[str, ...] = ()


def launch(
    tool: Tool,
    program: str,
    arguments: Sequence[str],
    names: Mapping[str, str],
    environ: Mapping[str, str],
    folder: Path,
) -> Launch:
    """How to run `program` of `tool` with the user's `arguments`; files that bm writes for the run go to `folder`.

    Raises:
        ConfigError: a file of the tool must be read and cannot be.
        OSError: a file in `folder` cannot be written.
    """
    unset = {*UNSET, *tool.unset}
    own = {name: value for name, value in environ.items() if name not in unset}
    own |= values(names["origin"], names["key"])
    own |= {name: filled(value, names) for name, value in tool.environ}
    own |= beside_proxy(environ)
    if tool.document is not None:
        variable, settings = tool.document
        own[variable] = _put(environ.get(variable, ""), settings, names, variable)
    words = [filled(word, names) for word in tool.arguments]
    notes: tuple[str, ...] = ()
    if tool.overlay is not None and _is_needed(tool, tool.overlay, arguments, names, environ):
        places = _overlaid(tool, tool.overlay, names, environ, folder)
        words += [filled(word, places) for word in tool.overlay.arguments]
        own |= {name: filled(value, places) for name, value in tool.overlay.environ}
        if tool.overlay.copies:
            where = shown(tool.files[0].place.find(environ))
            notes = (
                f"{where} does not select a key: this run of {tool.title} uses a copy of it and a separate history"
                f" (bm setup {tool.name} changes the file, bm setup {tool.name} --undo restores it)",
            )
    return Launch([program, *words, *arguments], own, notes)


def _is_needed(
    tool: Tool, overlay: Overlay, arguments: Sequence[str], names: Mapping[str, str], environ: Mapping[str, str]
) -> bool:
    if overlay.copies:
        own = tool.files[0]
        text = read(own.place.find(environ))
        try:
            return text is None or not holds(text, own.format, overlay.settings, names)
        except CannotEdit as error:
            raise ConfigError(str(error), path=shown(own.place.find(environ))) from None
    option = overlay.arguments[0]
    return not any(word == option or word.startswith(f"{option}=") for word in arguments)


def _overlaid(
    tool: Tool, overlay: Overlay, names: Mapping[str, str], environ: Mapping[str, str], folder: Path
) -> dict[str, str]:
    """Write the file of an overlay and return the placeholders for its arguments and variables."""
    file = folder / overlay.name
    make_private_folder(file.parent)
    base = (read(tool.files[0].place.find(environ)) or "") if overlay.copies else ""
    write_private(file, _put(base, overlay.settings, names, tool.title).encode())
    return {"file": str(file), "folder": str(folder / Path(overlay.name).parts[0])}


def _put(text: str, settings: Sequence[Setting], names: Mapping[str, str], where: str) -> str:
    try:
        return applied(text, "json", settings, names)[0]
    except CannotEdit as error:
        raise ConfigError(f"the settings for this run cannot be added: {error}", path=where) from None
