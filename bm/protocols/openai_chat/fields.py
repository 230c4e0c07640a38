"""Members of a client's request, read with their types checked; an error names the place and what was expected.

A JSON null stands for an absent member everywhere: clients built on typed models send their unset fields so.
"""

from __future__ import annotations

from typing import Any

from bm.chat.parts import Json
from bm.errors import Failure, RequestError


def refuse(where: str, message: str, *, code: str = "") -> RequestError:
    """The error for a request at fault in `where`."""
    text = f"{where}: {message}" if where else message
    return RequestError(Failure(kind="bad_request", message=text, param=where, code=code))


def mismatch(where: str, expected: str, value: Any) -> RequestError:
    """The error for a member of the wrong type."""
    return refuse(where, f"expected {expected}, got {kind_of(value)}", code="invalid_type")


def kind_of(value: Any) -> str:
    """The JSON type of a value, in a person's words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"


def join(where: str, key: str) -> str:
    """The path of a member inside `where`."""
    return f"{where}.{key}" if where else key


def string(body: Json, key: str, where: str = "") -> str:
    """A string member; empty when absent."""
    value = body.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise mismatch(join(where, key), "a string", value)
    return value


def number(body: Json, key: str, where: str = "") -> float | None:
    """A number member; None when absent."""
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mismatch(join(where, key), "a number", value)
    return value


def integer(body: Json, key: str, where: str = "") -> int | None:
    """A whole number; None when absent. `3.0` is one: JavaScript knows no other."""
    value = number(body, key, where)
    if value is None:
        return None
    if value != int(value):
        raise mismatch(join(where, key), "a whole number", value)
    return int(value)


def boolean(body: Json, key: str, where: str = "") -> bool | None:
    """A boolean member; None when absent."""
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise mismatch(join(where, key), "a boolean", value)
    return value


def array(body: Json, key: str, where: str = "") -> list[Any]:
    """An array member; empty when absent."""
    value = body.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise mismatch(join(where, key), "an array", value)
    return value


def mapping(body: Json, key: str, where: str = "") -> Json | None:
    """An object member; None when absent."""
    value = body.get(key)
    if value is not None and not isinstance(value, dict):
        raise mismatch(join(where, key), "an object", value)
    return value


def item(value: Any, where: str) -> Json:
    """An element that must be an object."""
    if not isinstance(value, dict):
        raise mismatch(where, "an object", value)
    return value
