"""The formats that settings are written in: how a single value of a text is found, set and taken out of each."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final, Literal, Protocol, cast

from bm.clients import dotenv, jsonc, toml, yaml, yaml_list
from bm.config.keys import Key

Format = Literal["json", "toml", "dotenv", "yaml", "yaml-list"]


class Editor(Protocol):
    """What can be done with a text of one format. Values are given and taken as the text that writes them, so that
    they come back as they were; all but `write` and `same` may raise `CannotEdit`."""

    def get(self, text: str, key: Key) -> str | None:
        """The value of `key` as it is written; None when there is none."""

    def put(self, text: str, key: Key, raw: str) -> str:
        """`text` with that value, and all else as it was."""

    def drop(self, text: str, key: Key) -> str:
        """`text` without `key`, and all else as it was."""

    def is_empty(self, text: str, key: Key) -> bool:
        """Whether `key` holds nothing any more; the whole text when `key` is empty."""

    def write(self, value: Any) -> str:
        """`value` as it is written on one line."""

    def same(self, raw: str, other: str) -> bool:
        """Whether two texts write the same value."""


_MODULES: Final[dict[Format, ModuleType]] = {
    "json": jsonc,
    "toml": toml,
    "dotenv": dotenv,
    "yaml": yaml,
    "yaml-list": yaml_list,
}


def editor(name: Format) -> Editor:
    """The editor of a format."""
    return cast(Editor, _MODULES[name])
