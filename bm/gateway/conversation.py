"""Which conversation a request belongs to, so that its turns can stay on one target.

Prompt caches and thinking signatures are only worth something there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from bm.gateway.head import Head

_SESSION_HEADERS = ("x-claude-code-session-id", "session-id", "session_id", "x-session-id")
"""Claude Code; Codex in both spellings; opencode."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Conversation(msgspec.Struct, frozen=True):
    """`key` is the same for all turns, empty when nothing tells. `continues` is false for what looks like a first turn.

    First turns are drawn by lot, even when an equal beginning was seen before.
    """

    key: str = ""
    continues: bool = False


def conversation_of(head: Head, headers: Mapping[str, str]) -> Conversation:
    """The conversation by what the tool says: a header, `prompt_cache_key`, Anthropic's `metadata.user_id`.

    Else by its unchanging beginning: the system prompt and the first user message.
    """
    for name in _SESSION_HEADERS:
        if value := headers.get(name):
            return Conversation(f"session:{value}", continues=True)
    if (key := _value(head.prompt_cache_key)) and isinstance(key, str):
        return Conversation(f"cache:{key}", continues=True)
    if session := _session_in(_value(head.metadata)):
        return Conversation(f"session:{session}", continues=True)
    return _by_beginning(head)


def _value(raw: msgspec.Raw) -> Any:
    """What a member says; None where it is absent or unreadable."""
    try:
        return msgspec.json.decode(raw) if bytes(raw) else None
    except _UNREADABLE:
        return None


def _session_in(metadata: Any) -> str:
    """The session in `metadata.user_id`: Claude Code's JSON text, or its older `…_session_ID`."""
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str):
        return ""
    if user.startswith("{"):
        try:
            inner = msgspec.json.decode(user)
        except _UNREADABLE:
            return ""
        return str(inner.get("session_id") or "") if isinstance(inner, dict) else ""
    return user.partition("_session_")[2]


def _by_beginning(head: Head) -> Conversation:
    raw = next((bytes(raw) for raw in (head.messages, head.contents, head.input) if bytes(raw)), b"")
    try:
        turns = msgspec.json.decode(raw, type=list[msgspec.Raw]) if raw.startswith(b"[") else []
        digest = hashlib.sha256()
        for system in (head.system, head.instructions, head.systemInstruction, head.system_instruction):
            if bytes(system):
                digest.update(_texts(msgspec.json.decode(system)))
        for count, turn in enumerate(turns, 1):
            message = msgspec.json.decode(turn)
            digest.update(_texts(message))
            if isinstance(message, dict) and message.get("role", "user") == "user":
                return Conversation(f"start:{digest.hexdigest()[:24]}", continues=count < len(turns))
    except _UNREADABLE:
        return Conversation()
    return Conversation()


def _texts(value: Any) -> bytes:
    """All texts in a message, without the marks (such as `cache_control`) that move from turn to turn."""
    match value:
        case str():
            return value.encode("utf-8", "surrogatepass") + b"\x00"
        case list():
            return b"".join(_texts(item) for item in value)
        case dict():
            return b"".join(_texts(value[name]) for name in ("text", "content", "parts") if name in value)
        case _:
            return b""
