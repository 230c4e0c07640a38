"""An upstream's Responses stream read as events.

Items arrive one after the other at OpenAI; services like it leave events out. So a part begins with its first piece,
and the finished item, and in the end the finished response, supply whatever no earlier event told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from bm import sse
from bm.chat.events import (
    End,
    Event,
    Failed,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
    Ping,
    Start,
    StreamedKind,
    UsageUpdate,
)
from bm.chat.parts import Citation, Json, Refusal, Text, Thinking, ToolCall, ToolKind
from bm.chat.response import part_events
from bm.errors import Failure, RequestError
from bm.names import RESPONSES
from bm.protocols.errors import in_band
from bm.protocols.openai.citations import decode_citation
from bm.protocols.openai_responses.items import decode_output
from bm.protocols.openai_responses.tools import qualified
from bm.protocols.openai_responses.usage import decode_usage, finish_of


class _Delta(msgspec.Struct):
    """The events that make up most of a stream."""

    delta: str | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0


_DELTAS: dict[str, StreamedKind] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "thinking",
    "response.reasoning_text.delta": "thinking",
    "response.function_call_arguments.delta": "tool_call",
    "response.custom_tool_call_input.delta": "tool_call",
}
_KINDS: dict[type, StreamedKind] = {Text: "text", Refusal: "refusal", Thinking: "thinking", ToolCall: "tool_call"}
_delta = msgspec.json.Decoder(_Delta)


class _Part:
    """A part that has begun. `source` and `section` tell where its last piece came from."""

    def __init__(self, index: int, kind: StreamedKind) -> None:
        self.index, self.kind = index, kind
        self.filled = False
        self.annotations = 0
        self.source = ""
        self.section = 0


class ResponsesStreamDecoder:
    """Reads one stream."""

    def __init__(self) -> None:
        self._started = False
        self._closed = False
        self._parts: dict[tuple[int, int], _Part] = {}
        self._next = 0
        self._items_done = False
        self._called = self._refused = False
        self._handlers: dict[str, Callable[[Json], list[Event]]] = {
            "response.created": self._start,
            "response.queued": self._start,
            "response.in_progress": self._start,
            "response.output_item.added": self._added,
            "response.output_item.done": self._item_done,
            "response.output_text.annotation.added": self._annotation,
            "response.completed": self._terminal,
            "response.incomplete": self._terminal,
            "response.failed": self._terminal,
            "response.cancelled": self._terminal,
            "error": self._error,
            "keepalive": self._ping,
        }

    def feed(self, event: sse.Event) -> Sequence[Event]:
        """Return what one server-sent event tells."""
        if self._closed or event.data == b"[DONE]":
            return ()
        kind = _DELTAS.get(event.name)
        try:
            if kind is not None:
                return self._piece(event.name, kind, _delta.decode(event.data))
            body: Any = msgspec.json.decode(event.data)
            return self._handle(body, event)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._fail(Failure(kind="malformed", message=f"an event of the stream is not valid: {error}"))

    def _handle(self, body: Any, event: sse.Event) -> list[Event]:
        if not isinstance(body, dict):
            return self._fail(Failure(kind="malformed", message="an event of the stream is no object"))
        name = body.get("type") or event.name
        if (kind := _DELTAS.get(name)) is not None:
            return self._piece(name, kind, _delta.decode(event.data))
        if handler := self._handlers.get(name):
            return handler(body)
        return self._error(body) if "error" in body and not name else []

    def close(self) -> Sequence[Event]:
        """The stream has ended; without a terminal event it was cut."""
        if self._closed:
            return ()
        return self._fail(Failure(kind="truncated", message="the upstream's answer ended before its end"))

    def whole(self, response: Json) -> Sequence[Event]:
        """Read an answer that came at once."""
        return self._terminal({"response": response})

    def _ping(self, _: Json) -> list[Event]:
        return [Ping()] if self._started else []

    def _start(self, body: Json) -> list[Event]:
        if self._started:
            return []
        self._started = True
        response = body.get("response")
        head = response if isinstance(response, dict) else {}
        return [Start(id=str(head.get("id") or ""), model=str(head.get("model") or ""))]

    def _open(
        self, key: tuple[int, int], kind: StreamedKind, call: ToolCall | None = None
    ) -> tuple[_Part, list[Event]]:
        events = self._start({})
        part = _Part(self._next, kind)
        self._next += 1
        self._parts[key] = part
        if call is None:
            self._refused |= kind == "refusal"
            return part, [*events, PartStart(part.index, kind)]
        self._called = True
        return part, [*events, PartStart(part.index, kind, id=call.id, name=call.name, tool_kind=call.kind)]

    def _begun(self, key: tuple[int, int], kind: StreamedKind) -> tuple[_Part | None, list[Event]]:
        """The open part at a place; one of another kind, left open by a service that reuses places, is closed."""
        part = self._parts.get(key)
        if part is None or part.kind == kind:
            return part, []
        del self._parts[key]
        return None, [PartEnd(part.index)]

    def _piece(self, name: str, kind: StreamedKind, piece: _Delta) -> list[Event]:
        if not piece.delta:
            return []
        key = (piece.output_index, piece.content_index if kind in ("text", "refusal") else 0)
        part, events = self._begun(key, kind)
        if part is None:
            if kind == "tool_call":
                return events
            part, opened = self._open(key, kind)
            events += opened
        if kind == "thinking":
            if part.filled and part.source != name:
                return []
            section = piece.summary_index + piece.content_index
            if part.filled and section != part.section:
                events.append(PartDelta(part.index, "\n\n"))
            part.source, part.section = name, section
        part.filled = True
        events.append(PartDelta(part.index, piece.delta))
        return events

    def _added(self, body: Json) -> list[Event]:
        item: Any = body.get("item")
        kinds: dict[str, ToolKind] = {"function_call": "function", "custom_tool_call": "custom"}
        match item:
            case {"type": "function_call" | "custom_tool_call" as kind, "name": str(name), "call_id": str(call_id)}:
                call = ToolCall(call_id, qualified(item.get("namespace"), name), {}, kind=kinds[kind])
                key = (_index(body), 0)
                begun, events = self._begun(key, "tool_call")
                return events if begun is not None else [*events, *self._open(key, "tool_call", call)[1]]
            case _:
                return []

    def _annotation(self, body: Json) -> list[Event]:
        raw = body.get("annotation")
        if not isinstance(raw, dict):
            return []
        key = (_index(body), _index(body, "content_index"))
        part, events = self._begun(key, "text")
        if part is None:
            part, opened = self._open(key, "text")
            events += opened
        part.annotations += 1
        return [*events, PartAnnotation(part.index, RESPONSES, raw, decode_citation(raw, RESPONSES).sources)]

    def _item_done(self, body: Json) -> list[Event]:
        item = body.get("item")
        self._items_done = True
        return self._finish_item(_index(body), item) if isinstance(item, dict) else []

    def _finish_item(self, at: int, item: Json) -> list[Event]:
        """Tell what is missing of an item, and close its parts."""
        events: list[Event] = []
        try:
            parts = decode_output(item, f"output[{at}]")
        except RequestError as error:
            return self._fail(Failure(kind="malformed", message=f"{error.failure.param}: {error}"))
        for j, part in enumerate(parts):
            match part:
                case Text() | Refusal() | Thinking() | ToolCall():
                    begun, closed = self._begun((at, j), _KINDS[type(part)])
                    self._parts.pop((at, j), None)
                    events += [*closed, *self._rest(begun, part)]
                case _:
                    events += [*self._start({}), PartWhole(self._next, part)]
                    self._next += 1
        for key in [key for key in self._parts if key[0] == at]:
            events.append(PartEnd(self._parts.pop(key).index))
        return events

    def _rest(self, begun: _Part | None, part: Text | Refusal | Thinking | ToolCall) -> list[Event]:
        if begun is None:
            if isinstance(part, Text | Refusal) and not part.text:
                return []
            return self._whole_part(part)
        events: list[Event] = []
        text = part.raw if isinstance(part, ToolCall) else part.text
        if text and not begun.filled:
            events.append(PartDelta(begun.index, text))
        if isinstance(part, Text):
            events += [_annotated(begun.index, cited) for cited in part.citations[begun.annotations :]]
        if isinstance(part, Thinking) and part.signature is not None:
            events.append(PartSignature(begun.index, part.signature))
        events.append(PartEnd(begun.index))
        return events

    def _whole_part(self, part: Text | Refusal | Thinking | ToolCall) -> list[Event]:
        self._called |= isinstance(part, ToolCall)
        self._refused |= isinstance(part, Refusal)
        events = self._start({})
        events += part_events(self._next, part)
        self._next += 1
        return events

    def _terminal(self, body: Json) -> list[Event]:
        response = body.get("response")
        if not isinstance(response, dict):
            return self._fail(Failure(kind="malformed", message="the last event of the stream holds no response"))
        events = self._start(body)
        status, error = response.get("status"), response.get("error")
        if isinstance(error, dict) or status in ("failed", "cancelled", "queued", "in_progress"):
            said = Failure(kind="server", message=f"the upstream's answer is {status}")
            return [*events, *self._fail(in_band(response) if isinstance(error, dict) else said)]
        items = response.get("output")
        if isinstance(items, list) and not self._items_done:
            for at, item in enumerate(items):
                events += self._finish_item(at, item) if isinstance(item, dict) else []
        if self._closed:
            return events
        events += self._close_parts()
        usage = decode_usage(response.get("usage"))
        if usage is not None:
            events.append(UsageUpdate(usage))
        self._closed = True
        return [*events, finish_of(response, called=self._called, refused=self._refused), End()]

    def _error(self, body: Json) -> list[Event]:
        return self._fail(in_band(body))

    def _fail(self, failure: Failure) -> list[Event]:
        events = self._close_parts()
        self._closed = True
        return [*events, Failed(failure)]

    def _close_parts(self) -> list[Event]:
        open_parts, self._parts = self._parts, {}
        return [PartEnd(part.index) for part in open_parts.values()]


def _annotated(index: int, cited: Citation) -> PartAnnotation:
    return PartAnnotation(index, cited.protocol, cited.raw, cited.sources)


def _index(body: Json, field: str = "output_index") -> int:
    value = body.get(field)
    return value if isinstance(value, int) else 0
