"""The kinds of value a setting takes: whether a TOML value fits, how to say what was expected, how to read a text.

Works on msgspec's own description of the schema, so that the types in `bm.config.schema` are the only statement of
what is allowed, and every misfit can be reported at once with the place it stands at.
"""

from __future__ import annotations

import tomllib
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect

Kind: TypeAlias = inspect.Type

_LONG = 20

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def without_none(kind: Kind) -> Kind:
    """The kind itself where None means *absent*, since TOML has no null; unions of words become one."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    kinds = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
    words = [value for each in kinds if isinstance(each, inspect.LiteralType) for value in each.values]
    return inspect.LiteralType(tuple(words)) if words else kinds[0]


def fits(value: object, kind: Kind) -> bool:
    """Whether `value`, as tomllib gives it, is what a leaf of this kind may hold."""
    match kind:
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType(ge=low, le=high):
            return isinstance(value, int) and not isinstance(value, bool) and _within(value, low, high)
        case inspect.FloatType(ge=low, le=high):
            return isinstance(value, int | float) and not isinstance(value, bool) and _within(value, low, high)
        case inspect.LiteralType(values=values):
            return isinstance(value, str) and value in values
        case inspect.VarTupleType(item_type=item):
            return isinstance(value, list) and all(fits(each, item) for each in value)
        case _:
            return isinstance(value, str)


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def wanted(kind: Kind) -> str:
    """What a person should write, as the end of "expected …"."""
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low} to {high}"
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in choices(kind))
        case inspect.VarTupleType(item_type=inspect.LiteralType() as item):
            return wanted(item).replace("one of", "a list of", 1)
        case inspect.VarTupleType():
            return "a list of texts"
        case inspect.StructType() | inspect.DictType():
            return "a table"
        case _:
            return "a text"


def choices(kind: Kind) -> list[str]:
    """The words a leaf may hold, in the order of the schema; empty when it is no matter of words."""
    match kind:
        case inspect.LiteralType(values=values):
            return [str(value) for value in values if value]
        case inspect.VarTupleType(item_type=item):
            return choices(item)
        case _:
            return []


def described(value: object, *, shown: bool = True) -> str:
    """What a person wrote, as the end of "got …"; without `shown` only its kind, for what may hold a secret.

    Long texts are not shown either: a key may have been put in the wrong place.
    """
    match value:
        case bool():
            noun = "the value"
        case str():
            noun = "the text"
        case int() | float():
            noun = "the number"
        case list():
            noun = "the list"
        case dict():
            return "a table"
        case _:
            return "a date or time"
    written = msgspec.json.encode(value).decode() if not isinstance(value, float) else str(value)
    texts = [value, *value] if isinstance(value, list) else [value]
    if not shown or any(isinstance(each, str) and len(each) >= _LONG for each in texts):
        return noun.replace("the", "a")
    return f"{noun} {written}"


def read(text: str, kind: Kind) -> Any:
    """The value that `text`, from the environment or a command line, stands for.

    A text that does not read as the kind comes back as it is, for `fits` to refuse. Lists are written with commas
    or as in TOML, tables as in TOML.
    """
    kind = without_none(kind)
    match kind:
        case inspect.BoolType():
            return _WORDS.get(text.strip().lower(), text)
        case inspect.IntType() | inspect.FloatType():
            return _toml_value(text, (int, float))
        case inspect.VarTupleType() if not text.lstrip().startswith("["):
            return [part.strip() for part in text.split(",") if part.strip()]
        case inspect.VarTupleType():
            return _toml_value(text, (list,))
        case inspect.DictType() | inspect.StructType():
            return _toml_value(text, (dict,))
        case _:
            return text


def _toml_value(text: str, types: tuple[type, ...]) -> Any:
    try:
        table = tomllib.loads(f"value = {text.strip()}")
    except tomllib.TOMLDecodeError:
        return text
    value = table["value"] if len(table) == 1 else text
    return value if isinstance(value, types) and not isinstance(value, bool) else text
