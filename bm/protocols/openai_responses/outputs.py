"""The response object and the items of an answer while they are written, each with its events."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from bm import sse
from bm.chat.parts import Json, ToolCall, ToolKind
from bm.chat.request import ChatRequest, Tool
from bm.chat.response import parse_arguments
from bm.names import RESPONSES
from bm.protocols.openai_responses.items import native_item
from bm.protocols.openai_responses.thinking import EFFORTS
from bm.protocols.openai_responses.tools import by_name, encode_choice, encode_tools, native_type, wire_name

_encode = msgspec.json.Encoder().encode


def head(request: ChatRequest, response_id: str, model: str, created: int) -> Json:
    """All of a response that is known before its first item, in the state `in_progress`.

    `instructions` is not echoed: it is the largest part of a coding tool's request, and would be sent three times.
    """
    extras = {extra.field: extra.value for extra in request.extras if extra.protocol == RESPONSES}
    effort = request.reasoning.level
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": request.max_tokens,
        "max_tool_calls": extras.get("max_tool_calls"),
        "model": model,
        "output": [],
        "parallel_tool_calls": request.tool_choice.parallel is not False,
        "previous_response_id": None,
        "prompt_cache_key": request.cache_key or None,
        "reasoning": {
            "effort": EFFORTS.get(effort) if effort is not None else None,
            "summary": extras.get("reasoning.summary", "auto" if request.reasoning.visible else None),
        },
        "safety_identifier": request.user or None,
        "temperature": request.sampling.temperature,
        "text": _text(request, extras),
        "tool_choice": extras.get("tool_choice") or encode_choice(request.tool_choice, by_name(request)),
        "tools": encode_tools(request, []),
        "top_logprobs": request.sampling.top_logprobs,
        "top_p": request.sampling.top_p,
        "truncation": extras.get("truncation") or "disabled",
        "usage": None,
        "metadata": extras.get("metadata") or {},
    }


def _text(request: ChatRequest, extras: Json) -> Json:
    output = request.output
    form: Json = {"type": {"text": "text", "json": "json_object", "schema": "json_schema"}[output.kind]}
    if output.kind == "schema":
        form |= {"name": output.name or "answer", "schema": output.schema or {}, "strict": output.strict}
        form["description"] = output.description or None
    return {"format": form, "verbosity": extras.get("text.verbosity") or "medium"}


class Writer:
    """Frames events and numbers them."""

    def __init__(self) -> None:
        self._sequence = 0

    def continue_after(self, number: int) -> None:
        """The next event follows the one of that number."""
        self._sequence = number + 1

    def event(self, name: str, **fields: Any) -> bytes:
        """One event with its number."""
        body = {"type": name, **fields, "sequence_number": self._sequence}
        self._sequence += 1
        return sse.encode(_encode(body), name)

    def delta(self, template: bytes, text: str) -> bytes:
        """One event made from what `template` prepared: the most frequent ones are not built anew."""
        number = self._sequence
        self._sequence += 1
        return b'%b%b,"sequence_number":%d}\n\n' % (template, _encode(text), number)


def template(name: str, **fields: Any) -> bytes:
    """An event up to its `delta`, for `Writer.delta`."""
    body = _encode({"type": name, **fields})
    return b"event: " + name.encode() + b"\ndata: " + body[:-1] + b',"delta":'


class Item(Protocol):
    """One item of the output. `final` is its finished form, None when nothing of it was written."""

    final: Json | None

    def delta(self, text: str) -> bytes:
        """A further piece."""

    def annotate(self, raw: Json) -> bytes:
        """A citation, in OpenAI's shape."""

    def end(self, encrypted: str = "") -> bytes:
        """The item is complete; `encrypted` is what a reasoning item carries."""


class Message:
    """Text or a refusal: a message with one content part."""

    def __init__(self, writer: Writer, at: int, item_id: str, *, refusal: bool) -> None:
        self._writer, self._place = writer, {"item_id": item_id, "output_index": at, "content_index": 0}
        self._field = "refusal" if refusal else "text"
        self._name = "response.refusal" if refusal else "response.output_text"
        self._probabilities: Json = {} if refusal else {"logprobs": []}
        self._template = template(f"{self._name}.delta", **self._place, **self._probabilities)
        self._pieces: list[str] = []
        self._annotations: list[Json] = []
        self._item: Json = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        self.final: Json | None = None

    def start(self) -> bytes:
        """The item and its content part begin."""
        item = {**self._item, "status": "in_progress"}
        added = self._writer.event("response.output_item.added", output_index=self._place["output_index"], item=item)
        return added + self._writer.event("response.content_part.added", **self._place, part=self._part(""))

    def _part(self, text: str) -> Json:
        if self._field == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [*self._annotations], "logprobs": []}

    @property
    def length(self) -> int:
        """How long the text is so far, in characters."""
        return sum(map(len, self._pieces))

    def delta(self, text: str) -> bytes:
        self._pieces.append(text)
        return self._writer.delta(self._template, text)

    def annotate(self, raw: Json) -> bytes:
        if self._field == "refusal":
            return b""
        self._annotations.append(raw)
        number = len(self._annotations) - 1
        name = "response.output_text.annotation.added"
        return self._writer.event(name, **self._place, annotation=raw, annotation_index=number)

    def end(self, encrypted: str = "") -> bytes:
        text = "".join(self._pieces)
        part = self._part(text)
        self.final = {**self._item, "status": "completed", "content": [part]}
        done = {self._field: text, **self._probabilities}
        at = self._place["output_index"]
        return (
            self._writer.event(f"{self._name}.done", **self._place, **done)
            + self._writer.event("response.content_part.done", **self._place, part=part)
            + self._writer.event("response.output_item.done", output_index=at, item=self.final)
        )


class Reasoning:
    """Thinking, shown as the one summary of a reasoning item. Nothing is written for thinking that stays empty."""

    def __init__(self, writer: Writer, at: int, item_id: str) -> None:
        self._writer, self._at = writer, at
        self._place = {"item_id": item_id, "output_index": at, "summary_index": 0}
        self._template = template("response.reasoning_summary_text.delta", **self._place)
        self._pieces: list[str] = []
        self._item: Json = {"id": item_id, "type": "reasoning", "summary": []}
        self.final: Json | None = None

    def _start(self) -> bytes:
        return self._writer.event("response.output_item.added", output_index=self._at, item=self._item)

    def delta(self, text: str) -> bytes:
        begun = bool(self._pieces)
        self._pieces.append(text)
        if begun:
            return self._writer.delta(self._template, text)
        part = {"type": "summary_text", "text": ""}
        opened = self._start() + self._writer.event("response.reasoning_summary_part.added", **self._place, part=part)
        return opened + self._writer.delta(self._template, text)

    def annotate(self, raw: Json) -> bytes:
        return b""

    def end(self, encrypted: str = "") -> bytes:
        if not self._pieces and not encrypted:
            return b""
        out = b"" if self._pieces else self._start()
        self.final = {**self._item, "encrypted_content": encrypted} if encrypted else {**self._item}
        if self._pieces:
            text = "".join(self._pieces)
            part = {"type": "summary_text", "text": text}
            self.final["summary"] = [part]
            out += self._writer.event("response.reasoning_summary_text.done", **self._place, text=text)
            out += self._writer.event("response.reasoning_summary_part.done", **self._place, part=part)
        return out + self._writer.event("response.output_item.done", output_index=self._at, item=self.final)


class Call:
    """A call of a function or a custom tool, whose arguments come as they are."""

    def __init__(self, writer: Writer, at: int, item_id: str, call: Json, field: str) -> None:
        self._writer, self._at, self._field = writer, at, field
        self._name = f"response.{'function_call_arguments' if field == 'arguments' else 'custom_tool_call_input'}"
        self._place = {"item_id": item_id, "output_index": at}
        self._template = template(f"{self._name}.delta", **self._place)
        self._pieces: list[str] = []
        self._item: Json = {"id": item_id, **call}
        self.final: Json | None = None

    def start(self) -> bytes:
        """The item begins."""
        item = {**self._item, "status": "in_progress", self._field: ""}
        return self._writer.event("response.output_item.added", output_index=self._at, item=item)

    def delta(self, text: str) -> bytes:
        self._pieces.append(text)
        return self._writer.delta(self._template, text)

    def annotate(self, raw: Json) -> bytes:
        return b""

    def end(self, encrypted: str = "") -> bytes:
        out = b""
        if not self._pieces and self._field == "arguments":
            out = self.delta("{}")
        text = "".join(self._pieces)
        self.final = {**self._item, "status": "completed", self._field: text}
        out += self._writer.event(f"{self._name}.done", **self._place, **{self._field: text})
        return out + self._writer.event("response.output_item.done", output_index=self._at, item=self.final)


class ConvertedCall:
    """A call whose arguments take another form here, and so must be known whole before the item can begin.

    That is a built-in tool of OpenAI's, and a custom tool whose free text an upstream that knows only functions wrapped
    in an object, or the reverse.
    """

    def __init__(self, writer: Writer, at: int, ids: tuple[str, str], call: ToolCall, tool: Tool) -> None:
        self._writer, self._at, self._call, self._tool = writer, at, call, tool
        self._item_id, self._call_id = ids
        self._pieces: list[str] = []
        self.final: Json | None = None

    def delta(self, text: str) -> bytes:
        self._pieces.append(text)
        return b""

    def annotate(self, raw: Json) -> bytes:
        return b""

    def end(self, encrypted: str = "") -> bytes:
        raw = "".join(self._pieces)
        arguments = parse_arguments(raw)
        native = native_item(native_type(self._tool), arguments)
        if native is not None:
            self.final = {"id": self._item_id, **native, "call_id": self._call_id}
            return whole(self._writer, self._at, self.final)
        named = wire_name(self._call.name, {self._tool.name: self._tool})
        item, field = call_item(self._tool.kind, self._call_id, named)
        inner = Call(self._writer, self._at, self._item_id, item, field)
        out = inner.start()
        if text := self._converted(raw, arguments):
            out += inner.delta(text)
        out += inner.end()
        self.final = inner.final
        return out

    def _converted(self, raw: str, arguments: Json) -> str:
        if self._tool.kind == self._call.kind:
            return raw
        if self._tool.kind == "function":
            return _encode({"input": raw}).decode()
        text = arguments.get("input")
        return text if isinstance(text, str) else raw


def call_item(kind: ToolKind, call_id: str, named: Json) -> tuple[Json, str]:
    """The item of a call without its arguments, and the member that holds them."""
    if kind == "custom":
        return {"type": "custom_tool_call", "call_id": call_id, **named}, "input"
    return {"type": "function_call", "call_id": call_id, **named}, "arguments"


def whole(writer: Writer, at: int, item: Json) -> bytes:
    """An item that comes at once."""
    begun = {**item, "status": "in_progress"} if "status" in item else item
    added = writer.event("response.output_item.added", output_index=at, item=begun)
    return added + writer.event("response.output_item.done", output_index=at, item=item)
