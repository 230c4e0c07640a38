"""The response object and the items of its output while they are written, each with its events."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import msgspec

from bm import sse
from bm.chat.arguments import parse_arguments
from bm.chat.parts import Citation, Json, ToolKind
from bm.chat.request import ChatRequest, Tool
from bm.chat.sequence import HeldWriter, PartWriter
from bm.chat.signature import PREVIOUS, SELF, Signature, wrap
from bm.names import RESPONSES
from bm.protocols.codec import IdFactory
from bm.protocols.openai.citations import encode_citation
from bm.protocols.openai.parameters import EFFORTS
from bm.protocols.openai_responses.items import call_item, native_item
from bm.protocols.openai_responses.tools import by_name, encode_choice, encode_tools, native_type, wire_name
from bm.protocols.tools import free_text

_encode = msgspec.json.Encoder().encode


def response_head(request: ChatRequest, response_id: str, model: str, created: int) -> Json:
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


class Output:
    """Frames and numbers events, and gathers the items of the output; one item is open at a time.

    A client that `carries` encrypted reasoning hands other vendors' signatures through in reasoning items.
    """

    def __init__(self, ids: IdFactory, *, carries: bool = False) -> None:
        self.items: list[Json] = []
        self._ids, self._carries = ids, carries
        self._sequence = 0
        self._carried: Signature | None = None

    def continue_after(self, number: int) -> None:
        """The next event follows the one of that number."""
        self._sequence = number + 1

    def event(self, name: str, **fields: Any) -> bytes:
        """One event with its number."""
        body = {"type": name, **fields, "sequence_number": self._sequence}
        self._sequence += 1
        return sse.encode(_encode(body), name)

    def delta(self, template: bytes, text: str) -> bytes:
        """One event made from what `template` prepared, because deltas are most of a stream."""
        number = self._sequence
        self._sequence += 1
        return b'%b%b,"sequence_number":%d}\n\n' % (template, _encode(text), number)

    def added(self, item: Json) -> bytes:
        """The next item begins."""
        return self.event("response.output_item.added", output_index=len(self.items), item=item)

    def done(self, item: Json) -> bytes:
        """The open item is complete."""
        self.items.append(item)
        return self.event("response.output_item.done", output_index=len(self.items) - 1, item=item)

    def whole(self, item: Json) -> bytes:
        """An item that comes at once."""
        return self.added({**item, "status": "in_progress"} if "status" in item else item) + self.done(item)

    def carry(self, signature: Signature | None, about: str) -> bytes:
        """A reasoning item that hands another vendor's signature through a client which knows only OpenAI's.

        A signature that was carried already is not repeated: Gemini bills it twice.
        """
        if signature is None:
            return b""
        last, self._carried = self._carried, signature
        if not self._carries or (last is not None and last.spelling == signature.spelling):
            return b""
        item = {"id": self._ids.new_id("rs_"), "type": "reasoning", "summary": []}
        return self.added(item) + self.done({**item, "encrypted_content": wrap(signature, about)})


def template(name: str, **fields: Any) -> bytes:
    """An event up to its `delta`, for `Output.delta`."""
    body = _encode({"type": name, **fields})
    return b"event: " + name.encode() + b"\ndata: " + body[:-1] + b',"delta":'


class ItemWriter(PartWriter):
    """Writes one item, whose text comes in events called `name`. A signature that follows is carried behind it.

    `place` is where its text stands in the item, `more` what events with text have besides.
    """

    def __init__(self, output: Output, item: Json, name: str, place: Json, more: Json, /) -> None:
        super().__init__()
        self._output, self._item, self._name, self._more = output, item, name, more
        self._place = {"item_id": item["id"], "output_index": len(output.items), **place}
        self._template = template(f"{name}.delta", **self._place, **more)
        self._pieces: list[str] = []

    def text(self, text: str) -> bytes:
        self._pieces.append(text)
        return self._output.delta(self._template, text)

    @abstractmethod
    def finish(self, text: str) -> bytes:
        """The item is complete, with this text in all."""

    def end(self) -> bytes:
        return self.finish("".join(self._pieces)) + self._output.carry(self.signature, PREVIOUS)


class Message(ItemWriter):
    """Text or a refusal: a message with one content part. Citations wait for the end: they may be about all of it."""

    def __init__(self, output: Output, item_id: str, *, refusal: bool = False) -> None:
        item = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        more: Json = {} if refusal else {"logprobs": []}
        name = "response.refusal" if refusal else "response.output_text"
        super().__init__(output, item, name, {"content_index": 0}, more)
        self._field = "refusal" if refusal else "text"
        self._citations: list[Citation] = []

    def begin(self) -> bytes:
        """The item and its content part begin."""
        added = self._output.added({**self._item, "status": "in_progress"})
        return added + self._output.event("response.content_part.added", **self._place, part=self._part("", []))

    def _part(self, text: str, annotations: list[Json]) -> Json:
        if self._field == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": annotations, **self._more}

    def cite(self, citation: Citation) -> bytes:
        self._citations += [citation] if self._field == "text" else []
        return b""

    def finish(self, text: str) -> bytes:
        notes = [note for cited in self._citations for note in encode_citation(cited, RESPONSES, 0, len(text))]
        out = b""
        for number, note in enumerate(notes):
            out += self._output.event(
                "response.output_text.annotation.added", **self._place, annotation=note, annotation_index=number
            )
        part = self._part(text, notes)
        out += self._output.event(f"{self._name}.done", **self._place, **{self._field: text}, **self._more)
        out += self._output.event("response.content_part.done", **self._place, part=part)
        return out + self._output.done({**self._item, "status": "completed", "content": [part]})


class Reasoning(ItemWriter):
    """Thinking, shown as the one summary of a reasoning item. Nothing is written for thinking that stays empty."""

    def __init__(self, output: Output, item_id: str, signature: Signature | None = None) -> None:
        item = {"id": item_id, "type": "reasoning", "summary": []}
        super().__init__(output, item, "response.reasoning_summary_text", {"summary_index": 0}, {})
        self.signature = signature

    def text(self, text: str) -> bytes:
        return (b"" if self._pieces else self._open()) + super().text(text)

    def _open(self) -> bytes:
        part = {"type": "summary_text", "text": ""}
        added = self._output.added(self._item)
        return added + self._output.event("response.reasoning_summary_part.added", **self._place, part=part)

    def finish(self, text: str) -> bytes:
        if not text:
            return self._output.added(self._item)
        part = {"type": "summary_text", "text": text}
        self._item = self._item | {"summary": [part]}
        done = self._output.event(f"{self._name}.done", **self._place, text=text)
        return done + self._output.event("response.reasoning_summary_part.done", **self._place, part=part)

    def end(self) -> bytes:
        signature = self.signature
        if not self._pieces and signature is None:
            return b""
        out = self.finish("".join(self._pieces))
        if signature is not None:
            own = signature.vendor == "openai" and signature.family in ("", "openai")
            spelled = signature.value if own else wrap(signature, SELF)
            self._item = self._item | {"encrypted_content": spelled}
        return out + self._output.done(self._item)


class Call(ItemWriter):
    """A call of a function or a custom tool, whose arguments come as they are."""

    def __init__(self, output: Output, item_id: str, call: Json, field: str) -> None:
        name = f"response.{'function_call_arguments' if field == 'arguments' else 'custom_tool_call_input'}"
        super().__init__(output, {"id": item_id, **call}, name, {}, {})
        self._field = field

    def begin(self) -> bytes:
        """The item begins."""
        return self._output.added({**self._item, "status": "in_progress", self._field: ""})

    def finish(self, text: str) -> bytes:
        out = b""
        if not text and self._field == "arguments":
            text = "{}"
            out = self.text(text)
        out += self._output.event(f"{self._name}.done", **self._place, **{self._field: text})
        return out + self._output.done({**self._item, "status": "completed", self._field: text})


class ConvertedCall(HeldWriter):
    """A call whose arguments take another form here, and so must be known whole before the item can begin.

    That is a built-in tool of OpenAI's, and a custom tool whose free text an upstream that knows only functions wrapped
    in an object, or the reverse. `kind` is that of the call, `tool` the client's definition.
    """

    def __init__(self, output: Output, item_id: str, call_id: str, kind: ToolKind, tool: Tool) -> None:
        super().__init__()
        self._output = output
        self._item_id, self._call_id, self._kind, self._tool = item_id, call_id, kind, tool

    def end(self) -> bytes:
        text, carried = "".join(self.pieces), self.signature
        native = native_item(native_type(self._tool), parse_arguments(text))
        if native is not None:
            item = {"id": self._item_id, **native, "call_id": self._call_id}
            return self._output.whole(item) + self._output.carry(carried, PREVIOUS)
        if self._tool.kind != self._kind:
            text = free_text(text) if self._tool.kind == "custom" else _encode({"input": text}).decode()
        named = wire_name(self._tool.name, {self._tool.name: self._tool})
        call = Call(self._output, self._item_id, *call_item(self._tool.kind, self._call_id, named))
        written = call.begin() + (call.text(text) if text else b"") + call.end()
        return written + self._output.carry(carried, PREVIOUS)
