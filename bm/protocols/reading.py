"""Typed members of JSON bodies.

The readers of a client's request check the type. A wrong one is a `RequestError` whose failure names the place in
`param`, and so is whatever else is wrong with the part of a request that a function reads with them. JSON null is an
absent member everywhere, because clients built on typed models send their unset fields as null. A name in camelCase is
also found in snake_case, because Gemini's SDKs mix the two in one body.

The functions that end in `_of` read an upstream's answer: a value of another type counts as empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from functools import lru_cache
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.chat.request import Extra
from bm.errors import UNREADABLE, Failure, RequestError
from bm.names import ProtocolName

_HUMP = re.compile(r"(?<=[a-z0-9])[A-Z]")
_UNDERSCORE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")
_MESSAGES = ("messages", "content")
_KINDS = {type(None): "null", bool: "a boolean", str: "a string", list: "an array", dict: "an object"}


@lru_cache(maxsize=512)
def snake(name: str) -> str:
    """`inline_data` for `inlineData`."""
    return _HUMP.sub(lambda found: f"_{found.group().lower()}", name)


@lru_cache(maxsize=512)
def camel(name: str) -> str:
    """`inlineData` for `inline_data`; a name in camelCase stays as it is."""
    return _UNDERSCORE.sub(lambda found: found.group(1).upper(), name)


def in_camel_case(body: Json) -> Json:
    """The members that are not null, with their names in camelCase."""
    return {camel(key): value for key, value in body.items() if value is not None}


def refuse(place: str, message: str, code: str = "") -> RequestError:
    """The error for a request that is at fault in `place`."""
    text = f"{place}: {message}" if place else message
    return RequestError(Failure(kind="bad_request", message=text, param=place, code=code))


def mismatch(place: str, expected: str, value: Any) -> RequestError:
    """The error for a value of the wrong type."""
    return refuse(place, f"expected {expected}, got {_KINDS.get(type(value), 'a number')}", "invalid_type")


def join(place: str, key: str) -> str:
    """The path of a member of the object in `place`."""
    return f"{place}.{key}" if place else key


def place_of(protocol: ProtocolName, turn: int, part: int) -> str:
    """The path of a part of a turn, as a client of that protocol spells it."""
    turns, parts = {"gemini": ("contents", "parts"), "openai-responses": ("input", "content")}.get(protocol, _MESSAGES)
    return f"{turns}[{turn}].{parts}[{part}]"


def member(body: Json, key: str) -> Any:
    """The value of a member, in either spelling when `key` is in camelCase; None when it is absent or null."""
    value = body.get(key)
    return value if value is not None or key.islower() else body.get(snake(key))


def string(body: Json, key: str, place: str = "") -> str:
    """A string; empty when absent."""
    value = body.get(key)
    if value is None and not key.islower():
        value = body.get(snake(key))
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise mismatch(join(place, key), "a string", value)


def required_string(body: Json, key: str, place: str = "") -> str:
    """A string that must be there, and may be empty."""
    value = body.get(key)
    if isinstance(value, str):
        return value
    value = string(body, key, place)
    if not value and member(body, key) is None:
        raise mismatch(join(place, key), "a string", None)
    return value


def filled_string(body: Json, key: str, place: str = "", what: str = "a string") -> str:
    """A string that must be there and must not be empty."""
    value = string(body, key, place)
    if not value:
        raise refuse(join(place, key), f"expected {what}, got nothing", "missing_required_parameter")
    return value


def number(body: Json, key: str, place: str = "") -> float | None:
    """A number; None when absent."""
    value = member(body, key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mismatch(join(place, key), "a number", value)
    return value


def integer(body: Json, key: str, place: str = "", *, least: int | None = None) -> int | None:
    """An integer of at least so much; None when absent. `3.0` is one, because JavaScript has no other."""
    value = member(body, key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise mismatch(join(place, key), "an integer", value)
    if least is not None and value < least:
        raise refuse(join(place, key), f"expected at least {least}, got {int(value)}")
    return int(value)


def boolean(body: Json, key: str, place: str = "") -> bool | None:
    """A boolean; None when absent."""
    value = member(body, key)
    if value is not None and not isinstance(value, bool):
        raise mismatch(join(place, key), "a boolean", value)
    return value


def mapping(body: Json, key: str, place: str = "") -> Json | None:
    """An object; None when absent."""
    value = body.get(key)
    if value is None and not key.islower():
        value = body.get(snake(key))
    if value is None or isinstance(value, dict):
        return value
    raise mismatch(join(place, key), "an object", value)


def required_mapping(body: Json, key: str, place: str = "") -> Json:
    """An object that must be there."""
    value = mapping(body, key, place)
    if value is None:
        raise mismatch(join(place, key), "an object", None)
    return value


def element(value: Any, place: str) -> Json:
    """A value that must be an object, such as an element of an array."""
    if not isinstance(value, dict):
        raise mismatch(place, "an object", value)
    return value


def array(body: Json, key: str, place: str = "") -> list[Any]:
    """An array; empty when absent."""
    value = member(body, key)
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise mismatch(join(place, key), "an array", value)


def required_array(body: Json, key: str, place: str = "") -> list[Any]:
    """An array that must be there and must not be empty."""
    if member(body, key) is None:
        raise mismatch(join(place, key), "an array", None)
    if not (values := array(body, key, place)):
        raise refuse(join(place, key), "expected at least one element, got an empty array", "empty_array")
    return values


def elements(body: Json, key: str, place: str = "") -> Iterable[tuple[Json, str]]:
    """The objects of an array, each with its place; none when the array is absent."""
    values = array(body, key, place)
    return _placed(values, join(place, key)) if values else ()


def _placed(values: list[Any], place: str) -> Iterator[tuple[Json, str]]:
    for index, value in enumerate(values):
        at = f"{place}[{index}]"
        yield (value if isinstance(value, dict) else element(value, at)), at


def strings(body: Json, key: str, place: str = "") -> list[str]:
    """An array of strings, or a single string; empty when absent."""
    value = member(body, key)
    if isinstance(value, str):
        return [value]
    for index, each in enumerate(array(body, key, place)):
        if not isinstance(each, str):
            raise mismatch(f"{join(place, key)}[{index}]", "a string", each)
    return value or []


class Unread:
    """Gathers the members of a body that have no place in the canonical form, by their path."""

    def __init__(self, protocol: ProtocolName) -> None:
        self.extras: list[Extra] = []
        self._protocol = protocol

    def add(self, path: str, value: Any) -> None:
        """Keep one member."""
        self.extras.append(Extra(self._protocol, path, value))

    def rest(self, body: Json, known: Set[str], place: str = "") -> None:
        """Keep the members of `body` that are not `known` and not null."""
        if body.keys() <= known:
            return
        for name, value in body.items():
            if value is not None and name not in known:
                self.add(join(place, name), value)


def string_of(value: Any) -> str:
    """The string, else an empty one."""
    return value if isinstance(value, str) else ""


def count_of(value: Any) -> int:
    """A count, such as of tokens, or an index; 0 for anything that is no positive number."""
    if type(value) is int:
        return value if value > 0 else 0
    return int(value) if isinstance(value, int | float) and value > 0 else 0


_USUAL_TIERS = ("", "default", "standard", "auto", "on_demand", "unspecified", "service_tier_unspecified")


def tier_of(value: Any) -> str:
    """The service tier that answered, empty where it has the usual price."""
    word = value.lower().removeprefix("service_tier_") if isinstance(value, str) else ""
    return "" if word in _USUAL_TIERS else word[:20]


def object_of(value: Any) -> Json:
    """The object, else an empty one."""
    return value if isinstance(value, dict) else {}


def array_of(value: Any) -> list[Any]:
    """The array, else an empty one."""
    return value if isinstance(value, list) else []


def objects_of(value: Any) -> list[Json]:
    """The objects of an array; none of anything else."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def json_of(data: bytes | str) -> Any:
    """The decoded JSON; None when it is none."""
    try:
        return msgspec.json.decode(data)
    except UNREADABLE:
        return None
