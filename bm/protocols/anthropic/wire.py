"""Reading members of a client's body, with errors that name the place and what belongs there."""

from __future__ import annotations

from typing import Any

from bm.chat.parts import CacheMark, Json
from bm.chat.request import Extra
from bm.errors import Failure, RequestError
from bm.names import ProtocolName

PROTOCOL: ProtocolName = "anthropic"

_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


def fault(place: str, expected: str, value: object) -> RequestError:
    """The error for a value that is not what belongs at `place`."""
    found = _KINDS.get(type(value), "a number")
    return RequestError(
        Failure(kind="bad_request", message=f"{place}: expected {expected}, found {found}", param=place)
    )


def refused(place: str, message: str) -> RequestError:
    """The error for a value that is well-formed and still not acceptable."""
    return RequestError(Failure(kind="bad_request", message=f"{place}: {message}", param=place))


def string(value: Any, place: str) -> str:
    """A string that must be there."""
    if not isinstance(value, str):
        raise fault(place, "a string", value)
    return value


def words(value: Any, place: str) -> str:
    """A string that may be absent or null."""
    return "" if value is None else string(value, place)


def obj(value: Any, place: str) -> Json:
    """An object that must be there."""
    if not isinstance(value, dict):
        raise fault(place, "an object", value)
    return value


def members(value: Any, place: str) -> Json:
    """An object that may be absent or null."""
    return {} if value is None else obj(value, place)


def array(value: Any, place: str) -> list[Any]:
    """An array that may be absent or null."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise fault(place, "an array", value)
    return value


def integer(value: Any, place: str) -> int | None:
    """A whole number, also one spelled `5.0`, that may be absent or null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise fault(place, "an integer", value)
    return int(value)


def number(value: Any, place: str) -> float | None:
    """A number that may be absent or null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault(place, "a number", value)
    return value


def boolean(value: Any, place: str) -> bool | None:
    """A truth value that may be absent or null."""
    if value is None or isinstance(value, bool):
        return value
    raise fault(place, "a boolean", value)


def cache_mark(block: Json, place: str) -> CacheMark | None:
    """The `cache_control` of a block, tool or system text."""
    value = block.get("cache_control")
    if value is None:
        return None
    return CacheMark(words(obj(value, f"{place}.cache_control").get("ttl"), f"{place}.cache_control.ttl"))


def cache_control(mark: CacheMark) -> Json:
    """A mark as the wire has it."""
    return {"type": "ephemeral", "ttl": mark.ttl} if mark.ttl else {"type": "ephemeral"}


class Unmapped:
    """Gathers the members of a body that have no place in the canonical form, by their path."""

    def __init__(self) -> None:
        self.extras: list[Extra] = []

    def add(self, field: str, value: Any) -> None:
        """Keep one member."""
        self.extras.append(Extra(PROTOCOL, field, value))

    def rest(self, body: Json, known: frozenset[str], place: str) -> None:
        """Keep the members of `body` that are not `known` and not null."""
        for name, value in body.items():
            if name not in known and value is not None:
                self.add(f"{place}.{name}" if place else name, value)
