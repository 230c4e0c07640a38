"""Rows of a table that says what a service refuses of which models, and how a request is checked against them.

The tables are written from the vendors' documents, SDKs and public reports, never from what bm sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from bm.simulator.faults import KINDS, Refused, Trouble
from bm.simulator.request import Json, Request

_SUFFIX = re.compile(r"(?:-20\d{6}|-20\d\d-\d\d-\d\d|@[\w.-]+|:[\w.-]+|-sim-[a-z0-9-]+)+$")
_SCHEMA_MAPS = ("properties", "$defs", "definitions", "patternProperties")


class Refusal(msgspec.Struct, frozen=True):
    """One thing that a service refuses of some models.

    `models` are patterns separated by spaces; `family` says what they are compared with. A row with a `service` holds
    only there (`Request.flavour`). `broken` returns what is wrong with a body, or a false value. `message` may contain
    `{model}` and `{found}`, what `broken` returned. `source` names the document or report.
    """

    models: str
    broken: Callable[[Json], Any]
    message: str
    source: str
    service: str = ""
    param: str = ""
    code: str = ""
    status: int = 400


def family(model: str) -> str:
    """A model's name in lower case, without a publisher, a date, a tag, or the fault it asks for."""
    return _SUFFIX.sub("", model.lower().rpartition("/")[2])


def refuse(table: Sequence[Refusal], request: Request, body: Json) -> None:
    """Refuse `body` for the first row of `table` that it breaks.

    Raises:
        Refused: with the row's error.
    """
    name = family(request.model)
    for row in table:
        if row.service not in ("", request.flavour) or not any(fnmatchcase(name, one) for one in row.models.split()):
            continue
        if found := row.broken(body):
            message = row.message.format(model=request.model, found=found)
            kind = KINDS.get(row.status, "bad_request")
            raise Refused(Trouble(kind=kind, status=row.status, message=message, param=row.param, code=row.code))


def words(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


def always(_: Json) -> bool:
    """For a row that refuses every request."""
    return True


def member(value: Any, *path: str) -> Any:
    """The value at `path` in nested objects; None where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def number(value: Any) -> float | None:
    """`value` if it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def subschemas(schema: Any) -> Iterator[Json]:
    """A JSON schema and all schemas in it."""
    if isinstance(schema, list):
        for one in schema:
            yield from subschemas(one)
    if not isinstance(schema, dict):
        return
    yield schema
    for name, value in schema.items():
        if name in _SCHEMA_MAPS and isinstance(value, dict):
            yield from subschemas(list(value.values()))
        elif name in ("items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "additionalProperties"):
            yield from subschemas(value)
