"""Which conversation a request belongs to, so that its turns can stay on one target.

Prompt caches and thinking signatures are only worth something there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

_SESSION_HEADERS = ("x-claude-code-session-id", "session-id", "session_id", "x-session-id")
"""Claude Code; Codex in both spellings; opencode."""


class Conversation(msgspec.Struct, frozen=True):
    """`key` is the same for all turns, empty when nothing tells. `continues` is false for what looks like a first turn.

    First turns are drawn by lot, even when an equal beginning was seen before.
    """

    key: str = ""
    continues: bool = False


class _Body(msgspec.Struct):
    """The members of the four protocols that name or begin a conversation."""

    prompt_cache_key: Any = None
    metadata: Any = None
    system: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    systemInstruction: msgspec.Raw = msgspec.Raw()
    system_instruction: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    contents: msgspec.Raw = msgspec.Raw()


def conversation_of(body: bytes, headers: Mapping[str, str]) -> Conversation:
    """The conversation by what the tool says: a header, `prompt_cache_key`, Anthropic's `metadata.user_id`.

    Else by its unchanging beginning: the system prompt and the first user message.
    """
    for name in _SESSION_HEADERS:
        if value := headers.get(name):
            return Conversation(f"session:{value}", continues=True)
    try:
        members = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Conversation()
    if isinstance(members.prompt_cache_key, str) and members.prompt_cache_key:
        return Conversation(f"cache:{members.prompt_cache_key}", continues=True)
    if session := _session_in(members.metadata):
        return Conversation(f"session:{session}", continues=True)
    return _by_beginning(members)


def _session_in(metadata: Any) -> str:
    """The session in `metadata.user_id`: Claude Code's JSON text, or its older `…_session_ID`."""
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str):
        return ""
    if user.startswith("{"):
        try:
            inner = msgspec.json.decode(user)
        except (msgspec.DecodeError, RecursionError):
            return ""
        return str(inner.get("session_id") or "") if isinstance(inner, dict) else ""
    return user.partition("_session_")[2]


def _by_beginning(members: _Body) -> Conversation:
    raw = next((bytes(raw) for raw in (members.messages, members.contents, members.input) if bytes(raw)), b"")
    try:
        turns = msgspec.json.decode(raw, type=list[msgspec.Raw]) if raw.startswith(b"[") else []
        digest = hashlib.sha256()
        for system in (members.system, members.instructions, members.systemInstruction, members.system_instruction):
            if bytes(system):
                digest.update(_texts(msgspec.json.decode(system)))
        for count, turn in enumerate(turns, 1):
            message = msgspec.json.decode(turn)
            digest.update(_texts(message))
            if isinstance(message, dict) and message.get("role", "user") == "user":
                return Conversation(f"start:{digest.hexdigest()[:24]}", continues=count < len(turns))
    except (msgspec.DecodeError, RecursionError):
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
