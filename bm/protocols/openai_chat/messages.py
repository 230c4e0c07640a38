"""A client's messages, read into a system prompt and turns."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.parts import Json, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import Extra, Turn
from bm.chat.response import parse_arguments
from bm.chat.signature import Signature
from bm.protocols.openai_chat.content import PROTOCOL, decode_content
from bm.protocols.openai_chat.signatures import read_signature
from bm.protocols.reading import (
    elements,
    filled_string,
    join,
    mapping,
    mismatch,
    refuse,
    required_array,
    required_mapping,
    string,
    string_of,
)

_READ = frozenset(
    {"role", "content", "tool_calls", "function_call", "tool_call_id", "refusal", "reasoning", "reasoning_content"}
    | {"extra_content", "thought_signature"}
)
_ECHOES = frozenset({"annotations", "logprobs", "parsed", "index", "provider_specific_fields", "thinking_blocks"})
"""Members that clients copy from an answer into the history and that say nothing to a model."""


class Conversation(msgspec.Struct, frozen=True):
    """What the messages hold. `extras` are members of messages that the canonical form has no place for."""

    system: tuple[Text, ...]
    turns: tuple[Turn, ...]
    extras: tuple[Extra, ...]


class _Reader:
    """Walks the messages. Calls are remembered by name, since results of the legacy form name no id."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.extras: list[Extra] = []
        self._legacy_ids: dict[str, str] = {}

    def add(self, message: Json, where: str) -> None:
        match message.get("role"):
            case "system" | "developer":
                self._system(message, where)
            case "user":
                parts = decode_content(message.get("content"), join(where, "content"))
                self._turn(Turn("user", parts))
            case "assistant":
                self._turn(Turn("assistant", tuple(self._assistant(message, where))))
            case "tool" | "function" as role:
                self._result(message, where, legacy=role == "function")
            case str(role):
                raise refuse(join(where, "role"), f"unknown role {role!r}", code="invalid_value")
            case other:
                raise mismatch(join(where, "role"), "a string", other)
        for key, value in message.items():
            known = key in _READ or key in _ECHOES or (key == "name" and message["role"] in ("tool", "function"))
            if value and not known:
                self.extras.append(Extra(PROTOCOL, join(where, key), value))

    def _turn(self, turn: Turn) -> None:
        if turn.parts:
            self.turns.append(turn)

    def _system(self, message: Json, where: str) -> None:
        place = join(where, "content")
        parts = decode_content(message.get("content"), place)
        texts = [part for part in parts if isinstance(part, Text)]
        if len(texts) != len(parts):
            raise refuse(place, "expected only text in a system message")
        if self.turns:
            self._turn(Turn("system", tuple(texts)))
        else:
            self.system += texts

    def _assistant(self, message: Json, where: str) -> list[Part]:
        parts: list[Part] = []
        thinking = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(thinking, str) and thinking:
            parts.append(Thinking(thinking))
        content = decode_content(message.get("content"), join(where, "content"))
        parts += _with_audio_transcript(content, message.get("audio"))
        refusal = string(message, "refusal", where)
        if refusal:
            parts.append(Refusal(refusal))
        calls = self._calls(message, where)
        signature = read_signature(message)
        if signature is not None:
            _sign(calls or parts, signature)
        return parts + calls

    def _calls(self, message: Json, where: str) -> list[Part]:
        calls: list[Part] = [_call(call, place) for call, place in elements(message, "tool_calls", where)]
        legacy = mapping(message, "function_call", where)
        if legacy is not None and not calls:
            place = join(where, "function_call")
            name = string(legacy, "name", place)
            if name:
                call_id = f"call_legacy_{len(self.turns)}"
                self._legacy_ids[name] = call_id
                calls.append(_function_call(call_id, name, legacy.get("arguments"), place))
        return calls

    def _result(self, message: Json, where: str, *, legacy: bool) -> None:
        name = string(message, "name", where)
        if legacy:
            call_id = self._legacy_ids.get(name, "")
        else:
            call_id = filled_string(message, "tool_call_id", where, "the id of the call that this answers")
        place = join(where, "content")
        content = message.get("content")
        if isinstance(content, dict) and "type" not in content:
            content = msgspec.json.encode(content).decode()
        parts = tuple(part for part in decode_content(content, place) if isinstance(part, Text | Media | Opaque))
        result = ToolResult(call_id, parts, name=name)
        last = self.turns[-1] if self.turns else None
        if last is not None and last.role == "user" and all(isinstance(part, ToolResult) for part in last.parts):
            self.turns[-1] = Turn("user", (*last.parts, result))
        else:
            self.turns.append(Turn("user", (result,)))


def decode_messages(body: Json) -> Conversation:
    """Read `messages`. Leading instructions are the system prompt, later ones stay at their place.

    Raises:
        RequestError: there is no message, or one is not what the API takes.
    """
    required_array(body, "messages")
    reader = _Reader()
    for message, where in elements(body, "messages"):
        reader.add(message, where)
    return Conversation(tuple(reader.system), tuple(reader.turns), tuple(reader.extras))


def _with_audio_transcript(parts: tuple[Part, ...], audio: Any) -> tuple[Part, ...]:
    """An earlier spoken answer is named by an id that only OpenAI knows."""
    if not isinstance(audio, dict) or not audio.get("id"):
        return parts
    return (*parts, Opaque(PROTOCOL, "audio", {"id": audio["id"]}, summary=string_of(audio.get("transcript"))))


def _call(call: Json, where: str) -> ToolCall:
    call_id = string(call, "id", where)
    if call.get("type") == "custom" or ("function" not in call and call.get("custom") is not None):
        place = join(where, "custom")
        holder = required_mapping(call, "custom", where)
        text = string(holder, "input", place)
        name = string(holder, "name", place)
        return ToolCall(call_id, name, {"input": text}, raw=text, kind="custom", signature=read_signature(call))
    place = join(where, "function")
    function = required_mapping(call, "function", where)
    name = filled_string(function, "name", place, "the tool's name")
    made = _function_call(call_id, name, function.get("arguments"), place)
    return msgspec.structs.replace(made, signature=read_signature(call))


def _function_call(call_id: str, name: str, arguments: Any, where: str) -> ToolCall:
    """A call of a function. Some clients send the arguments as the object itself."""
    match arguments:
        case None:
            return ToolCall(call_id, name, {})
        case str():
            return ToolCall(call_id, name, parse_arguments(arguments), raw=arguments)
        case dict():
            return ToolCall(call_id, name, arguments, raw=msgspec.json.encode(arguments).decode())
        case _:
            raise mismatch(join(where, "arguments"), "a string of JSON", arguments)


def _sign(parts: list[Part], signature: Signature) -> None:
    """Give a message's signature to its first call, or to its last text where it has no call."""
    order = range(len(parts)) if isinstance(parts[0] if parts else None, ToolCall) else range(len(parts) - 1, -1, -1)
    for index in order:
        part = parts[index]
        if isinstance(part, ToolCall | Text):
            if part.signature is None:
                parts[index] = msgspec.structs.replace(part, signature=signature)
            return
