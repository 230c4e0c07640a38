"""Read an upstream's stream of chunks, or a whole answer, into canonical events.

Text stays open until another kind of part begins, since its signature may come later on an empty part. Finish and End
are reported when the stream has ended, since a finish reason may stand on every chunk and usage behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from bm import sse
from bm.chat.events import Event, Finish
from bm.chat.parts import Citation, Json, Opaque, Part, ToolCall
from bm.chat.signature import Signature
from bm.errors import UNREADABLE, Failure
from bm.protocols import reading
from bm.protocols.codec import IdFactory, WireDecoder
from bm.protocols.errors import in_band
from bm.protocols.gemini.content import decode_media, is_bare, opaque_part
from bm.protocols.gemini.grounding import KIND, METADATA, decode_grounding
from bm.protocols.gemini.thinking import decode_signature
from bm.protocols.gemini.usage import blocked, decode_finish, decode_usage, native_reason

_IN_MIDST = frozenset({"content", "index"})
"""The members of a candidate that is not finished."""
_TEXT = frozenset({"text"})


class _Choice:
    """A candidate in the making. Text and thinking follow one another under its number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.signed = False
        self.content = False
        self.native = ""
        self.message = ""
        self.metadata: Json = {}
        self.texts: list[list[str]] = []


class GeminiStreamDecoder(WireDecoder):
    """Reads one stream of `generateContent` chunks."""

    def __init__(self, ids: IdFactory) -> None:
        super().__init__(ids)
        self._choices: dict[int, _Choice] = {}
        self._blocked: Finish | None = None

    def feed(self, event: sse.Event) -> Sequence[Event]:
        if self._parts.ended or event.data == b"[DONE]":
            return ()
        try:
            chunk = msgspec.json.decode(event.data)
        except UNREADABLE:
            return self._malformed("the upstream sent a chunk that is not JSON")
        return self._chunk(chunk)

    def whole(self, body: Any) -> Sequence[Event]:
        """Return the events of a whole answer. A list of chunks counts as a stream."""
        chunks = body if isinstance(body, list) else [body]
        return [*(event for chunk in chunks for event in self._chunk(chunk)), *self.close()]

    def _chunk(self, chunk: Any) -> Sequence[Event]:
        if isinstance(chunk, list) and len(chunk) == 1:
            chunk = chunk[0]
        if not isinstance(chunk, dict):
            return self._malformed("the upstream sent a chunk that is not an object")
        if chunk.get("error") is not None:
            return self._broken(in_band(chunk))
        if not self._parts.started:
            self._parts.start(
                reading.string_of(reading.member(chunk, "responseId")),
                reading.string_of(reading.member(chunk, "modelVersion")),
            )
        # Some clients get the usage of the prompt at the start, so it comes before the first part.
        metadata = reading.member(chunk, "usageMetadata")
        if isinstance(metadata, dict):
            self._parts.use(decode_usage(metadata))
        ends = False
        if candidates := reading.array_of(chunk.get("candidates")):
            for position, candidate in enumerate(candidates):
                ends |= isinstance(candidate, dict) and self._candidate(candidate, position)
        else:
            self._blocked = blocked(reading.member(chunk, "promptFeedback")) or self._blocked
        if ends:
            # A finish reason may be a failure, which can be retried before the first byte.
            for outcome in map(self._outcome, self._choices.values()):
                if isinstance(outcome, Failure):
                    return self._fail(outcome)
        return self._parts.take()

    def _candidate(self, candidate: Json, position: int) -> bool:
        """Take one candidate. Returns whether it has a finish reason."""
        number = candidate.get("index", position)
        number = number if isinstance(number, int) else position
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice(number)
        for part in reading.objects_of(reading.object_of(candidate.get("content")).get("parts")):
            self._part(choice, part)
        if candidate.keys() <= _IN_MIDST:
            return False
        for name in METADATA:
            if value := reading.object_of(reading.member(candidate, name)):
                choice.metadata[name] = value
        choice.native = native_reason(reading.member(candidate, "finishReason")) or choice.native
        choice.message = reading.string_of(reading.member(candidate, "finishMessage")) or choice.message
        return bool(choice.native)

    def _part(self, choice: _Choice, part: Json) -> None:
        text = part.get("text")
        if isinstance(text, str) and part.keys() == _TEXT:
            self._text(choice, "text", text)
            return
        signature = decode_signature(reading.member(part, "thoughtSignature"))
        call = reading.member(part, "functionCall")
        if isinstance(call, dict):
            self._call(choice, call, signature)
        elif isinstance(text, str):
            self._text(choice, "thinking" if part.get("thought") is True else "text", text)
            self._sign(choice, signature)
        elif is_bare(part):
            self._sign(choice, signature)
        else:
            self._whole(choice, decode_media(part, signature) or opaque_part(part))

    def _text(self, choice: _Choice, kind: Literal["text", "thinking"], text: str) -> None:
        if not text:
            return
        if choice.signed or not self._parts.is_open(choice.number, kind):
            self._close(choice)
            choice.texts += [[]] if kind == "text" else []
        if kind == "text":
            choice.content = True
            choice.texts[-1].append(text)
        self._parts.text(choice.number, kind, text, choice.number)

    def _sign(self, choice: _Choice, signature: Signature | None) -> None:
        if signature is not None and self._parts.is_open(choice.number):
            choice.signed = True
            self._parts.sign(choice.number, signature)

    def _call(self, choice: _Choice, call: Json, signature: Signature | None) -> None:
        if name := reading.string_of(call.get("name")):
            arguments = reading.object_of(call.get("args"))
            self._whole(choice, ToolCall(reading.string_of(call.get("id")), name, arguments, signature=signature))

    def _whole(self, choice: _Choice, part: Part) -> None:
        self._close(choice)
        choice.content = choice.content or not isinstance(part, Opaque) or bool(part.summary)
        self._parts.add(part, choice.number)

    def _close(self, choice: _Choice) -> None:
        """Close the open part; a text with its citations."""
        choice.signed = False
        if not choice.metadata or not self._parts.is_open(choice.number, "text"):
            self._parts.close(choice.number)
            return
        text = "".join(choice.texts[0]) if len(choice.texts) == 1 else None
        sources, search = decode_grounding(choice.metadata.get(KIND), text)
        self._parts.cite(choice.number, Citation("gemini", choice.metadata, sources))
        choice.metadata = {}
        self._parts.close(choice.number)
        if search is not None:
            self._parts.add(Opaque("gemini", KIND, {}, search=search), choice.number)

    def _outcome(self, choice: _Choice) -> Finish | Failure:
        calls = choice.number in self._parts.called
        return decode_finish(choice.native, choice.message, calls=calls, content=choice.content, choice=choice.number)

    def _fail(self, failure: Failure) -> Sequence[Event]:
        self._close_all()
        return super()._fail(failure)

    def _close_all(self) -> None:
        for choice in self._choices.values():
            self._close(choice)

    @property
    def steady(self) -> bool:
        """Never: most events report usage."""
        return False

    @property
    def finished(self) -> bool:
        """Whether every candidate has a finish reason, or the prompt was blocked."""
        return all(choice.native for choice in self._choices.values()) and bool(self._choices or self._blocked)

    def close(self) -> Sequence[Event]:
        if self._parts.started and not (self._choices or self._blocked or self._parts.ended):
            message = "the upstream's answer holds no candidates"
            return self._fail(Failure(kind="malformed", message=message, should_retry=True))
        return super().close()

    def _complete(self) -> Sequence[Event]:
        self._close_all()
        outcomes = [self._outcome(choice) for _, choice in sorted(self._choices.items())]
        finishes = [outcome for outcome in outcomes if isinstance(outcome, Finish)]
        return self._parts.end(finishes or [self._blocked or Finish("stop")])
