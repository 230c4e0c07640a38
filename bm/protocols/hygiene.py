"""What must not reach an upstream of the client's own protocol; the rest of the body goes there byte by byte.

Two things: signatures that bm itself put there for another vendor, when the conversation was answered elsewhere before;
and cache marks that the upstream would refuse. A body without them is returned as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from bm.chat.parts import Json
from bm.chat.signature import may_hold_wrapped, unwrap
from bm.names import ProtocolName
from bm.protocols.anthropic.cache_control import clean as clean_anthropic
from bm.protocols.gemini.thinking import DUMMY

_EXTRA = "extra_content"
_MARK = "cache_control"


def cleaned(
    protocol: ProtocolName, body: bytes, *, cache_control: Literal["keep", "strip"], extra_content: bool = True
) -> bytes:
    """The body for an upstream of its own protocol.

    `cache_control` says whether the upstream takes cache marks (illegal ones are repaired), `extra_content` whether it
    knows the member of that name, in which an OpenAI client carries Gemini's signatures.
    """
    if protocol == "anthropic":
        return clean_anthropic(body, "strip" if cache_control == "strip" else "repair")
    changes: list[Callable[[Json], bool]] = []
    if protocol == "openai-chat":
        if not extra_content and b'"extra_content"' in body:
            changes.append(_without_extra_content)
        if cache_control == "strip" and b'"cache_control"' in body:
            changes.append(_without_marks)
    elif may_hold_wrapped(body):
        changes.append(_without_foreign_thoughts if protocol == "gemini" else _without_foreign_reasoning)
    return _changed(body, changes) if changes else body


def _changed(body: bytes, changes: list[Callable[[Json], bool]]) -> bytes:
    try:
        decoded: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
    if not isinstance(decoded, dict):
        return body
    hits = [change(decoded) for change in changes]
    return msgspec.json.encode(decoded) if any(hits) else body


def _objects(value: Any) -> Iterator[Json]:
    """The objects in a list; nothing for anything that is no list of objects."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _without_extra_content(body: Json) -> bool:
    hit = False
    for message in _objects(body.get("messages")):
        for holder in (message, *_objects(message.get("tool_calls"))):
            hit |= holder.pop(_EXTRA, None) is not None
    return hit


def _without_marks(body: Json) -> bool:
    hit = body.pop(_MARK, None) is not None
    for tool in _objects(body.get("tools")):
        hit |= tool.pop(_MARK, None) is not None
    for message in _objects(body.get("messages")):
        for holder in (message, *_objects(message.get("content"))):
            hit |= holder.pop(_MARK, None) is not None
    return hit


def _without_foreign_thoughts(body: Json) -> bool:
    """Gemini 3 wants a signature on a call: its documented dummy stands in for another vendor's."""
    hit = False
    contents = body.get("contents")
    for content in _objects([contents] if isinstance(contents, dict) else contents):
        for part in _objects(content.get("parts")):
            hit |= _without_foreign_signature(part)
    return hit


def _without_foreign_signature(part: Json) -> bool:
    foreign = [name for name in ("thoughtSignature", "thought_signature") if _is_wrapped(part.get(name))]
    for name in foreign:
        del part[name]
    if foreign and ("functionCall" in part or "function_call" in part):
        part["thoughtSignature"] = DUMMY
    return bool(foreign)


def _without_foreign_reasoning(body: Json) -> bool:
    items = body.get("input")
    if not isinstance(items, list):
        return False
    kept = [item for item in items if not _is_foreign_reasoning(item)]
    body["input"] = kept
    return len(kept) < len(items)


def _is_foreign_reasoning(item: Any) -> bool:
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        return False
    return _is_wrapped(item.get("encrypted_content"))


def _is_wrapped(value: Any) -> bool:
    """Whether bm wrote this signature, for another vendor's."""
    return isinstance(value, str) and unwrap(value) is not None
