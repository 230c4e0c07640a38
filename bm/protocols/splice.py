"""Edit members of a JSON body and leave every other byte as it was: prompt caches are keyed by bytes."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from bm.errors import UNREADABLE
from bm.names import ProtocolName

Path = tuple[str | int, ...]
Changes = dict[Path, msgspec.Raw | None]
"""New values by place; None removes the member or element."""

_KEY = b'"model"'
_VALUE = re.compile(rb'\s*:\s*("(?:[^"\\]|\\.)*")')
_IN_EVENT: dict[ProtocolName, tuple[str, ...]] = {
    "anthropic": ("message", "model"),
    "openai-chat": ("model",),
    "openai-responses": ("response", "model"),
    "gemini": ("modelVersion",),
}
"""Where an event of a stream names the model that answers."""


class _Head(msgspec.Struct):
    model: str = ""


def raw_object(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The members of an object, not decoded."""
    return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])


def raw_array(raw: bytes | msgspec.Raw | None) -> list[msgspec.Raw]:
    """The elements of an array, not decoded; none for any other value."""
    if raw is None or bytes(raw).lstrip()[:1] != b"[":
        return []
    return msgspec.json.decode(raw, type=list[msgspec.Raw])


def edited(raw: bytes | msgspec.Raw, changes: Changes) -> bytes:
    """`raw` with its changes; the same bytes when there are none."""
    if not changes:
        return bytes(raw)
    by_head: dict[str | int, Changes] = {}
    for (head, *rest), value in changes.items():
        by_head.setdefault(head, {})[tuple(rest)] = value
    if isinstance(next(iter(by_head)), int):
        elements = list(enumerate(raw_array(raw)))
        return msgspec.json.encode([new for at, old in elements if (new := _changed(old, by_head.get(at))) is not None])
    members = raw_object(raw).items()
    return msgspec.json.encode({at: new for at, old in members if (new := _changed(old, by_head.get(at))) is not None})


def _changed(old: msgspec.Raw, changes: Changes | None) -> msgspec.Raw | None:
    if changes is None:
        return old
    return changes[()] if () in changes else msgspec.Raw(edited(old, changes))


def splice_model(body: bytes, model: str, *, present: str | None = None) -> bytes:
    """Put `model` into the top-level `model` of a request, for any protocol that has one.

    The same object is returned when the name is there already. A `model` deeper inside (a tool's argument, a schema's
    property) is never taken for it. `present` is the name in the body, where the caller knows it: finding it takes as
    long as everything else.

    Raises:
        DecodeError, UnicodeError: `body` is not a JSON object, or its `model` is not a string.
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
    return msgspec.json.encode(raw_object(body) | {"model": msgspec.Raw(name)})


def _model(body: bytes) -> str:
    """The top-level model of what may have been spliced in the wrong place; empty when that broke it."""
    try:
        return msgspec.json.decode(body, type=_Head).model
    except UNREADABLE:
        return ""


def rename_in_events(protocol: ProtocolName, model: str) -> Callable[[bytes], bytes]:
    """A function that puts `model` where an event of a stream names the model that answers."""
    return _renamer(_IN_EVENT[protocol], model)


def rename_in_response(protocol: ProtocolName, body: bytes, model: str) -> bytes:
    """A whole response with `model` as the model that answers."""
    return _renamer(_IN_EVENT[protocol][-1:], model)(body)


def _renamer(path: tuple[str, ...], model: str) -> Callable[[bytes], bytes]:
    name = msgspec.Raw(msgspec.json.encode(model))
    keys = [f'"{key}"'.encode() for key in path]

    def rename(data: bytes) -> bytes:
        if any(key not in data for key in keys):
            return data
        try:
            return _replaced(data, path, name)
        except UNREADABLE:
            return data

    return rename


def _replaced(data: bytes, path: tuple[str, ...], name: msgspec.Raw) -> bytes:
    """`data` with the string at `path` replaced; the same object when there is none."""
    key, *deeper = path
    members = raw_object(data)
    old = bytes(members.get(key, b""))
    if deeper:
        inner = _replaced(old, tuple(deeper), name) if old.startswith(b"{") else old
        return data if inner is old else msgspec.json.encode(members | {key: msgspec.Raw(inner)})
    return msgspec.json.encode(members | {key: name}) if old.startswith(b'"') else data
