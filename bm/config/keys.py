"""Dotted keys, as TOML writes them and as people type them: `providers.groq.models."llama-3.3-70b"`."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec

from bm.errors import ConfigError

Key = tuple[str, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(key: Key) -> str:
    """Write `key`, with quotes around the parts that TOML cannot leave bare."""
    return ".".join(part if _BARE.fullmatch(part) else _quoted(part) for part in key)


def _quoted(part: str) -> str:
    # A JSON string is a TOML string, but for DEL, which only TOML wants escaped.
    return msgspec.json.encode(part).decode().replace("\x7f", "\\u007f")


def split(text: str) -> Key:
    """Read a dotted key.

    Raises:
        ConfigError: `text` is not exactly one dotted key.
    """
    try:
        table: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        raise _not_a_key(text) from None
    parts: list[str] = []
    while isinstance(table, dict):
        if len(table) != 1:
            raise _not_a_key(text)
        ((part, table),) = table.items()
        parts.append(part)
    if table != 0:
        raise _not_a_key(text)
    return tuple(parts)


def _not_a_key(text: str) -> ConfigError:
    hint = 'write section.key, with quotes around a part such as "llama-3.3-70b"'
    return ConfigError("is not the name of a setting", key=text, hint=hint)
