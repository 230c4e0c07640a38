"""The file formats that tools keep their settings in, and how to edit one value in each."""

from __future__ import annotations

import tomllib
from typing import Any, Final, Literal, Protocol

from bm.clients import jsonc
from bm.clients.lines import DOTENV, YAML, YAML_LIST
from bm.config import document
from bm.config.document import CannotEdit
from bm.config.keys import Key

Format = Literal["json", "toml", "dotenv", "yaml", "yaml-list"]


class Editor(Protocol):
    """Edits a text of one format.

    Values are passed as the text that writes them, so that an old value comes back exactly as it was. All methods but
    `same` raise `CannotEdit` when the text cannot be edited without disturbing the rest.
    """

    def get(self, text: str, key: Key) -> str | None:
        """The value of `key` as written; None when it is not set."""

    def put(self, text: str, key: Key, raw: str) -> str:
        """`text` with `key` set to `raw`."""

    def drop(self, text: str, key: Key) -> str:
        """`text` without `key`; unchanged when it is not set."""

    def is_empty(self, text: str, key: Key) -> bool:
        """Whether `key` is an empty table; whether the whole text is empty when `key` is `()`."""

    def write(self, value: Any) -> str:
        """`value` as the format writes it."""

    def same(self, raw: str, other: str) -> bool:
        """Whether two texts write the same value."""


class _Toml:
    """TOML, edited by tomlkit through `bm.config.document`."""

    def get(self, text: str, key: Key) -> str | None:
        found = self._find(text, key)
        return None if found is None else self.write(found)

    def put(self, text: str, key: Key, raw: str) -> str:
        self._read(text)
        return document.put(text, key, self._read(f"value = {raw}")["value"])

    def drop(self, text: str, key: Key) -> str:
        self._read(text)
        return document.drop(text, key)

    def is_empty(self, text: str, key: Key) -> bool:
        return self._find(text, key) == {} if key else not text.strip()

    def write(self, value: Any) -> str:
        return document.as_item(value).as_string()

    def same(self, raw: str, other: str) -> bool:
        return self._read(f"value = {raw}") == self._read(f"value = {other}")

    def _find(self, text: str, key: Key) -> Any:
        found: Any = self._read(text)
        for part in key:
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def _read(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise CannotEdit(f"it is not valid TOML ({error})") from None


TOML: Final = _Toml()
EDITORS: Final[dict[Format, Editor]] = {
    "json": jsonc,
    "toml": TOML,
    "dotenv": DOTENV,
    "yaml": YAML,
    "yaml-list": YAML_LIST,
}
