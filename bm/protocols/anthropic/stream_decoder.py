"""Read an Anthropic event stream, or a whole message, into canonical events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bm import sse
from bm.chat.events import Event, Ping
from bm.chat.parts import Json, Thinking
from bm.chat.signature import Signature
from bm.errors import UNREADABLE, Failure
from bm.names import ANTHROPIC
from bm.protocols.anthropic.citations import decode_citation
from bm.protocols.anthropic.content import opaque
from bm.protocols.anthropic.usage import UsageMeter, decode_finish
from bm.protocols.codec import IdFactory, WireDecoder
from bm.protocols.errors import in_band
from bm.protocols.reading import json_of, objects_of, string_of

_NOTHING: tuple[Event, ...] = ()


class _Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: Json | None = None
    content: str | None = None
    encrypted_content: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Json | None = None


class _Wire(msgspec.Struct):
    type: str = ""
    index: int = -1
    delta: _Delta | None = None
    content_block: Json | None = None
    message: Json | None = None
    usage: Json | None = None
    error: Json | None = None


_decode = msgspec.json.Decoder(_Wire).decode


class AnthropicStreamDecoder(WireDecoder):
    """Reads one stream. Unknown events and deltas are skipped; one that cannot be read ends the response."""

    def __init__(self, ids: IdFactory) -> None:
        super().__init__(ids)
        self._native: dict[int, tuple[Json, list[str]]] = {}
        self._inputs: dict[int, str] = {}
        self._meter = UsageMeter()
        self._stop: Json | None = None

    def feed(self, event: sse.Event) -> Sequence[Event]:
        if self._parts.ended:
            return _NOTHING
        try:
            wire = _decode(event.data)
        except UNREADABLE as error:
            if event.data == b"[DONE]":
                return self.close()
            return self._broken(_unreadable(error))
        match wire.type or event.name:
            case "content_block_delta":
                return self._delta(wire.index, wire.delta)
            case "content_block_start":
                return self._block_start(wire.index, wire.content_block)
            case "content_block_stop":
                self._block_stop(wire.index)
                return self._parts.take()
            case "message_start":
                return self._message_start(wire.message or {})
            case "message_delta":
                return self._message_delta(wire)
            case "message_stop":
                return self._complete()
            case "ping":
                return (Ping(),) if self._parts.started else _NOTHING
            case "error":
                return self._broken(in_band({"error": wire.error}))
            case _:
                return _NOTHING

    def whole(self, message: Json) -> Sequence[Event]:
        """Return the events of a whole message. An error, and anything that is not a message, is a failure."""
        if isinstance(message.get("error"), dict):
            return self._fail(in_band(message))
        if not isinstance(message.get("content"), list):
            return self._malformed("the answer holds no content array")
        self._parts.start(string_of(message.get("id")), string_of(message.get("model")))
        for index, block in enumerate(message["content"]):
            if not self._open_block(index, block):
                return self._malformed(f"content[{index}] of the answer is not a content block")
            self._block_stop(index)
        self._parts.use(self._meter.add(message.get("usage")))
        self._stop = message
        return self._complete()

    @property
    def steady(self) -> bool:
        return True

    @property
    def finished(self) -> bool:
        return self._stop is not None

    def _message_start(self, message: Json) -> Sequence[Event]:
        if self._parts.started:
            return self._malformed("the upstream began a second answer inside the first")
        self._parts.start(string_of(message.get("id")), string_of(message.get("model")))
        self._parts.use(self._meter.add(message.get("usage")))
        return self._parts.take()

    def _block_start(self, index: int, block: Json | None) -> Sequence[Event]:
        if index in self._native or self._parts.is_open(index) or not self._open_block(index, block):
            return self._malformed(f"block {index} of the stream has no proper start")
        return self._parts.take()

    def _open_block(self, index: int, block: Any) -> bool:
        """Open a block with what it holds at its start. False when it is none."""
        parts = self._parts
        parts.start()
        match block:
            case {"type": "text"}:
                parts.open(index, "text")
                for raw in objects_of(block.get("citations")):
                    parts.cite(index, decode_citation(raw))
                parts.text(index, "text", string_of(block.get("text")))
            case {"type": "thinking"}:
                value = string_of(block.get("signature"))
                parts.open(index, "thinking", signature=Signature(ANTHROPIC, value) if value else None)
                parts.text(index, "thinking", string_of(block.get("thinking")))
            case {"type": "tool_use", "input": given} if given is not None and not isinstance(given, dict):
                return False
            case {"type": "tool_use"}:
                parts.call(index, string_of(block.get("id")), string_of(block.get("name")))
                self._inputs[index] = msgspec.json.encode(given).decode() if (given := block.get("input")) else ""
            case {"type": str()}:
                self._native[index] = block, []
            case _:
                return False
        return True

    def _delta(self, index: int, delta: _Delta | None) -> Sequence[Event]:
        parts = self._parts
        text = (delta.text or delta.thinking or delta.partial_json) if delta is not None else ""
        if text and (piece := parts.delta(index, text)) is not None:
            return (piece,)
        if delta is None or not parts.is_open(index):
            return self._native_delta(index, delta)
        if delta.signature:
            parts.sign(index, Signature(ANTHROPIC, delta.signature))
        elif delta.citation:
            parts.cite(index, decode_citation(delta.citation))
        return parts.take()

    def _native_delta(self, index: int, delta: _Delta | None) -> Sequence[Event]:
        """Put a delta into a block that is passed on whole, at its end."""
        if delta is None or index not in self._native:
            return self._malformed(f"a piece of block {index}, which has not begun")
        raw, pieces = self._native[index]
        if delta.partial_json:
            pieces.append(delta.partial_json)
        for name in ("content", "encrypted_content"):
            if (value := getattr(delta, name)) is not None:
                raw[name] = value
        return _NOTHING

    def _block_stop(self, index: int) -> None:
        raw, pieces = self._native.pop(index, (None, ()))
        if raw is None:
            self._parts.close(index, self._inputs.pop(index, ""))
        elif raw["type"] == "redacted_thinking":
            signature = Signature(ANTHROPIC, string_of(raw.get("data")))
            self._parts.add(Thinking("", signature=signature, redacted=True))
        else:
            given = {"input": json_of("".join(pieces)) or {}} if pieces else {}
            self._parts.add(opaque(raw | given))

    def _message_delta(self, wire: _Wire) -> Sequence[Event]:
        delta = wire.delta
        if delta is not None and delta.stop_reason is not None:
            self._stop = msgspec.structs.asdict(delta)
        self._parts.use(self._meter.add(wire.usage))
        return self._parts.take()

    def _complete(self) -> Sequence[Event]:
        for index in sorted({*self._native, *self._inputs}):
            self._block_stop(index)
        return self._parts.end([decode_finish(self._stop or {}, called=bool(self._parts.called))])


def _unreadable(error: Exception) -> Failure:
    """A last event that breaks off in its middle is a cut stream, not a broken upstream."""
    if str(error) == "Input data was truncated":
        return Failure(kind="truncated", message="the stream ended in the middle of an event")
    return Failure(kind="malformed", message=f"an event of the stream cannot be read: {error}")
