"""One member of a request body exchanged, every other byte as it was."""

from __future__ import annotations

import re

import msgspec

_MODEL = re.compile(rb'(?<!\\)"model"\s*:\s*("(?:[^"\\]|\\.)*")')


class _Head(msgspec.Struct):
    model: str = ""


def splice_model(body: bytes, model: str) -> bytes:
    """Put `model` into the top-level `model` of a JSON object, for any protocol that has one.

    Prompt caches live on equal bytes, so nothing else is touched. The same object is returned when the name is there
    already. A `model` deeper inside (a tool's argument, a schema's property) is never taken for it.

    Raises:
        msgspec.DecodeError: `body` is no JSON object.
    """
    if msgspec.json.decode(body, type=_Head).model == model:
        return body
    name = msgspec.json.encode(model)
    for found in _MODEL.finditer(body):
        spliced = body[: found.start(1)] + name + body[found.end(1) :]
        if msgspec.json.decode(spliced, type=_Head).model == model:
            return spliced
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    members["model"] = msgspec.Raw(name)
    return msgspec.json.encode(members)
