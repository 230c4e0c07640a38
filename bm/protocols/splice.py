"""One member of a request body exchanged, every other byte as it was."""

from __future__ import annotations

import re

import msgspec

_KEY = b'"model"'
_VALUE = re.compile(rb'\s*:\s*("(?:[^"\\]|\\.)*")')


class _Head(msgspec.Struct):
    model: str = ""


def _model(body: bytes) -> str:
    """The top-level model of what may have been spliced in the wrong place; empty when that broke it."""
    try:
        return msgspec.json.decode(body, type=_Head).model
    except msgspec.DecodeError:
        return ""


def splice_model(body: bytes, model: str, *, present: str | None = None) -> bytes:
    """Put `model` into the top-level `model` of a JSON object, for any protocol that has one.

    Prompt caches live on equal bytes, so nothing else is touched. The same object is returned when the name is there
    already. A `model` deeper inside (a tool's argument, a schema's property) is never taken for it. `present` is the
    name in the body, from those who know it: to find it takes as long as all the rest.

    Raises:
        msgspec.DecodeError: `body` is no JSON object, or its `model` is no string.
    """
    if (msgspec.json.decode(body, type=_Head).model if present is None else present) == model:
        return body
    name = msgspec.json.encode(model)
    at = body.find(_KEY)
    while at >= 0:
        found = _VALUE.match(body, at + len(_KEY))
        if found is not None:
            spliced = body[: found.start(1)] + name + body[found.end(1) :]
            if _model(spliced) == model:
                return spliced
        at = body.find(_KEY, at + 1)
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    members["model"] = msgspec.Raw(name)
    return msgspec.json.encode(members)
