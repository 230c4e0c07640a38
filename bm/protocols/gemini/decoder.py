"""An upstream's answer, chunk by chunk, as events.

Text stays open until another kind of part begins, since its signature may come later on an empty part. Finish and End
are told when the stream has ended, since a finish reason may stand on every chunk and usage behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from bm import sse
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
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Json, Opaque, Search
from bm.chat.signature import Signature
from bm.errors import Failure
from bm.protocols.codec import IdFactory
from bm.protocols.errors import in_band
from bm.protocols.gemini.content import decode_file, decode_inline, opaque_part
from bm.protocols.gemini.grounding import KIND, decode_grounding
from bm.protocols.gemini.thinking import decode_signature
from bm.protocols.gemini.usage import blocked, decode_finish, decode_usage, native_reason
from bm.protocols.reading import member

_METADATA = ("groundingMetadata", "citationMetadata", "urlContextMetadata", "logprobsResult")


class _Choice:
    """One candidate in the making."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.open: int | None = None
        self.kind = ""
        self.signed = False
        self.calls = False
        self.content = False
        self.native = ""
        self.message = ""
        self.metadata: dict[str, Any] = {}
        self.said: list[str] = []
        self.texts = 0


class GeminiStreamDecoder:
    """Turns `generateContent` chunks into events. One decoder a stream."""

    def __init__(self, ids: IdFactory) -> None:
        self._ids = ids
        self._choices: dict[int, _Choice] = {}
        self._next = 0
        self._started = False
        self._ended = False
        self._usage: Usage | None = None
        self._blocked: Finish | None = None

    def feed(self, event: sse.Event) -> Sequence[Event]:
        """Return what one chunk tells."""
        if self._ended or event.data == b"[DONE]":
            return ()
        try:
            chunk = msgspec.json.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._fail(Failure(kind="malformed", message="the upstream sent a chunk that is not JSON"))
        return self.chunk(chunk)

    def chunk(self, chunk: Any) -> Sequence[Event]:
        """Return what one decoded chunk tells."""
        if isinstance(chunk, list) and len(chunk) == 1:
            chunk = chunk[0]
        if not isinstance(chunk, dict):
            return self._fail(Failure(kind="malformed", message="the upstream sent a chunk that is not an object"))
        if chunk.get("error") is not None:
            return self._fail(in_band(chunk))
        events: list[Event] = []
        if not self._started:
            self._started = True
            identity, model = member(chunk, "responseId"), member(chunk, "modelVersion")
            events.append(Start(identity if isinstance(identity, str) else "", model if isinstance(model, str) else ""))
        candidates = chunk.get("candidates")
        if isinstance(candidates, list) and candidates:
            for position, candidate in enumerate(candidates):
                if isinstance(candidate, dict):
                    events += self._candidate(candidate, position)
        else:
            self._blocked = blocked(member(chunk, "promptFeedback")) or self._blocked
        events += self._used(member(chunk, "usageMetadata"))
        return self._checked(events)

    def _used(self, metadata: Any) -> Iterator[Event]:
        if isinstance(metadata, dict):
            usage = decode_usage(metadata)
            if usage != self._usage:
                self._usage = usage
                yield UsageUpdate(usage)

    def _checked(self, events: list[Event]) -> Sequence[Event]:
        """The events, and the failure if a finish reason just seen is one: before the first byte it can be retried."""
        for choice in self._choices.values():
            if choice.native:
                outcome = _outcome(choice)
                if isinstance(outcome, Failure):
                    return [*events, *self._fail(outcome)]
        return events

    def _candidate(self, candidate: Json, position: int) -> Iterator[Event]:
        number = candidate.get("index", position)
        number = number if isinstance(number, int) else position
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice(number)
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                yield from self._part(choice, part)
        for name in _METADATA:
            value = member(candidate, name)
            if isinstance(value, dict) and value:
                choice.metadata[name] = value
        choice.native = native_reason(member(candidate, "finishReason")) or choice.native
        message = member(candidate, "finishMessage")
        choice.message = message if isinstance(message, str) else choice.message

    def _part(self, choice: _Choice, part: Json) -> Iterator[Event]:
        signature = decode_signature(member(part, "thoughtSignature"))
        text = part.get("text")
        call = member(part, "functionCall")
        if isinstance(call, dict):
            yield from self._call(choice, call, signature)
        elif isinstance(text, str):
            yield from self._text(choice, "thinking" if part.get("thought") is True else "text", text, signature)
        elif part.keys() <= {"thought", "thoughtSignature", "thought_signature"}:
            yield from self._sign(choice, signature)
        else:
            whole = decode_inline(member(part, "inlineData"), signature) or decode_file(member(part, "fileData"))
            yield from self._whole(choice, whole or opaque_part(part))

    def _text(self, choice: _Choice, kind: Any, text: str, signature: Signature | None) -> Iterator[Event]:
        if not text:
            yield from self._sign(choice, signature)
            return
        if choice.open is None or choice.kind != kind or choice.signed:
            yield from self._close(choice)
            choice.open, choice.kind, choice.signed = self._take_index(), kind, False
            choice.texts += kind == "text"
            yield PartStart(choice.open, kind, choice=choice.number)
        if kind == "text":
            choice.content = True
            choice.said.append(text)
        yield PartDelta(choice.open, text)
        yield from self._sign(choice, signature)

    def _sign(self, choice: _Choice, signature: Signature | None) -> Iterator[Event]:
        if signature is not None and choice.open is not None:
            choice.signed = True
            yield PartSignature(choice.open, signature)

    def _call(self, choice: _Choice, call: Json, signature: Signature | None) -> Iterator[Event]:
        name = call.get("name")
        if not isinstance(name, str) or not name:
            return
        yield from self._close(choice)
        identity, arguments = call.get("id"), call.get("args")
        choice.calls = choice.content = True
        index = self._take_index()
        yield PartStart(
            index,
            "tool_call",
            id=identity if isinstance(identity, str) and identity else self._ids.new_id("call_"),
            name=name,
            signature=signature,
            choice=choice.number,
        )
        yield PartDelta(index, msgspec.json.encode(arguments if isinstance(arguments, dict) else {}).decode())
        yield PartEnd(index)

    def _whole(self, choice: _Choice, part: Any) -> Iterator[Event]:
        yield from self._close(choice)
        choice.content = choice.content or not isinstance(part, Opaque) or bool(part.summary)
        yield PartWhole(self._take_index(), part, choice=choice.number)

    def _take_index(self) -> int:
        self._next += 1
        return self._next - 1

    def _close(self, choice: _Choice) -> Iterator[Event]:
        if choice.open is None:
            return
        search: Search | None = None
        if choice.metadata and choice.kind == "text":
            text = "".join(choice.said) if choice.texts == 1 else None
            sources, search = decode_grounding(choice.metadata.get(KIND), text)
            yield PartAnnotation(choice.open, "gemini", choice.metadata, sources)
            choice.metadata = {}
        yield PartEnd(choice.open)
        choice.open = None
        if search is not None:
            yield PartWhole(self._take_index(), Opaque("gemini", KIND, {}, search=search), choice=choice.number)

    def _fail(self, failure: Failure) -> list[Event]:
        self._ended = True
        closing = [event for choice in self._choices.values() for event in self._close(choice)]
        return [*closing, Failed(failure)]

    def close(self) -> Sequence[Event]:
        """Return the finish and the end, or why there is none."""
        if self._ended:
            return ()
        unfinished = [choice for choice in self._choices.values() if not choice.native]
        if unfinished or not (self._choices or self._blocked):
            return self._fail(_cut(started=self._started, candidates=bool(self._choices)))
        self._ended = True
        closing = [event for choice in self._choices.values() for event in self._close(choice)]
        outcomes = [_outcome(choice) for _, choice in sorted(self._choices.items())]
        failed = next((outcome for outcome in outcomes if isinstance(outcome, Failure)), None)
        if failed is not None:
            return [*closing, Failed(failed)]
        finishes = [outcome for outcome in outcomes if isinstance(outcome, Finish)]
        return [*closing, *(finishes or [self._blocked or Finish("stop")]), End()]


def _outcome(choice: _Choice) -> Finish | Failure:
    return decode_finish(
        choice.native, choice.message, calls=choice.calls, content=choice.content, choice=choice.number
    )


def _cut(*, started: bool, candidates: bool) -> Failure:
    if candidates or not started:
        return Failure(kind="truncated", message="the upstream ended the stream without a finish reason")
    return Failure(kind="malformed", message="the upstream's answer holds no candidates", should_retry=True)
