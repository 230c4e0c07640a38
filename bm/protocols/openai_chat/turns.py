"""Turns, read from a client's messages and written as an upstream's."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Media, Opaque, Part, Refusal, ResultPart, Text, Thinking, ToolCall, ToolResult
from bm.chat.repair import GO_ON, NOT_CONTINUED, inline_system, next_call, paired
from bm.chat.request import ChatRequest, Loss, Turn
from bm.chat.signature import Signature
from bm.names import CHAT
from bm.protocols import reading
from bm.protocols.openai.content import chat_objection, decode_content, encode_chat_media, thinking_text
from bm.protocols.openai.tools import arguments_text, decode_arguments
from bm.protocols.openai_chat.thinking import (
    DETAILS,
    accepts,
    details_signature,
    read_signature,
    write_details,
    write_signature,
)
from bm.protocols.tools import fitting_call_id
from bm.protocols.turns import Expressible

_READ = frozenset(
    {"role", "content", "tool_calls", "function_call", "tool_call_id", "refusal", "reasoning", "reasoning_content"}
    | {"extra_content", "thought_signature", DETAILS}
)
_ECHOES = frozenset({"annotations", "logprobs", "parsed", "index", "provider_specific_fields", "thinking_blocks"})
"""Members that clients copy from an answer into the history and that mean nothing to a model."""
_KNOWN = _READ | _ECHOES


class _TurnReader:
    """Reads the messages. Remembers calls by name, because results in the legacy form have no id."""

    def __init__(self, unread: reading.Unread) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self._unread = unread
        self._legacy_ids: dict[str, str] = {}

    def add(self, message: Json, where: str) -> None:
        match message.get("role"):
            case "system" | "developer":
                self._system(message, where)
            case "user":
                parts = decode_content(message.get("content"), reading.join(where, "content"), CHAT)
                self._turn(Turn("user", parts))
            case "assistant":
                self._turn(Turn("assistant", tuple(self._assistant(message, where))))
            case "tool" | "function" as role:
                self._result(message, where, legacy=role == "function")
            case str(role):
                raise reading.refuse(reading.join(where, "role"), f"unknown role {role!r}", code="invalid_value")
            case other:
                raise reading.mismatch(reading.join(where, "role"), "a string", other)
        if not message.keys() <= _KNOWN:
            self._unknown(message, where)

    def _unknown(self, message: Json, where: str) -> None:
        for key, value in message.items():
            known = key in _KNOWN or (key == "name" and message["role"] in ("tool", "function"))
            if value and not known:
                self._unread.add(reading.join(where, key), value)

    def _turn(self, turn: Turn) -> None:
        if turn.parts:
            self.turns.append(turn)

    def _system(self, message: Json, where: str) -> None:
        place = reading.join(where, "content")
        parts = decode_content(message.get("content"), place, CHAT)
        texts = [part for part in parts if isinstance(part, Text)]
        if len(texts) != len(parts):
            raise reading.refuse(place, "expected only text in a system message")
        if self.turns:
            self._turn(Turn("system", tuple(texts)))
        else:
            self.system += texts

    def _assistant(self, message: Json, where: str) -> list[Part]:
        parts: list[Part] = []
        thinking = message.get("reasoning_content") or message.get("reasoning")
        details = reading.objects_of(message[DETAILS]) if DETAILS in message else []
        if not thinking and details:
            thinking = "".join(thinking_text(row.get("text") or row.get("summary")) for row in details)
        if isinstance(thinking, str) and thinking:
            parts.append(Thinking(thinking))
        parts += decode_content(message.get("content"), reading.join(where, "content"), CHAT)
        if isinstance(audio := message.get("audio"), dict) and audio.get("id"):
            # An earlier spoken answer, which has an id that only OpenAI can resolve.
            said = reading.string_of(audio.get("transcript"))
            parts.append(Opaque(CHAT, "audio", {"id": audio["id"]}, summary=said))
        if "refusal" in message and (refusal := reading.string(message, "refusal", where)):
            parts.append(Refusal(refusal))
        calls = self._calls(message, where)
        signature = read_signature(message) or (details_signature(details) if details else None)
        if signature is not None:
            _sign(calls or parts, signature)
        return parts + calls

    def _calls(self, message: Json, where: str) -> list[Part]:
        rows = reading.elements(message, "tool_calls", where) if "tool_calls" in message else ()
        calls: list[Part] = [_decode_call(call, place) for call, place in rows]
        legacy = reading.mapping(message, "function_call", where) if "function_call" in message else None
        if legacy is not None and not calls:
            place = reading.join(where, "function_call")
            name = reading.string(legacy, "name", place)
            if name:
                call_id = f"call_legacy_{len(self.turns)}"
                self._legacy_ids[name] = call_id
                calls.append(ToolCall(call_id, name, *decode_arguments(legacy, place)))
        return calls

    def _result(self, message: Json, where: str, *, legacy: bool) -> None:
        name = reading.string(message, "name", where) if "name" in message else ""
        if legacy:
            call_id = self._legacy_ids.get(name, "")
        elif not (call_id := reading.string(message, "tool_call_id", where)):
            call_id = self._next_call_id(message, where)
        place = reading.join(where, "content")
        content = message.get("content")
        if isinstance(content, dict) and "type" not in content:
            content = msgspec.json.encode(content).decode()
        parts = tuple(part for part in decode_content(content, place, CHAT) if isinstance(part, ResultPart))
        result = ToolResult(call_id, parts, name=name)
        last = self.turns[-1] if self.turns else None
        if last is not None and last.role == "user" and all(isinstance(part, ToolResult) for part in last.parts):
            self.turns[-1] = Turn("user", (*last.parts, result))
        else:
            self.turns.append(Turn("user", (result,)))

    def _next_call_id(self, message: Json, where: str) -> str:
        """The id, which may be empty, of the call that a result without an id answers."""
        call = next_call(self.turns)
        if call is None:
            return reading.filled_string(message, "tool_call_id", where, "the id of the call that this answers")
        return call.id


def decode_turns(body: Json, unread: reading.Unread) -> tuple[tuple[Turn, ...], tuple[Text, ...]]:
    """Read `messages`: the turns, and the system prompt of leading instructions. Later ones stay at their place."""
    reading.required_array(body, "messages")
    reader = _TurnReader(unread)
    for message, where in reading.elements(body, "messages"):
        reader.add(message, where)
    return tuple(reader.turns), tuple(reader.system)


def _decode_call(call: Json, where: str) -> ToolCall:
    call_id = reading.string(call, "id", where)
    if call.get("type") == "custom" or ("function" not in call and call.get("custom") is not None):
        place = reading.join(where, "custom")
        owner = reading.required_mapping(call, "custom", where)
        text = reading.string(owner, "input", place)
        name = reading.string(owner, "name", place)
        return ToolCall(call_id, name, {"input": text}, raw=text, kind="custom", signature=read_signature(call))
    place = reading.join(where, "function")
    function = reading.required_mapping(call, "function", where)
    name = reading.filled_string(function, "name", place, "the tool's name")
    return ToolCall(call_id, name, *decode_arguments(function, place), signature=read_signature(call))


def _sign(parts: list[Part], signature: Signature) -> None:
    """Give a message's signature to its first call, or to its last text where it has no call."""
    order = range(len(parts)) if isinstance(parts[0] if parts else None, ToolCall) else range(len(parts) - 1, -1, -1)
    for index in order:
        part = parts[index]
        if isinstance(part, ToolCall | Text):
            if part.signature is None:
                parts[index] = msgspec.structs.replace(part, signature=signature)
            return


ERROR_PREFIX = "Error: "
"""Chat Completions has no flag for a failed tool."""
MEDIA_FOLLOW = "(the content is attached to the next message)"
NO_THINKING = " "
"""The thinking of a message without any, where the model requires it: DeepSeek takes an empty text, Kimi does not."""
ACKNOWLEDGED = "OK"
"""The assistant's message between results and the user, where one is required."""
EMPTY_PROMPT = "(begin)"
"""Some services refuse a request without a user message."""


class TurnWriter:
    """Writes the messages of one request. `losses` grows as it goes."""

    def __init__(self, capabilities: Capabilities, losses: list[Loss]) -> None:
        self.messages: list[Json] = []
        self._losses = losses
        self._capabilities = capabilities
        self._dialect = capabilities.dialect
        self._openai = capabilities.dialect.name == "openai"
        self._replays = bool(capabilities.replay) or DETAILS in capabilities.dialect.takes

    def write(self, request: ChatRequest, instruction: str = "") -> None:
        """Write the system prompt, with `instruction` after it, and all turns."""
        if texts := [text for text in (*(part.text for part in request.system), instruction) if text]:
            self.messages.append({"role": "system", "content": "\n\n".join(texts)})
        known = Expressible(CHAT, lambda media: chat_objection(media, self._capabilities))
        turns = known.turns(request, self._losses)
        if not (self._openai or self._capabilities.system_turns):
            turns = inline_system(turns)
        for turn in paired(turns):
            self._turn(turn)
        last = self.messages[-1] if self.messages else {}
        begun = last.get("role") == "assistant" and "tool_calls" not in last
        if begun and "prefix" in self._dialect.takes:
            last["prefix"] = True
        elif begun and not (self._openai or self._capabilities.prefill):
            self.messages.append({"role": "user", "content": GO_ON})
            self._losses.append(NOT_CONTINUED)
        if not self._openai and all(message["role"] == "system" for message in self.messages):
            self.messages.append({"role": "user", "content": EMPTY_PROMPT})

    def _turn(self, turn: Turn) -> None:
        match turn.role:
            case "assistant":
                self._assistant(turn.parts)
            case "user":
                self._user(turn.parts)
            case "system":
                text = "\n\n".join(part.text for part in turn.parts if isinstance(part, Text))
                self.messages.append({"role": "system", "content": text})

    def _assistant(self, parts: Sequence[Part]) -> None:
        message: Json = {"role": "assistant"}
        texts = [text for part in parts if (text := self._said(part)) is not None]
        if texts:
            # A cited answer consists of pieces that belong together; other texts are separate.
            gap = "" if any(text.citations for text in texts) else "\n\n"
            message["content"] = gap.join(text.text for text in texts)
        refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
        if refusal and self._openai:
            message["refusal"] = refusal
        calls = [self._call(part) for part in parts if isinstance(part, ToolCall)]
        if calls:
            message["tool_calls"] = calls
        if self._replays:
            message |= self._thinking(parts, message)
        if len(message) == 1:
            return
        if "content" not in message and not calls:
            message["content"] = ""
        if not calls:
            signed = (text.signature for text in reversed(texts) if accepts(text.signature, self._capabilities))
            message |= write_signature(next(signed, None))
        self.messages.append(message)

    def _thinking(self, parts: Sequence[Part], message: Json) -> Json:
        """The members that carry the earlier thinking of a message back."""
        answers = [part for part in parts if isinstance(part, ToolCall | Text)]
        if details := write_details((part.signature for part in answers), self._capabilities):
            return details
        replay, calls = self._capabilities.replay, "tool_calls" in message
        thinking = "\n\n".join(part.text for part in parts if isinstance(part, Thinking) and part.text)
        if not replay or not (thinking or (calls and self._capabilities.replay_required)):
            return {}
        if replay != "content":
            return {replay: thinking or NO_THINKING}
        if not thinking or not answers:
            return {}
        texts = [{"type": "text", "text": message["content"]}] if "content" in message else []
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": thinking}]}, *texts]}

    def _said(self, part: Part) -> Text | None:
        match part:
            case Text(text=text) if text:
                return part
            case Refusal(text=text) if not self._openai:
                return Text(text)
            case Opaque(summary=summary) if summary:
                return Text(summary)
            case _:
                return None

    def _call(self, call: ToolCall) -> Json:
        head: Json = {"id": self._id(call.id), "type": "function"}
        if call.kind == "custom" and self._openai:
            return head | {"type": "custom", "custom": {"name": call.name, "input": call.raw}}
        head["function"] = {"name": call.name, "arguments": arguments_text(call)}
        if accepts(call.signature, self._capabilities):
            head |= write_signature(call.signature)
        return head

    def _id(self, call_id: str) -> str:
        """An id that the service takes, the same for a call and its result."""
        return fitting_call_id(call_id, self._capabilities.call_id_length, self._capabilities.call_id_most)

    def _user(self, parts: Sequence[Part]) -> None:
        content: list[Json] = []
        for part in parts:
            match part:
                case ToolResult():
                    content += self._result(part)
                case Text(text=text) if text:
                    content.append({"type": "text", "text": text})
                case Media():
                    content.append(encode_chat_media(part))
                case Opaque(raw=raw) if "type" in raw:
                    content.append(raw)
                case _:
                    pass
        if not content:
            return
        if self.messages and self.messages[-1]["role"] == "tool" and not self._capabilities.user_after_tool:
            self.messages.append({"role": "assistant", "content": ACKNOWLEDGED})
        self.messages.append({"role": "user", "content": self._content(content)})

    def _content(self, content: list[Json]) -> str | list[Json]:
        if len(content) == 1 and content[0]["type"] == "text":
            return str(content[0]["text"])
        if self._dialect.plain_content and all(part["type"] == "text" for part in content):
            return "\n\n".join(part["text"] for part in content)
        return content

    def _result(self, result: ToolResult) -> list[Json]:
        """Write a result as a tool message; return its media, which go into the user message after all results."""
        media = [encode_chat_media(part) for part in result.parts if isinstance(part, Media)]
        text = "\n\n".join(result.texts) or (MEDIA_FOLLOW if media else "")
        if result.is_error and not text.startswith(ERROR_PREFIX):
            text = ERROR_PREFIX + text
        self.messages.append({"role": "tool", "tool_call_id": self._id(result.call_id), "content": text})
        return media
