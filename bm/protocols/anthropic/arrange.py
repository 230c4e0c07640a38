"""Which blocks an answer consists of, and in what order: one state machine for streams and for whole answers.

Anthropic's blocks follow one another; canonical parts may overlap. A part that arrives while another is open waits
until that one has ended.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, Protocol

import msgspec

from bm.chat.events import Event, PartAnnotation, PartDelta, PartEnd, PartSignature, PartStart, PartWhole
from bm.chat.parts import Json, Media, Opaque, Part, Search, Thinking, ToolResult
from bm.chat.request import ChatRequest
from bm.chat.response import parse_arguments, part_events
from bm.chat.signature import NEXT, REDACTED, SELF, Signature, wrap
from bm.protocols.anthropic.citations import encode_search, encode_source
from bm.protocols.anthropic.content import FOREIGN
from bm.protocols.anthropic.wire import PROTOCOL
from bm.protocols.codec import IdFactory
from bm.protocols.tools import legal_call_id, offers_search

DeltaKind = Literal["text_delta", "input_json_delta", "thinking_delta", "signature_delta"]

_UNSIGNED = wrap(Signature(FOREIGN, ""), SELF)
_THINKING: Json = {"type": "thinking", "thinking": "", "signature": ""}


class Sink(Protocol):
    """Where blocks go. At most one is open."""

    def open(self, block: Json) -> None:
        """Begin a block with what it holds at its start."""

    def delta(self, kind: DeltaKind, text: str) -> None:
        """Add to the open block."""

    def other(self, delta: Json) -> None:
        """Add a citation, or another delta that is no plain text."""

    def close(self) -> None:
        """End the open block."""


class _Pending:
    """A part that has begun and not ended."""

    def __init__(self, start: PartStart) -> None:
        self.start = start
        self.signature = start.signature
        self.begun = False
        self.held: list[Event] = []
        self.citations: list[Json] = []
        self.text = ""


class Arranger:
    """Takes an answer's events and writes its blocks.

    Thinking is shown when the client asked for it. Signatures of other vendors travel in the `signature` of a thinking
    block: of the one that stands before the signed part, or of an empty one put there. Where that is not possible any
    more (the part has begun) they are left out.
    """

    def __init__(self, request: ChatRequest, ids: IdFactory, sink: Sink) -> None:
        self._sink = sink
        self._ids = ids
        self._thinks = request.reasoning.visible is not None
        self._shows = request.reasoning.visible is True
        self._searches = offers_search(request)
        self._parts: dict[int, _Pending] = {}
        self._current: _Pending | None = None
        self._queue: deque[_Pending | PartWhole] = deque()
        self._unsigned_open = False
        self.called = False

    def feed(self, event: Event) -> None:
        """Take one event; those that are not about parts say nothing here."""
        match event:
            case PartDelta() | PartSignature() | PartAnnotation() | PartEnd():
                self._within(event)
            case PartStart(choice=0) | PartWhole(choice=0):
                self._arrive(event)

    def finish(self) -> None:
        """Close what is open and write what waits."""
        while self._current is not None or self._queue:
            if self._current is not None:
                self._end(self._current)
            self._advance()
        self._settle()

    def _arrive(self, event: PartStart | PartWhole) -> None:
        item: _Pending | PartWhole = event if isinstance(event, PartWhole) else _Pending(event)
        if isinstance(item, _Pending):
            self._parts[event.index] = item
        self._queue.append(item)
        self._advance()

    def _within(self, event: PartDelta | PartSignature | PartAnnotation | PartEnd) -> None:
        part = self._parts.get(event.index)
        if part is None:
            return
        if part is not self._current:
            part.held.append(event)
            return
        self._apply(part, event)
        self._advance()

    def _advance(self) -> None:
        """Begin the next part; parts that are complete already are written at once."""
        while self._current is None and self._queue:
            item = self._queue.popleft()
            if isinstance(item, PartWhole):
                self._write(item.index, item.part)
                continue
            self._enter(item)
            for event in item.held:
                self._apply(item, event)

    def _enter(self, part: _Pending) -> None:
        self._current = part
        if part.start.kind != "tool_call":
            return
        self._sign_next(part.signature)
        self.called = True
        identity = legal_call_id(part.start.id) if part.start.id else self._ids.new_id("toolu_")
        self._sink.open({"type": "tool_use", "id": identity, "name": part.start.name, "input": {}})

    def _apply(self, part: _Pending, event: Event) -> None:
        match event:
            case PartDelta(text=text):
                self._add(part, text)
            case PartSignature(signature=signature):
                part.signature = signature
            case PartAnnotation():
                for raw in self._citations(event):
                    self._cite(part, raw)
            case PartEnd():
                self._end(part)

    def _add(self, part: _Pending, text: str) -> None:
        match part.start.kind:
            case "text" | "refusal":
                if not part.begun:
                    self._begin_text(part)
                self._sink.delta("text_delta", text)
            case "thinking":
                if not self._shows:
                    return
                if not part.begun:
                    self._settle()
                    part.begun = True
                    self._sink.open(_THINKING)
                self._sink.delta("thinking_delta", text)
            case "tool_call":
                self._add_arguments(part, text)

    def _begin_text(self, part: _Pending) -> None:
        self._sign_next(part.signature)
        part.begun = True
        self._sink.open({"type": "text", "text": ""})
        for raw in part.citations:
            self._sink.other({"type": "citations_delta", "citation": raw})

    def _citations(self, event: PartAnnotation) -> list[Json]:
        """Claude's own as they are; other vendors' for a client that asked for a search."""
        if event.protocol == PROTOCOL:
            return [event.raw]
        return [encode_source(source) for source in event.sources] if self._searches else []

    def _cite(self, part: _Pending, raw: Json) -> None:
        if part.begun:
            self._sink.other({"type": "citations_delta", "citation": raw})
        else:
            part.citations.append(raw)

    def _add_arguments(self, part: _Pending, text: str) -> None:
        """Pass an object's pieces on as they come; anything else is held, since a block's input must be an object."""
        if part.start.tool_kind == "custom":
            piece = msgspec.json.encode(text).decode()[1:-1]
            self._sink.delta("input_json_delta", piece if part.begun else '{"input":"' + piece)
            part.begun = True
        elif part.begun:
            self._sink.delta("input_json_delta", text)
        else:
            part.text += text
            if part.text.lstrip().startswith("{"):
                part.begun = True
                self._sink.delta("input_json_delta", part.text)

    def _end(self, part: _Pending) -> None:
        match part.start.kind:
            case "thinking":
                self._end_thinking(part)
            case "tool_call":
                self._end_call(part)
            case _ if part.begun:
                self._sink.close()
        self._parts.pop(part.start.index, None)
        self._current = None

    def _end_call(self, part: _Pending) -> None:
        if part.start.tool_kind == "custom":
            self._sink.delta("input_json_delta", '"}' if part.begun else '{"input":""}')
        elif not part.begun and (inner := _inner(part.text)):
            self._sink.delta("input_json_delta", inner)
        self._sink.close()

    def _end_thinking(self, part: _Pending) -> None:
        signature = part.signature
        if not self._thinks or (signature is None and not part.begun):
            return
        if signature is None:
            self._unsigned_open = True
            return
        if not part.begun:
            self._settle()
            self._sink.open(_THINKING)
        self._sink.delta("signature_delta", signature.value if signature.vendor == PROTOCOL else wrap(signature, SELF))
        self._sink.close()

    def _sign_next(self, signature: Signature | None) -> None:
        """Before a part begins: put its signature into the thinking before it."""
        if signature is None or signature.vendor == PROTOCOL or not self._thinks:
            self._settle()
            return
        if not self._unsigned_open:
            self._sink.open(_THINKING)
        self._unsigned_open = False
        self._sink.delta("signature_delta", wrap(signature, NEXT))
        self._sink.close()

    def _settle(self) -> None:
        """Close thinking that waited for the signature of the next part, marked as not Claude's."""
        if self._unsigned_open:
            self._unsigned_open = False
            self._sink.delta("signature_delta", _UNSIGNED)
            self._sink.close()

    def _write(self, index: int, part: Part) -> None:
        """Write a part that came whole."""
        match part:
            case Thinking(signature=signature, redacted=True):
                self._write_redacted(signature)
            case Media():
                self._sign_next(part.signature)
                self._say(f"[{part.mime or part.kind}: not shown, Anthropic's answers hold no media]")
            case Opaque(protocol="anthropic"):
                self._settle()
                self._write_native(part.raw)
            case Opaque(search=Search() as search):
                for block in encode_search(search, self._ids) if self._searches else ():
                    self._settle()
                    self._write_native(block)
            case Opaque(summary=summary):
                self._settle()
                if summary:
                    self._say(summary)
            case ToolResult():
                return
            case _:
                start, *rest = part_events(index, part)
                if isinstance(start, PartStart):
                    pending = _Pending(start)
                    pending.held = rest
                    self._parts[index] = pending
                    self._queue.appendleft(pending)

    def _write_redacted(self, signature: Signature | None) -> None:
        if signature is None or not self._thinks:
            return
        self._settle()
        if signature.vendor == PROTOCOL:
            self._sink.open({"type": "redacted_thinking", "data": signature.value})
        else:
            self._sink.open(_THINKING)
            self._sink.delta("signature_delta", wrap(signature, REDACTED))
        self._sink.close()

    def _write_native(self, raw: Json) -> None:
        """A block of Anthropic's own: a call's input and a compaction come as deltas, everything else at the start."""
        match raw:
            case {"type": "server_tool_use" | "mcp_tool_use", "input": given}:
                self._sink.open({**raw, "input": {}})
                if given:
                    self._sink.delta("input_json_delta", msgspec.json.encode(given).decode())
            case {"type": "compaction"}:
                content: Json = {name: raw[name] for name in raw if name in ("content", "encrypted_content")}
                self._sink.open(raw | dict.fromkeys(content))
                self._sink.other({"type": "compaction_delta", **content})
            case _:
                self._sink.open(raw)
        self._sink.close()

    def _say(self, text: str) -> None:
        self._sink.open({"type": "text", "text": ""})
        self._sink.delta("text_delta", text)
        self._sink.close()


def _inner(text: str) -> str:
    """The object in arguments that were encoded twice, as some compatible servers do; empty if there is none."""
    try:
        value: object = msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return ""
    return value if isinstance(value, str) and parse_arguments(value) else ""
