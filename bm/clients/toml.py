"""Change single values in the text of a TOML document, given and taken as the text that writes them."""

from __future__ import annotations

import tomllib
from typing import Any

from bm.config import document
from bm.config.document import CannotEdit
from bm.config.keys import Key


def get(text: str, key: Key) -> str | None:
    """The value of `key` as TOML writes it; None when there is none.

    Raises:
        CannotEdit: `text` is not valid TOML.
    """
    found = _find(text, key)
    return None if found is None else write(found)


def put(text: str, key: Key, raw: str) -> str:
    """`text` with `key` set to the value that `raw` writes.

    Raises:
        CannotEdit: `text` is not valid TOML, or only a rewrite would do.
    """
    _read(text)
    return document.put(text, key, _read(f"value = {raw}")["value"])


def drop(text: str, key: Key) -> str:
    """`text` without `key`, which may be a table; unchanged when it has none.

    Raises:
        CannotEdit: `text` is not valid TOML, or only a rewrite would do.
    """
    _read(text)
    return document.drop(text, key)


def is_empty(text: str, key: Key) -> bool:
    """Whether `key` is a table that holds nothing; the whole document, comments included, when `key` is empty.

    Raises:
        CannotEdit: `text` is not valid TOML.
    """
    return _find(text, key) == {} if key else not text.strip()


def write(value: Any) -> str:
    """`value` as TOML writes it on one line."""
    return document.as_item(value).as_string()


def same(raw: str, other: str) -> bool:
    """Whether two texts write the same value."""
    return _read(f"value = {raw}") == _read(f"value = {other}")


def _find(text: str, key: Key) -> Any:
    found: Any = _read(text)
    for part in key:
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CannotEdit(f"it is not valid TOML ({error})") from None
