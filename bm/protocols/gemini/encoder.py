"""Events as a Gemini client reads them, streamed or whole.

google-genai fails on event names, on comments, on `[DONE]` and on signatures that are not base64; calls are whole
parts. Real streams end in a chunk with an empty text, the finish reason and the usage, and so do these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Json, Media, Opaque, Part, Refusal, Search, Source, Text, Thinking, ToolCall
from bm.chat.request import ChatRequest
from bm.chat.response import parse_arguments
from bm.chat.signature import Signature
from bm.protocols.codec import IdFactory
from bm.protocols.gemini.content import encode_media
from bm.protocols.gemini.errors import error_object
from bm.protocols.gemini.grounding import KIND as GROUNDING
from bm.protocols.gemini.grounding import Grounding
from bm.protocols.gemini.thinking import VENDOR, encode_signature
from bm.protocols.gemini.usage import encode_finish, encode_usage

_encoder = msgspec.json.Encoder()


class _Open:
    """A part in the making: a call waits until it is whole, text and thinking go out as they come."""

    def __init__(self, start: PartStart) -> None:
        self.start = start
        self.signature = start.signature
        self.pieces: list[str] = []
        self.sources: list[Source] = []


class Parts:
    """Makes wire parts of events: what `feed` returns belongs to the choice it names.

    Thinking is shown only to a client that asked for it. A Gemini signature on hidden thinking goes to the part after
    it, which is where Gemini looks for it; another vendor's is of no use without its thinking.
    """

    def __init__(self, *, visible: bool) -> None:
        self._visible = visible
        self._open: dict[int, _Open] = {}
        self._carried: dict[int, Signature] = {}
        self._native: dict[int, Json] = {}
        self._groundings: dict[int, Grounding] = {}
        self._said: dict[int, int] = {}

    def metadata(self, choice: int) -> Json:
        """What stands beside a choice's content at its end."""
        own = self._native.get(choice, {})
        found = self._groundings[choice].metadata() if choice in self._groundings else {}
        return {GROUNDING: found, **own} if found else own

    def feed(self, event: Event) -> tuple[int, list[Json]]:
        """The choice and the parts that an event completes."""
        match event:
            case PartDelta(index=index, text=text):
                return self._delta(index, text)
            case PartStart():
                self._open[event.index] = _Open(event)
            case PartSignature(index=index, signature=signature):
                if index in self._open:
                    self._open[index].signature = signature
            case PartAnnotation(index=index):
                if index in self._open:
                    self._annotate(self._open[index], event)
            case PartEnd(index=index):
                opened = self._open.pop(index, None)
                if opened is not None:
                    return opened.start.choice, self._ended(opened)
            case PartWhole(part=part, choice=choice):
                return choice, self._whole(part, choice)
            case _:
                pass
        return 0, []

    def _delta(self, index: int, text: str) -> tuple[int, list[Json]]:
        opened = self._open.get(index)
        if opened is None:
            return 0, []
        if opened.start.kind == "tool_call":
            opened.pieces.append(text)
            return 0, []
        if opened.start.kind == "thinking":
            return opened.start.choice, [{"text": text, "thought": True}] if self._visible else []
        opened.pieces.append(text)
        return opened.start.choice, [{"text": text}]

    def _ended(self, opened: _Open) -> list[Json]:
        start, signature = opened.start, opened.signature
        match start.kind:
            case "tool_call":
                return [self._call(start, "".join(opened.pieces), signature)]
            case "thinking" if signature is not None:
                if self._visible:
                    return [{"text": "", "thought": True, "thoughtSignature": encode_signature(signature)}]
                if signature.vendor == VENDOR:
                    self._carried[start.choice] = signature
            case "text":
                self._ground(opened)
                signature = signature or self._carried.pop(start.choice, None)
                if signature is not None:
                    return [{"text": "", "thoughtSignature": encode_signature(signature)}]
            case _:
                pass
        return []

    def _call(self, start: PartStart, raw: str, signature: Signature | None) -> Json:
        arguments = {"input": raw} if start.tool_kind == "custom" else parse_arguments(raw)
        part: Json = {"functionCall": {"name": start.name, "args": arguments}}
        if start.id:
            part["functionCall"]["id"] = start.id
        return self._signed(part, signature or self._carried.pop(start.choice, None))

    def _whole(self, part: Part, choice: int) -> list[Json]:
        match part:
            case Media():
                return [self._signed(encode_media(part), part.signature)]
            case Opaque(search=Search() as search):
                if part.protocol != "gemini":
                    self._groundings.setdefault(choice, Grounding()).found(search)
                return []
            case Opaque(protocol="gemini", raw=raw):
                return [raw]
            case Opaque(summary=text) | Refusal(text=text):
                return [{"text": text}] if text else []
            case Text(text=text, signature=signature):
                return [self._signed({"text": text}, signature)]
            case Thinking(text=text, signature=signature, redacted=False):
                shown = self._visible and bool(text)
                return [self._signed({"text": text, "thought": True}, signature)] if shown else []
            case Thinking(signature=signature) if self._visible and signature is not None:
                marks = {"thought": True, "thoughtSignature": encode_signature(signature, redacted=True)}
                return [{"text": "", **marks}]
            case ToolCall():
                start = PartStart(0, "tool_call", part.id, part.name, part.kind, choice=choice)
                return [self._call(start, part.raw or msgspec.json.encode(part.arguments).decode(), part.signature)]
            case _:
                return []

    def _signed(self, part: Json, signature: Signature | None) -> Json:
        return part if signature is None else {**part, "thoughtSignature": encode_signature(signature)}

    def _annotate(self, opened: _Open, event: PartAnnotation) -> None:
        if event.protocol in ("gemini", "") and event.raw.keys() & _METADATA:
            self._native.setdefault(opened.start.choice, {}).update(event.raw)
        else:
            opened.sources += event.sources

    def _ground(self, opened: _Open) -> None:
        """Note what a text rests on, and how long it is: places are counted from the beginning of the answer."""
        choice, text = opened.start.choice, "".join(opened.pieces)
        before = self._said.get(choice, 0)
        self._said[choice] = before + len(text.encode("utf-8", "surrogatepass"))
        for source in opened.sources:
            self._groundings.setdefault(choice, Grounding()).cite(source, text, before)


_METADATA = {"groundingMetadata", "citationMetadata", "urlContextMetadata", "logprobsResult"}


class GeminiStreamEncoder:
    """Turns events into the stream of a Gemini client that asked for `alt=sse`. One encoder a stream."""

    def __init__(self, request: ChatRequest, ids: IdFactory, *, model: str) -> None:
        self._parts = Parts(visible=request.reasoning.visible is True)
        self._tail = {"modelVersion": model, "responseId": ids.new_id("")}
        self._usage: Usage | None = None
        self._finishes: list[Finish] = []
        self._ended = False

    def feed(self, event: Event) -> bytes:
        """Return the bytes to send for one event."""
        if self._ended:
            return b""
        match event:
            case UsageUpdate(usage=usage):
                self._usage = usage
            case Finish():
                self._finishes.append(event)
            case End():
                self._ended = True
                return b"".join(self._closing())
            case Failed(failure=failure):
                self._ended = True
                return _framed({"error": error_object(failure)})
            case _:
                choice, parts = self._parts.feed(event)
                if parts:
                    return self._chunk({"content": {"role": "model", "parts": parts}, "index": choice})
        return b""

    def _chunk(self, candidate: Json) -> bytes:
        chunk: Json = {"candidates": [candidate]}
        if self._usage is not None:
            chunk["usageMetadata"] = encode_usage(self._usage)
        return _framed(chunk | self._tail)

    def _closing(self) -> Iterator[bytes]:
        if self._usage is None:
            self._usage = Usage()
        for finish in self._finishes or [Finish("stop")]:
            content = {"role": "model", "parts": [{"text": ""}]}
            yield self._chunk({"content": content} | finish_members(finish, self._parts.metadata(finish.choice)))

    def keepalive(self) -> bytes:
        """A blank line: the only thing that google-genai passes over."""
        return b"\n"


def finish_members(finish: Finish, metadata: Json) -> dict[str, Any]:
    """The members of a candidate that its end adds."""
    members: dict[str, Any] = {"finishReason": encode_finish(finish), "index": finish.choice}
    if finish.explanation:
        members["finishMessage"] = finish.explanation
    return members | metadata


def _framed(chunk: Json) -> bytes:
    return b"data: " + _encoder.encode(chunk) + b"\r\n\r\n"
