"""Read a Responses stream, or a whole response, into canonical events.

Items arrive one after the other at OpenAI; services like it leave events out. So a part begins with its first piece,
and the finished item, and in the end the finished response, supply whatever no earlier event has said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bm import sse
from bm.chat.events import Event, Ping
from bm.chat.parts import Json, Refusal, StreamedKind, Text, Thinking, ToolCall, ToolKind
from bm.errors import UNREADABLE, Failure, RequestError
from bm.names import RESPONSES
from bm.protocols.codec import IdFactory, WireDecoder
from bm.protocols.errors import in_band
from bm.protocols.openai.citations import decode_citation
from bm.protocols.openai.tools import qualified
from bm.protocols.openai_responses.items import decode_output
from bm.protocols.openai_responses.thinking import decode_thinking
from bm.protocols.openai_responses.usage import decode_usage, finish_of
from bm.protocols.reading import array_of, count_of, object_of, string_of

_CALLS: dict[str, ToolKind] = {"function_call": "function", "custom_tool_call": "custom"}


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
_WHOLE: dict[str, tuple[StreamedKind, str]] = {
    "response.output_text.done": ("text", "text"),
    "response.refusal.done": ("refusal", "refusal"),
    "response.reasoning_summary_text.done": ("thinking", "text"),
    "response.reasoning_text.done": ("thinking", "text"),
}
"""Events that hold all of a text, and in which member: some services send no other."""
_delta = msgspec.json.Decoder(_Delta)


class ResponsesStreamDecoder(WireDecoder):
    """Reads one stream. The key of a part is the place of its item, and the place of its content in that.

    `response` is the whole response, as its last event holds it. `service` is the name of the dialect: encrypted
    thinking is read by the service alone that made it.
    """

    def __init__(self, ids: IdFactory, service: str = "") -> None:
        super().__init__(ids)
        self._service = service
        self.response: Json = {}
        self._done: set[int] = set()
        self._encrypted: set[int] = set()
        self._sections: dict[tuple[int, int], tuple[str, int]] = {}
        self._raw_sections: dict[int, int] = {}

    def feed(self, event: sse.Event) -> Sequence[Event]:
        if self._parts.ended or event.data == b"[DONE]":
            return ()
        kind = _DELTAS.get(event.name)
        try:
            if kind is not None:
                return self._piece(event.name, kind, _delta.decode(event.data))
            body: Any = msgspec.json.decode(event.data)
            return self._handle(body, event)
        except UNREADABLE as error:
            return self._malformed(f"an event of the stream is not valid: {error}")

    def _handle(self, body: Any, event: sse.Event) -> Sequence[Event]:
        if not isinstance(body, dict):
            return self._malformed("an event of the stream is no object")
        name = string_of(body.get("type")) or event.name
        if (kind := _DELTAS.get(name)) is not None:
            return self._piece(name, kind, _delta.decode(event.data))
        if name in _WHOLE:
            return self._whole_text(name, body)
        match name:
            case "response.output_item.added":
                self._added(body)
            case "response.output_item.done":
                return self._item_done(body)
            case "response.output_text.annotation.added":
                self._annotation(body)
            case "response.created" | "response.queued" | "response.in_progress":
                self._start(object_of(body.get("response")))
            case "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled":
                return self._terminal(body.get("response"))
            case "error":
                return self._fail(in_band(body))
            case "keepalive":
                return (Ping(),) if self._parts.started else ()
            case _ if "error" in body and not name:
                return self._fail(in_band(body))
        return self._parts.take()

    @property
    def steady(self) -> bool:
        """Never: each event has a number."""
        return False

    @property
    def finished(self) -> bool:
        """Whether the terminal event was seen, which is also the end."""
        return self._parts.ended

    def whole(self, body: Json) -> Sequence[Event]:
        return self._terminal(body)

    def _start(self, head: Json) -> None:
        self._parts.start(string_of(head.get("id")), string_of(head.get("model")))

    def _piece(self, name: str, kind: StreamedKind, piece: _Delta) -> Sequence[Event]:
        text = piece.delta
        if not text:
            return ()
        key = (piece.output_index, piece.content_index if kind in ("text", "refusal") else 0)
        if kind == "thinking":
            return self._thought(key, name, self._section(name, piece), text)
        delta = self._parts.delta(key, text, kind)
        if delta is not None:
            return (delta,)
        if kind != "tool_call":
            self._parts.text(key, kind, text)
        # A call that was not announced is read from its finished item.
        return self._parts.take()

    def _section(self, name: str, piece: _Delta) -> int:
        """The place of a text in its item's thinking.

        That of raw thinking is the number of texts that are done: vLLM counts `content_index` up with each piece.
        """
        if name == "response.reasoning_text.delta":
            return self._raw_sections.get(piece.output_index, 0)
        return piece.summary_index

    def _thought(self, key: tuple[int, int], name: str, section: int, text: str) -> Sequence[Event]:
        """A piece of thinking, which is sent as its full text or as a summary, at times as both."""
        filled = self._parts.is_open(key, "thinking") and key in self._sections
        source, earlier = self._sections.get(key, (name, section)) if filled else (name, section)
        if source != name:
            return ()
        if section != earlier:
            self._parts.text(key, "thinking", "\n\n")
        self._sections[key] = name, section
        self._parts.text(key, "thinking", text)
        return self._parts.take()

    def _whole_text(self, name: str, body: Json) -> Sequence[Event]:
        """All of a text, of which no piece may have come."""
        kind, member = _WHOLE[name]
        places = (count_of(body.get(f"{place}_index")) for place in ("output", "content", "summary"))
        piece = _Delta(string_of(body.get(member)), *places)
        key = (piece.output_index, piece.content_index)
        source = f"{name.removesuffix('.done')}.delta"
        if kind == "thinking":
            known = self._sections.get((piece.output_index, 0)) == (source, self._section(source, piece))
        else:
            known = self._parts.is_open(key, kind)
        events = () if known or piece.output_index in self._done else self._piece(source, kind, piece)
        if name == "response.reasoning_text.done":
            self._raw_sections[piece.output_index] = self._section(source, piece) + 1
        return events

    def _added(self, body: Json) -> None:
        match body.get("item"):
            case {"type": str(kind), "name": str(name), "call_id": str(call_id), **item} if kind in _CALLS:
                named = qualified(item.get("namespace"), name)
                self._parts.call((count_of(body.get("output_index")), 0), call_id, named, kind=_CALLS[kind])

    def _annotation(self, body: Json) -> None:
        if raw := object_of(body.get("annotation")):
            key = (count_of(body.get("output_index")), count_of(body.get("content_index")))
            self._parts.open(key, "text")
            self._parts.cite(key, decode_citation(raw, RESPONSES))

    def _item_done(self, body: Json) -> Sequence[Event]:
        item, at = body.get("item"), count_of(body.get("output_index"))
        self._done.add(at)
        failure = self._finish_item(at, item) if isinstance(item, dict) else None
        return self._parts.take() if failure is None else self._fail(failure)

    def _finish_item(self, at: int, item: Json) -> Failure | None:
        """Report what is missing of an item, and close its parts."""
        if item.get("encrypted_content"):
            self._encrypted.add(at)
        try:
            parts = decode_output(item, f"output[{at}]")
        except RequestError as error:
            return Failure(kind="malformed", message=f"{error.failure.param}: {error}")
        for number, part in enumerate(parts):
            if isinstance(part, Thinking):
                part = self._bound(part)
            if isinstance(part, Text | Refusal | Thinking | ToolCall):
                self._parts.complete((at, number), part)
            else:
                self._parts.add(part)
        self._sections.pop((at, 0), None)
        for key in self._parts.open_keys():
            if isinstance(key, tuple) and key[0] == at:
                self._parts.close(key)
        return None

    def _terminal(self, response: Any) -> Sequence[Event]:
        if not isinstance(response, dict):
            return self._malformed("the last event of the stream holds no response")
        self.response = response
        self._start(response)
        if isinstance(response.get("error"), dict):
            return self._fail(in_band(response))
        if (status := response.get("status")) in ("failed", "cancelled", "queued", "in_progress"):
            return self._fail(Failure(kind="server", message=f"the upstream's answer is {status}"))
        for at, item in enumerate(array_of(response.get("output"))):
            if not isinstance(item, dict):
                continue
            if self._done:
                self._late_thinking(at, item)
            elif (failure := self._finish_item(at, item)) is not None:
                return self._fail(failure)
        return self._complete()

    def _complete(self) -> Sequence[Event]:
        self._parts.use(decode_usage(self.response))
        called, refused = bool(self._parts.called), bool(self._parts.refused)
        return self._parts.end([finish_of(self.response, called=called, refused=refused)])

    def _late_thinking(self, at: int, item: Json) -> None:
        """Azure sends the encrypted content of a reasoning item only in the last event (pi's #6409, 2026-07)."""
        if item.get("type") == "reasoning" and at in self._done - self._encrypted:
            thinking = decode_thinking({"encrypted_content": item.get("encrypted_content")})
            if thinking is not None:
                self._parts.add(self._bound(thinking))

    def _bound(self, thinking: Thinking) -> Thinking:
        """The thinking, signed for this service if it is its own."""
        signature = thinking.signature
        if signature is None or signature.vendor != "openai" or signature.family:
            return thinking
        return msgspec.structs.replace(thinking, signature=msgspec.structs.replace(signature, family=self._service))
