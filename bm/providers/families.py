"""The model families of families.toml, and which of them a model belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from fnmatch import translate
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

TABLE: Final = Path(__file__).with_name("families.toml")

Vendor = str
"""`claude`, `gemini` or `openai`; empty for models whose own protocol bm does not speak."""

_SEPARATORS: Final = str.maketrans("._:@", "----")
_WILDCARD: Final = re.compile(r"\[[^]]*\]|[*?]")
_FIREWORKS: Final = re.compile(r"(?<=\d)p(?=\d)")
"""Fireworks writes the point of a version as a letter: `glm-5p3`."""


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `takes` are members of `bm.chat.capabilities.Capabilities`; the rest is described in families.toml."""

    name: str
    models: tuple[str, ...]
    takes: Mapping[str, Any]
    source: str
    vendor: Vendor = ""
    at: str = ""
    retires: date | None = None


class _Row(msgspec.Struct, kw_only=True):
    """The members of a table that are not capabilities."""

    models: tuple[str, ...]
    source: str
    vendor: Vendor = ""
    at: str = ""
    like: str = ""
    retires: date | None = None


@cache
def families() -> Mapping[str, Family]:
    """Every family by its name, in the order of the file."""
    read: dict[str, Family] = {}
    for name, table in msgspec.toml.decode(TABLE.read_bytes(), type=dict[str, dict[str, Any]]).items():
        row = msgspec.convert(table, _Row)
        above = read[row.like] if row.like else None
        own = {member: value for member, value in table.items() if member not in _Row.__struct_fields__}
        read[name] = Family(
            name=name,
            models=row.models,
            takes={**above.takes, **own} if above is not None else own,
            source=row.source,
            vendor=row.vendor or (above.vendor if above is not None else ""),
            at=row.at,
            retires=row.retires,
        )
    return read


def normalised(model: str) -> str:
    """The name as patterns see it: `anthropic/Claude-Haiku-4.5` as `claude-haiku-4-5`."""
    return _FIREWORKS.sub("-", model.lower().rpartition("/")[2].translate(_SEPARATORS))


@lru_cache(maxsize=1024)
def family_of(model: str, service: str = "") -> Family | None:
    """The family of a model; None for a name that no pattern fits. `service` is the name of the serving dialect."""
    name = normalised(model)
    fitting = [
        (bool(family.at), letters, family)
        for head, pattern, letters, family in _patterns()
        if head in name and family.at in ("", service) and _compiled(pattern).search(name)
    ]
    return max(fitting, key=lambda each: each[:2])[2] if fitting else None


@cache
def _patterns() -> tuple[tuple[str, str, int, Family], ...]:
    """Each pattern of each family, with the text before its first wildcard and the length of all its text."""
    found = []
    for family in families().values():
        for written in family.models:
            pattern = written.translate(_SEPARATORS)
            literal = _WILDCARD.split(pattern)
            found.append((literal[0], pattern, len("".join(literal)), family))
    return tuple(found)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(r"(?:^|-)" + translate(pattern))
