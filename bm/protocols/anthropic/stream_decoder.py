"""An upstream's event stream, read into canonical events."""

from __future__ import annotations

from collections.abc import Sequence

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
    UsageUpdate,
)
from bm.chat.parts import Json, Thinking
from bm.chat.signature import Signature
from bm.errors import Failure
from bm.protocols.anthropic.citations import decode_citation
from bm.protocols.anthropic.content import opaque
from bm.protocols.anthropic.errors import read_error
from bm.protocols.anthropic.usage import UsageMeter, decode_finish
from bm.protocols.anthropic.wire import PROTOCOL

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


class _Block:
    """A block in the making. `raw` is set for one that is passed on whole, at its end."""

    def __init__(self, part: int, raw: Json | None = None, prefilled: str = "") -> None:
        self.part = part
        self.raw = raw
        self.prefilled = prefilled
        self.pieces: list[str] = []


_decode = msgspec.json.Decoder(_Wire).decode


class AnthropicStreamDecoder:
    """Reads one stream. Unknown events and deltas are skipped; one that cannot be read ends the answer."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._parts = 0
        self._meter = UsageMeter()
        self._started = False
        self._ended = False
        self._called = False
        self._stop: Json | None = None

    def feed(self, event: sse.Event) -> Sequence[Event]:
        """Return what one server-sent event tells."""
        if self._ended:
            return _NOTHING
        if event.data == b"[DONE]":
            return self.close()
        try:
            wire = _decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            broken = _unreadable(error)
            # All is said once there is a reason to stop: only `message_stop` can have been cut.
            return self._complete() if broken.kind == "truncated" and self._stop else self._fail(broken)
        match wire.type or event.name:
            case "content_block_delta":
                return self._delta(wire.index, wire.delta)
            case "content_block_start":
                return self._block_start(wire.index, wire.content_block)
            case "content_block_stop":
                return self._block_stop(wire.index)
            case "message_start":
                return self._message_start(wire.message or {})
            case "message_delta":
                return self._message_delta(wire)
            case "message_stop":
                return self._complete()
            case "ping":
                return (Ping(),) if self._started else _NOTHING
            case "error":
                failure = read_error({"error": wire.error})
                return self._fail(failure or Failure(kind="server", message="the upstream reported an error"))
            case _:
                return _NOTHING

    def close(self) -> Sequence[Event]:
        """The stream has ended: complete when a stop reason was seen, cut short otherwise."""
        if self._ended:
            return _NOTHING
        if self._stop is not None:
            return self._complete()
        return self._fail(Failure(kind="truncated", message="the stream ended before the answer was complete"))

    def _message_start(self, message: Json) -> Sequence[Event]:
        if self._started:
            reason = "the upstream began a second answer inside the first"
            return self._fail(Failure(kind="malformed", message=reason))
        self._started = True
        head = Start(id=_word(message.get("id")), model=_word(message.get("model")))
        usage = self._meter.add(message.get("usage"))
        return (head,) if usage is None else (head, UsageUpdate(usage))

    def _head(self) -> list[Event]:
        """The start that a compatible upstream left out."""
        if self._started:
            return []
        self._started = True
        return [Start()]

    def _block_start(self, index: int, block: Json | None) -> Sequence[Event]:
        if block is None or index in self._blocks:
            return self._fail(Failure(kind="malformed", message=f"block {index} of the stream has no proper start"))
        events = self._head()
        part = self._parts
        self._parts += 1
        self._blocks[index] = entry = _Block(part)
        match block.get("type"):
            case "text":
                events.append(PartStart(part, "text"))
                events += [_cited(part, raw) for raw in block.get("citations") or ()]
                events += _first(part, block.get("text"))
            case "thinking":
                value = _word(block.get("signature"))
                events.append(PartStart(part, "thinking", signature=Signature(PROTOCOL, value) if value else None))
                events += _first(part, block.get("thinking"))
            case "tool_use":
                self._called = True
                given = block.get("input")
                entry.prefilled = msgspec.json.encode(given).decode() if given else ""
                identity = (_word(block.get("id")), _word(block.get("name")))
                events.append(PartStart(part, "tool_call", *identity))
            case _:
                entry.raw = block
        return events

    def _delta(self, index: int, delta: _Delta | None) -> Sequence[Event]:
        block = self._blocks.get(index)
        if block is None or delta is None:
            message = f"a piece of block {index}, which has not begun"
            return self._fail(Failure(kind="malformed", message=message))
        if block.raw is not None:
            _gather(block, block.raw, delta)
            return _NOTHING
        text = delta.text or delta.thinking
        if text:
            return (PartDelta(block.part, text),)
        if delta.partial_json:
            block.prefilled = ""
            return (PartDelta(block.part, delta.partial_json),)
        if delta.signature:
            return (PartSignature(block.part, Signature(PROTOCOL, delta.signature)),)
        if delta.citation:
            return (_cited(block.part, delta.citation),)
        return _NOTHING

    def _block_stop(self, index: int) -> Sequence[Event]:
        block = self._blocks.pop(index, None)
        if block is None:
            return _NOTHING
        if block.raw is not None:
            return (_whole(block, block.raw),)
        if block.prefilled:
            return (PartDelta(block.part, block.prefilled), PartEnd(block.part))
        return (PartEnd(block.part),)

    def _message_delta(self, wire: _Wire) -> Sequence[Event]:
        delta = wire.delta
        if delta is not None and delta.stop_reason is not None:
            self._stop = {
                "stop_reason": delta.stop_reason,
                "stop_sequence": delta.stop_sequence,
                "stop_details": delta.stop_details,
            }
        usage = self._meter.add(wire.usage)
        return [*self._head(), UsageUpdate(usage)] if usage is not None else _NOTHING

    def _complete(self) -> Sequence[Event]:
        events = self._head()
        for index in sorted(self._blocks):
            events += self._block_stop(index)
        self._ended = True
        return [*events, decode_finish(self._stop or {}, called=self._called), End()]

    def _fail(self, failure: Failure) -> Sequence[Event]:
        self._ended = True
        ends: list[Event] = [PartEnd(block.part) for block in self._blocks.values() if block.raw is None]
        return [*ends, Failed(failure)]


def _unreadable(error: Exception) -> Failure:
    """A last event that breaks off in its middle is a cut stream, not a broken upstream."""
    if str(error) == "Input data was truncated":
        return Failure(kind="truncated", message="the stream ended in the middle of an event")
    return Failure(kind="malformed", message=f"an event of the stream cannot be read: {error}")


def _gather(block: _Block, raw: Json, delta: _Delta) -> None:
    """Put a delta into a block that is passed on whole."""
    if delta.partial_json:
        block.pieces.append(delta.partial_json)
    elif delta.type == "compaction_delta":
        found = {"content": delta.content, "encrypted_content": delta.encrypted_content}
        block.raw = raw | {name: value for name, value in found.items() if value is not None}


def _cited(part: int, raw: Json) -> PartAnnotation:
    return PartAnnotation(part, PROTOCOL, raw, decode_citation(raw).sources)


def _first(part: int, text: object) -> tuple[Event, ...]:
    return (PartDelta(part, text),) if isinstance(text, str) and text else ()


def _whole(block: _Block, raw: Json) -> PartWhole:
    if raw.get("type") == "redacted_thinking":
        signature = Signature(PROTOCOL, _word(raw.get("data")))
        return PartWhole(block.part, Thinking("", signature=signature, redacted=True))
    if block.pieces:
        raw = raw | {"input": _input("".join(block.pieces))}
    return PartWhole(block.part, opaque(raw))


def _input(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
