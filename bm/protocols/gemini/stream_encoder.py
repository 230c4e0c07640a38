"""Write events as a stream of chunks, and fold that stream into a whole answer.

google-genai fails on event names, on comments, on `[DONE]` and on signatures that are not base64; calls are whole
parts. Real streams end in a chunk with an empty text, the finish reason and the usage, and so do these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bm.chat.arguments import parse_arguments
from bm.chat.events import Event, Finish, PartStart, PartWhole, Usage
from bm.chat.parts import Citation, Json, Media, Opaque, Search, Source, Thinking
from bm.chat.request import ChatRequest
from bm.chat.sequence import HeldWriter, PartSequencer, PartWriter
from bm.chat.signature import Signature
from bm.errors import Failure
from bm.protocols.codec import IdFactory, written
from bm.protocols.gemini.content import encode_media
from bm.protocols.gemini.errors import error_object
from bm.protocols.gemini.grounding import KIND, METADATA, Grounding
from bm.protocols.gemini.thinking import VENDOR, encode_signature
from bm.protocols.gemini.usage import encode_finish, encode_usage

_encode = msgspec.json.Encoder().encode


class _Choice:
    """What a candidate has shown: its grounding, and Gemini's own metadata.

    `carried` is the signature of hidden thinking, which goes to the part after it, where Gemini looks for it.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.carried: Signature | None = None
        self.native: Json = {}
        self.grounding = Grounding()

    def take_carried(self) -> Signature | None:
        """The signature that was carried, once."""
        carried, self.carried = self.carried, None
        return carried


class GeminiStreamEncoder(PartSequencer):
    """Writes the stream of a client that asked for `alt=sse`.

    Thinking is shown only to a client that asked for it. Another vendor's signature is of no use without its thinking.
    """

    several_choices = True

    def __init__(self, request: ChatRequest, ids: IdFactory, *, model: str) -> None:
        super().__init__()
        self._visible = request.reasoning.visible is True
        self._tail = _encode({"modelVersion": model, "responseId": ids.new_id("")})[1:] + b"\r\n\r\n"
        self._counted = b""
        self._counted_usage: Usage | None = None
        self._choices: dict[int, _Choice] = {}

    def around(self, number: int, before: bytes, after: bytes) -> tuple[bytes, bytes]:
        """What stands around the JSON string in a chunk whose part is `before`, the string, `after`; `tail` follows."""
        return (
            b'data: {"candidates":[{"content":{"role":"model","parts":[' + before,
            after + b']},"index":%d}],' % number,
        )

    def tail(self) -> bytes:
        """The end of a chunk: the usage so far, and what is the same in all."""
        if self.usage is not self._counted_usage and self.usage is not None:
            self._counted_usage = self.usage
            self._counted = b'"usageMetadata":' + _encode(encode_usage(self.usage)) + b","
        return self._counted + self._tail

    def part(self, choice: _Choice, part: Json, signature: Signature | None = None) -> bytes:
        """A chunk with one part."""
        if signature is not None:
            part = {**part, "thoughtSignature": encode_signature(signature)}
        head, after = self.around(choice.number, b"", b"")
        return head + _encode(part) + after + self.tail()

    def _choice(self, number: int) -> _Choice:
        return self._choices.setdefault(number, _Choice(number))

    def open_part(self, start: PartStart) -> tuple[bytes, PartWriter]:
        choice = self._choice(start.choice)
        match start.kind:
            case "tool_call":
                return b"", _CallWriter(self, choice, start)
            case "thinking" if not self._visible:
                return b"", _HiddenWriter(choice, start.signature)
            case _:
                return b"", _TextWriter(self, choice, start)

    def whole_part(self, event: PartWhole) -> bytes:
        choice = self._choice(event.choice)
        match event.part:
            case Media() as media:
                return self.part(choice, encode_media(media), media.signature)
            case Opaque(search=Search() as search) as opaque:
                if opaque.protocol != "gemini":
                    choice.grounding.found(search)
                return b""
            case Opaque(protocol="gemini", raw=raw):
                return self.part(choice, raw)
            case Opaque(summary=text) if text:
                return self.part(choice, {"text": text})
            case Thinking(signature=Signature() as signature) if self._visible:
                marks = {"thought": True, "thoughtSignature": encode_signature(signature, redacted=True)}
                return self.part(choice, {"text": "", **marks})
            case _:
                return b""

    def fail(self, failure: Failure) -> bytes:
        return b"data: " + _encode({"error": error_object(failure)}) + b"\r\n\r\n"

    def end(self) -> bytes:
        self.usage = self.usage or Usage()
        return b"".join(map(self._last, sorted(self._choices.keys() | self.finishes.keys() or {0})))

    def _last(self, number: int) -> bytes:
        choice, finish = self._choice(number), self.finishes.get(number, Finish("stop"))
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": ""}]}}
        candidate |= {"finishReason": encode_finish(finish), "index": number}
        if finish.explanation:
            candidate["finishMessage"] = finish.explanation
        if found := choice.grounding.metadata():
            candidate[KIND] = found
        return b'data: {"candidates":[' + _encode(candidate | choice.native) + b"]," + self.tail()

    def keepalive(self) -> bytes:
        """A blank line: the only thing that google-genai passes over."""
        return b"\n"


class _TextWriter(PartWriter):
    """Text, a refusal, or thinking. Its signature follows on an empty text; what a text cites is noted at its end."""

    def __init__(self, encoder: GeminiStreamEncoder, choice: _Choice, start: PartStart) -> None:
        super().__init__(start.signature)
        self._encoder, self._choice, self._is_thinking = encoder, choice, start.kind == "thinking"
        after = b',"thought":true}' if self._is_thinking else b"}"
        self._head, self._after = encoder.around(choice.number, b'{"text":', after)
        self._pieces: list[str] = []
        self._sources: list[Source] = []

    def text(self, text: str) -> bytes:
        self._pieces.append(text)
        return self._head + _encode(text) + self._after + self._encoder.tail()

    def cite(self, citation: Citation) -> bytes:
        if citation.protocol in ("gemini", "") and not citation.raw.keys().isdisjoint(METADATA):
            self._choice.native.update(citation.raw)
        else:
            self._sources += citation.sources
        return b""

    def end(self) -> bytes:
        choice, signature = self._choice, self.signature
        empty: Json = {"text": ""}
        if self._is_thinking:
            empty["thought"] = True
        else:
            choice.grounding.add("".join(self._pieces), self._sources)
            signature = signature or choice.take_carried()
        return self._encoder.part(choice, empty, signature) if signature is not None else b""


class _HiddenWriter(PartWriter):
    """Thinking that the client did not ask for."""

    def __init__(self, choice: _Choice, signature: Signature | None) -> None:
        super().__init__(signature)
        self._choice = choice

    def end(self) -> bytes:
        if self.signature is not None and self.signature.vendor == VENDOR:
            self._choice.carried = self.signature
        return b""


class _CallWriter(HeldWriter):
    """A call, which is written when it is whole."""

    def __init__(self, encoder: GeminiStreamEncoder, choice: _Choice, start: PartStart) -> None:
        super().__init__(start.signature)
        self._encoder, self._choice, self._start = encoder, choice, start

    def end(self) -> bytes:
        raw, start = "".join(self.pieces), self._start
        arguments = {"input": raw} if start.tool_kind == "custom" else parse_arguments(raw)
        call = {"name": start.name, "args": arguments, "id": start.id}
        signature = self.signature or self._choice.take_carried()
        return self._encoder.part(self._choice, {"functionCall": call}, signature)


def encode_response(events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
    """Write a whole answer: the fold of the stream."""
    chunks = written(GeminiStreamEncoder(request, ids, model=model), events)
    candidates: dict[int, Json] = {}
    for candidate in (candidate for chunk in chunks for candidate in chunk["candidates"]):
        whole = candidates.setdefault(candidate["index"], {"content": {"role": "model", "parts": []}})
        for part in candidate.pop("content")["parts"]:
            _append(whole["content"]["parts"], part)
        whole |= candidate
    for whole in candidates.values():
        content = whole["content"]
        content["parts"] = [part for part in content["parts"] if part != {"text": ""}] or [{"text": ""}]
    return chunks[-1] | {"candidates": [candidates[number] for number in sorted(candidates)]}


def _append(parts: list[Json], part: Json) -> None:
    """Join the pieces of a text, whose signature comes last."""
    last = parts[-1] if parts else {}
    text = {"text", "thought"}
    if "text" in part and last.keys() and last.keys() <= text and last.keys() == part.keys() & text:
        parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
    else:
        parts.append(part)
