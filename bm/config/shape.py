"""Hold a parsed file against the schema: every unknown key and every value of a wrong type, all at once."""

from __future__ import annotations

from typing import Any

from msgspec import inspect

from bm.config.keys import Key, dotted
from bm.config.kinds import Kind, choices, described, fits, wanted, without_none
from bm.config.problem import Problem, nearest
from bm.config.schema import Config

SCHEMA: Kind = inspect.type_info(Config)

_UNSHOWN = frozenset({"api_key", "url", "headers"})
"""Keys whose values may hold a secret: an error says what kind they are, not what they are."""

Table = dict[str, Any]


def checked(raw: Table) -> tuple[Table, list[Problem]]:
    """A copy of `raw` without what the schema refuses, and a problem for each refusal."""
    problems: list[Problem] = []
    return _table(raw, SCHEMA, (), problems), problems


def kind_of(key: Key) -> Kind | None:
    """What the schema says about `key`: a leaf's kind or a table's; None when there is no such setting."""
    kind: Kind = SCHEMA
    for part in key:
        found = _member(kind, part)
        if found is None:
            return None
        kind = found
    return kind


def _member(kind: Kind, name: str) -> Kind | None:
    match kind:
        case inspect.StructType(fields=fields):
            return next((without_none(each.type) for each in fields if each.name == name), None)
        case inspect.DictType(value_type=value):
            return value
        case _:
            return None


def is_table(kind: Kind) -> bool:
    """Whether a setting of this kind holds further settings."""
    return isinstance(kind, inspect.StructType | inspect.DictType)


def members(kind: Kind) -> list[str]:
    """The names a table may hold, where the schema fixes them."""
    return [each.name for each in kind.fields] if isinstance(kind, inspect.StructType) else []


def _table(raw: Table, kind: Kind, key: Key, problems: list[Problem]) -> Table:
    kept: Table = {}
    for name, value in raw.items():
        here = (*key, name)
        member = _member(kind, name)
        if member is None:
            problems.append(Problem(here, "unknown key", _instead(name, kind)))
        elif is_table(member) and isinstance(value, dict):
            kept[name] = _table(value, member, here, problems)
        elif not is_table(member) and fits(value, member):
            kept[name] = value
        else:
            problems.append(_misfit(here, value, member))
    return kept


def _misfit(key: Key, value: object, kind: Kind) -> Problem:
    got = described(value, shown=_UNSHOWN.isdisjoint(key))
    words = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
    hints = (nearest(word, choices(kind)) for word in words if word not in choices(kind))
    return Problem(key, f"expected {wanted(kind)}, got {got}", next(filter(None, hints), ""))


def _instead(name: str, kind: Kind) -> str:
    if near := nearest(name, members(kind)):
        return near
    elsewhere = [(section, name) for section in members(SCHEMA) if kind_of((section, name)) is not None]
    fixed = [key for key in elsewhere if isinstance(kind_of(key[:1]), inspect.StructType)]
    return f'did you mean "{dotted(fixed[0])}"?' if fixed else ""
