"""`cache_control` marks: decode, encode, and repair or remove them in requests that pass through.

Only members that change are rewritten, because the upstream's prompt cache is keyed by bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from bm.chat.parts import CacheMark, Json
from bm.errors import UNREADABLE
from bm.protocols.reading import array_of, mapping, object_of, string, string_of
from bm.protocols.splice import Changes, Path, edited, raw_array, raw_object

MAX_MARKS = 4

_MARK = "cache_control"
_MARK_BYTES = b'"cache_control"'
_UNMARKABLE = frozenset({"thinking", "redacted_thinking"})
_DOCUMENTED = frozenset({"type", "ttl"})
_TTLS = ("5m", "1h")


def decode_mark(block: Json, place: str) -> CacheMark | None:
    """The `cache_control` of a block, tool or system text."""
    value = mapping(block, _MARK, place) if _MARK in block else None
    return None if value is None else CacheMark(string(value, "ttl", f"{place}.{_MARK}"))


def encode_mark(mark: CacheMark) -> Json:
    """The mark as the API takes it."""
    return {"type": "ephemeral", "ttl": mark.ttl} if mark.ttl else {"type": "ephemeral"}


def limit_marks(body: Json) -> None:
    """Remove the oldest marks from messages that bm has written until the API takes their number.

    An hour may not follow five minutes, in the order of the prompt.
    """
    blocks = [block for message in body["messages"] for block in message["content"]]
    short = False
    for block in (*body.get("tools", ()), *body.get("system", ()), *blocks):
        if isinstance(mark := block.get(_MARK), dict):
            if short and mark.get("ttl") == "1h":
                del mark["ttl"]
            short = short or mark.get("ttl") != "1h"
    marked = [block for block in (*blocks, *body.get("system", ())) if _MARK in block]
    tools = sum(1 for tool in body.get("tools", ()) if _MARK in tool)
    for block in marked[: max(0, len(marked) + tools - MAX_MARKS)]:
        del block[_MARK]


def with_legal_marks(body: bytes, *, strip: bool = False) -> bytes:
    """The body with the marks that the API refuses repaired, or without any; the same object when nothing changes.

    Raises:
        DecodeError, UnicodeError: `body` is not a request.
    """
    if _MARK_BYTES not in body or not (strip or _needs_repair(body)):
        return body
    marks = _marks(body)
    changes: Changes = dict.fromkeys(mark.path for mark in marks) if strip else _repaired(marks)
    return edited(body, changes) if changes else body


class _Block(msgspec.Struct):
    type: str = ""
    text: msgspec.Raw = msgspec.Raw()
    defer_loading: bool = False
    cache_control: msgspec.Raw = msgspec.Raw()


class _Message(msgspec.Struct):
    content: str | list[_Block] = ""


class _Request(msgspec.Struct):
    tools: list[_Block] = []
    system: str | list[_Block] = ""
    messages: list[_Message] = []


def _needs_repair(body: bytes) -> bool:
    """Whether marks may have to be repaired: not where all are known, legal, and in blocks that may have one."""
    try:
        request = msgspec.json.decode(body, type=_Request)
    except UNREADABLE:
        return True
    sections = (request.tools, request.system, *(message.content for message in request.messages))
    marked = [block for blocks in sections if not isinstance(blocks, str) for block in blocks if block.cache_control]
    if len(marked) != body.count(_MARK_BYTES):
        return True
    return not are_legal((block.cache_control, _as_json(block)) for block in marked)


def are_legal(marked: Iterable[tuple[msgspec.Raw, Json]]) -> bool:
    """Whether the API takes these marks, each with what its block says of whether it may have one."""
    values = ((msgspec.json.decode(raw), block) for raw, block in marked)
    marks = [_Mark((), value, block) for value, block in values if value is not None]
    return len(marks) <= MAX_MARKS and not _repaired(marks)


def _as_json(block: _Block) -> Json:
    text = msgspec.json.decode(block.text) if block.text else None
    return {"type": block.type, "text": text, "defer_loading": block.defer_loading}


class _Mark(msgspec.Struct, frozen=True):
    """A `cache_control`: its path, its value, and the block that holds it."""

    path: Path
    value: Any
    block: Json


def _marks(body: bytes) -> list[_Mark]:
    """All marks in the order of the prompt: tools, system, messages, then the request's own, which stands for its end.

    Members of that name in a tool's arguments or schema are not marks.
    """
    request = raw_object(body)
    marks: list[_Mark] = []
    for section in ("tools", "system"):
        for index, block in enumerate(raw_array(request.get(section))):
            marks += _of_block(block, (section, index))
    for number, message in enumerate(raw_array(request.get("messages"))):
        if _MARK_BYTES in bytes(message):
            for index, block in enumerate(raw_array(raw_object(message).get("content"))):
                marks += _of_block(block, ("messages", number, "content", index))
    if _MARK in request:
        marks.append(_Mark((_MARK,), msgspec.json.decode(request[_MARK]), {}))
    return marks


def _of_block(raw: msgspec.Raw, path: Path) -> list[_Mark]:
    """The marks of a block: first those of blocks inside a tool result or document, then its own."""
    if _MARK_BYTES not in bytes(raw):
        return []
    block: Any = msgspec.json.decode(raw)
    if not isinstance(block, dict):
        return []
    inner = {("content",): block.get("content"), ("source", "content"): object_of(block.get("source")).get("content")}
    owners: dict[Path, Any] = {
        (*at, n): child for at, value in inner.items() for n, child in enumerate(array_of(value))
    }
    owners[()] = block
    return [
        _Mark((*path, *at, _MARK), owner[_MARK], owner)
        for at, owner in owners.items()
        if isinstance(owner, dict) and _MARK in owner
    ]


def _repaired(marks: list[_Mark]) -> Changes:
    """Repair marks that the API refuses with 400: misplaced, malformed, out of order, too many."""
    changes: Changes = {}
    legal: list[_Mark] = []
    short = False
    for mark in marks:
        if mark.value is None:
            continue
        if not _may_stand(mark):
            changes[mark.path] = None
            continue
        value = {name: member for name, member in mark.value.items() if name in _DOCUMENTED}
        if value.get("ttl", "5m") not in _TTLS or (value.get("ttl") == "1h" and short):
            del value["ttl"]
        short = short or value.get("ttl") != "1h"
        if value != mark.value:
            changes[mark.path] = msgspec.Raw(msgspec.json.encode(value))
        legal.append(mark)
    return changes | dict.fromkeys(mark.path for mark in _surplus(legal))


def _may_stand(mark: _Mark) -> bool:
    value, block = mark.value, mark.block
    if not isinstance(value, dict) or value.get("type") != "ephemeral":
        return False
    if string_of(block.get("type")) in _UNMARKABLE or block.get("defer_loading") is True:
        return False
    text = block.get("text")
    return not (block.get("type") == "text" and isinstance(text, str) and not text.strip())


def _surplus(marks: list[_Mark]) -> list[_Mark]:
    """The marks to remove: the oldest of messages first, then of system and tools all but the last."""
    excess = len(marks) - MAX_MARKS
    if excess <= 0:
        return []
    order: list[_Mark] = []
    for section in ("messages", "system", "tools"):
        order += [mark for mark in marks if mark.path[0] == section][:-1]
    return order[:excess]
