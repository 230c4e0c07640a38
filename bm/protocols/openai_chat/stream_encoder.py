"""Events, turned into the stream of chunks that a client reads."""

from __future__ import annotations

import msgspec

from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
    Ping,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Citation, Json, ToolKind
from bm.chat.request import ChatRequest
from bm.chat.response import parse_arguments
from bm.names import CHAT
from bm.protocols.codec import IdFactory
from bm.protocols.openai.citations import encode_citation
from bm.protocols.openai_chat.errors import error_body
from bm.protocols.openai_chat.thinking import write_signature
from bm.protocols.openai_chat.usage import encode_usage, finish_word
from bm.protocols.openai_chat.whole import whole_delta

KEEPALIVE = b": keep-alive\n\n"
"""A comment: the SDKs skip it."""
_encode = msgspec.json.Encoder().encode


class Choice:
    """What a choice has shown so far."""

    def __init__(self) -> None:
        self.calls = 0
        self.length = 0
        self.refused = False
        self.finish: Finish | None = None


class _Part:
    """An open part. `number` is the call's index among the choice's calls."""

    def __init__(self, start: PartStart, choice: Choice) -> None:
        self.start = start
        self.choice = choice
        self.number = -1
        self.kind: ToolKind = "function"
        self.pieces: list[str] | None = None
        self.empty = True
        self.began_at = choice.length
        self.citations: list[Citation] = []
        self.head, self.tail = b"", b""


class StreamEncoder:
    """Writes one client's stream."""

    def __init__(self, request: ChatRequest, ids: IdFactory, *, model: str) -> None:
        self._request = request
        self._ids = ids
        self._model = model
        self._visible = request.reasoning.visible is True
        self._custom = frozenset(tool.name for tool in request.tools if tool.kind == "custom")
        self._choices: dict[int, Choice] = {}
        self._parts: dict[int, _Part] = {}
        self._usage: Usage | None = None
        self._head = b""
        self._tail = b',"usage":null}\n\n' if request.stream_usage else b"}\n\n"
        self._over = False

    def feed(self, event: Event) -> bytes:
        """Return the bytes to send for one event."""
        if self._over:
            return b""
        if type(event) is PartDelta:
            return self._delta(event)
        match event:
            case PartStart() | PartEnd() | PartSignature() | PartAnnotation() | PartWhole():
                return self._of_part(event)
            case Start():
                self._begin(event.model)
                return self._opening(0)
            case UsageUpdate():
                self._usage = event.usage
                return b""
            case Finish():
                opening = self._opening(event.choice)
                self._choices[event.choice].finish = event
                return opening
            case Ping():
                return KEEPALIVE
            case End():
                return self._end()
            case Failed():
                self._over = True
                return b"data: " + _encode(error_body(event.failure)) + b"\n\n"
            case _:
                return b""

    def _of_part(self, event: PartStart | PartEnd | PartSignature | PartAnnotation | PartWhole) -> bytes:
        match event:
            case PartStart():
                return self._part_start(event)
            case PartEnd():
                return self._part_end(event)
            case PartSignature():
                return self._signature(event)
            case PartWhole():
                return self._whole(event)
            case PartAnnotation():
                part = self._parts.get(event.index)
                if part is not None:
                    part.citations.append(Citation(event.protocol, event.raw, event.sources))
                return b""

    def keepalive(self) -> bytes:
        """A comment, which means nothing."""
        return KEEPALIVE

    def _begin(self, model: str) -> None:
        head = {
            "id": self._ids.new_id("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": self._ids.now,
            "model": self._model or model,
        }
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":['

    def _opening(self, number: int) -> bytes:
        """The chunk with the role, which comes before anything else of a choice."""
        if number in self._choices:
            return b""
        if not self._head:
            self._begin("")
        self._choices[number] = Choice()
        return self._chunk(number, {"role": "assistant", "content": "", "refusal": None})

    def _chunk(self, choice: int, delta: Json, finish: str | None = None) -> bytes:
        body = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._head + _encode(body) + b"]" + self._tail

    def _part_start(self, start: PartStart) -> bytes:
        out = self._opening(start.choice)
        choice = self._choices[start.choice]
        part = _Part(start, choice)
        match start.kind:
            case "text":
                self._frame(part, b'{"content":', b"}")
            case "refusal":
                choice.refused = True
                self._frame(part, b'{"refusal":', b"}")
            case "thinking":
                if self._visible:
                    self._frame(part, b'{"reasoning_content":', b"}")
            case "tool_call":
                out += self._call_start(part)
        self._parts[start.index] = part
        return out

    def _frame(self, part: _Part, before: bytes, after: bytes) -> None:
        """Prepare what stands around each piece of a part's text."""
        part.head = self._head + b'{"index":' + str(part.start.choice).encode() + b',"delta":' + before
        part.tail = after + b',"logprobs":null,"finish_reason":null}]' + self._tail

    def _call_start(self, part: _Part) -> bytes:
        start, choice = part.start, part.choice
        if choice.calls and self._request.legacy_functions:
            # `function_call` has room for one.
            return b""
        part.number = choice.calls
        choice.calls += 1
        number = str(part.number).encode()
        if self._request.legacy_functions:
            self._frame(part, b'{"function_call":{"arguments":', b"}}")
            return self._chunk(start.choice, {"function_call": {"name": start.name, "arguments": ""}})
        call: Json = {"index": part.number, "id": start.id or self._ids.new_id("call_")}
        if start.tool_kind == "custom" or start.name in self._custom:
            part.kind = "custom"
            self._frame(part, b'{"tool_calls":[{"index":' + number + b',"custom":{"input":', b"}}]}")
            if start.tool_kind != "custom":
                # The upstream knows only functions: its arguments are taken apart at the end.
                part.pieces = []
            call |= {"type": "custom", "custom": {"name": start.name, "input": ""}}
        else:
            self._frame(part, b'{"tool_calls":[{"index":' + number + b',"function":{"arguments":', b"}}]}")
            call |= {"type": "function", "function": {"name": start.name, "arguments": ""}}
        return self._chunk(start.choice, {"tool_calls": [call | write_signature(start.signature)]})

    def _delta(self, event: PartDelta) -> bytes:
        part = self._parts.get(event.index)
        if part is None or not part.head:
            return b""
        if part.pieces is not None:
            part.pieces.append(event.text)
            return b""
        part.empty = False
        if part.start.kind == "text":
            part.choice.length += len(event.text)
        return part.head + _encode(event.text) + part.tail

    def _signature(self, event: PartSignature) -> bytes:
        part = self._parts.get(event.index)
        if part is None or part.number < 0 or self._request.legacy_functions:
            return b""
        members = write_signature(event.signature)
        return self._chunk(part.start.choice, {"tool_calls": [{"index": part.number, **members}]}) if members else b""

    def _part_end(self, event: PartEnd) -> bytes:
        part = self._parts.pop(event.index, None)
        if part is None:
            return b""
        out = b""
        if part.pieces is not None:
            text = parse_arguments("".join(part.pieces)).get("input")
            out += part.head + _encode(text if isinstance(text, str) else "".join(part.pieces)) + part.tail
        elif part.number >= 0 and part.empty and part.kind == "function":
            # An empty string is no JSON, and clients parse it.
            out += part.head + b'"{}"' + part.tail
        notes = [
            note for cited in part.citations for note in encode_citation(cited, CHAT, part.began_at, part.choice.length)
        ]
        return out + (self._chunk(part.start.choice, {"annotations": notes}) if notes else b"")

    def _whole(self, event: PartWhole) -> bytes:
        out = self._opening(event.choice)
        delta = whole_delta(event.part)
        if delta is None:
            return out
        self._choices[event.choice].length += len(delta.get("content") or "")
        return out + self._chunk(event.choice, delta)

    def _end(self) -> bytes:
        self._over = True
        out = b"" if self._choices else self._opening(0)
        for number, choice in sorted(self._choices.items()):
            finish = choice.finish or Finish("stop", choice=number)
            if finish.reason == "refusal" and finish.explanation and not choice.refused:
                out += self._chunk(number, {"refusal": finish.explanation})
            word = finish_word(finish.reason, calls=choice.calls > 0, legacy=self._request.legacy_functions)
            out += self._chunk(number, {}, word)
        if self._request.stream_usage and self._usage is not None:
            out += self._head + b'],"usage":' + _encode(encode_usage(self._usage)) + b"}\n\n"
        return out + b"data: [DONE]\n\n"
