"""Content blocks of requests and answers, read into parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bm.chat.parts import Json, Media, MediaKind, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from bm.chat.signature import NEXT, PREVIOUS, REDACTED, Signature, unwrap
from bm.protocols.anthropic.citations import decode_citation, decode_search
from bm.protocols.anthropic.summary import summary
from bm.protocols.anthropic.wire import PROTOCOL, Unmapped, array, cache_mark, obj, refused, string, words

Reader = Callable[[Json, str, Unmapped], Part]

FOREIGN = "bm"
"""The vendor of a wrapped signature that holds none: it only marks thinking as not Claude's own."""

_TEXT = frozenset({"type", "text", "citations", "cache_control"})
_MEDIA = frozenset({"type", "source", "title", "cache_control"})
_THINKING = frozenset({"type", "thinking", "signature"})
_REDACTED = frozenset({"type", "data"})
_TOOL_USE = frozenset({"type", "id", "name", "input", "cache_control", "caller"})
_TOOL_RESULT = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})


def decode_content(content: Any, place: str, unmapped: Unmapped) -> tuple[Part, ...]:
    """The parts of a message's `content`, which may be a string.

    Thinking that carries another vendor's wrapped signature gives it back to the part that follows; what such a
    block says stays as thinking of no vendor.
    """
    if isinstance(content, str):
        return (Text(content),) if content else ()
    parts: list[Part] = []
    pending: Signature | None = None
    for number, block in enumerate(array(content, place)):
        part = decode_block(block, f"{place}[{number}]", unmapped)
        if isinstance(part, Thinking):
            kept, about, carried = _unwrapped(part)
            if carried is not None and about == PREVIOUS and parts:
                parts[-1] = _signed(parts[-1], carried)
                carried = None
            parts += [kept] if kept is not None else []
            pending = carried or pending
            continue
        if pending is not None and isinstance(part, Text | ToolCall | Media):
            part, pending = _signed(part, pending), None
        parts.append(part)
    return tuple(parts)


def _signed(part: Part, signature: Signature) -> Part:
    if not isinstance(part, Text | ToolCall | Media):
        return part
    return msgspec.structs.replace(part, signature=signature)


def _unwrapped(part: Thinking) -> tuple[Thinking | None, str, Signature | None]:
    """The thinking itself, None if there is none left, and the signature that belongs to a part beside it."""
    found = unwrap(part.signature.value) if part.signature is not None else None
    if found is None:
        return part, "", None
    signature, about = found
    bare = Thinking(part.text) if part.text else None
    if about in (NEXT, PREVIOUS):
        return bare, about, signature
    if signature.vendor == FOREIGN:
        return bare, "", None
    return Thinking(part.text, signature=signature, redacted=about == REDACTED), "", None


def decode_block(block: Any, place: str, unmapped: Unmapped) -> Part:
    """One content block. A type that is not known here becomes `Opaque`."""
    raw = obj(block, place)
    kind = string(raw.get("type"), f"{place}.type")
    reader = _READERS.get(kind)
    return opaque(raw) if reader is None else reader(raw, place, unmapped)


def opaque(raw: Json) -> Opaque:
    """A block that only this protocol knows, with what it says in plain words."""
    return Opaque(PROTOCOL, str(raw.get("type", "")), raw, summary(raw), decode_search(raw))


def _text(raw: Json, place: str, unmapped: Unmapped) -> Text:
    unmapped.rest(raw, _TEXT, place)
    citations = array(raw.get("citations"), f"{place}.citations")
    return Text(
        string(raw.get("text"), f"{place}.text"),
        cache=cache_mark(raw, place),
        citations=tuple(decode_citation(obj(citation, f"{place}.citations")) for citation in citations),
    )


def _image(raw: Json, place: str, unmapped: Unmapped) -> Media | Opaque:
    return _media("image", raw, place, unmapped)


def _document(raw: Json, place: str, unmapped: Unmapped) -> Media | Opaque:
    return _media("document", raw, place, unmapped)


def _media(kind: MediaKind, raw: Json, place: str, unmapped: Unmapped) -> Media | Opaque:
    source = obj(raw.get("source"), f"{place}.source")
    at = f"{place}.source"
    mime, data, text, url, file_id = words(source.get("media_type"), f"{at}.media_type"), "", "", "", ""
    match source.get("type"):
        case "base64":
            data = string(source.get("data"), f"{at}.data")
        case "text":
            text = string(source.get("data"), f"{at}.data")
        case "url":
            url = string(source.get("url"), f"{at}.url")
        case "file":
            file_id = string(source.get("file_id"), f"{at}.file_id")
        case _:
            return opaque(raw)
    unmapped.rest(raw, _MEDIA, place)
    return Media(
        kind,
        mime=mime,
        data=data,
        text=text,
        url=url,
        file_id=file_id,
        name=words(raw.get("title"), f"{place}.title"),
        cache=cache_mark(raw, place),
    )


def _thinking(raw: Json, place: str, unmapped: Unmapped) -> Thinking:
    unmapped.rest(raw, _THINKING, place)
    signature = words(raw.get("signature"), f"{place}.signature")
    return Thinking(
        words(raw.get("thinking"), f"{place}.thinking"), signature=Signature(PROTOCOL, signature) if signature else None
    )


def _redacted(raw: Json, place: str, unmapped: Unmapped) -> Thinking:
    unmapped.rest(raw, _REDACTED, place)
    return Thinking("", signature=Signature(PROTOCOL, string(raw.get("data"), f"{place}.data")), redacted=True)


def _tool_use(raw: Json, place: str, unmapped: Unmapped) -> ToolCall:
    unmapped.rest(raw, _TOOL_USE, place)
    arguments = obj(raw.get("input"), f"{place}.input")
    return ToolCall(
        id=string(raw.get("id"), f"{place}.id"),
        name=string(raw.get("name"), f"{place}.name"),
        arguments=arguments,
        raw=msgspec.json.encode(arguments).decode(),
        cache=cache_mark(raw, place),
    )


def _tool_result(raw: Json, place: str, unmapped: Unmapped) -> ToolResult:
    unmapped.rest(raw, _TOOL_RESULT, place)
    parts: list[Text | Media | Opaque] = []
    for number, part in enumerate(decode_content(raw.get("content"), f"{place}.content", unmapped)):
        if not isinstance(part, Text | Media | Opaque):
            raise refused(f"{place}.content[{number}]", "a tool result cannot hold such a block")
        parts.append(part)
    return ToolResult(
        string(raw.get("tool_use_id"), f"{place}.tool_use_id"),
        tuple(parts),
        is_error=raw.get("is_error") is True,
        cache=cache_mark(raw, place),
    )


_READERS: dict[str, Reader] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
