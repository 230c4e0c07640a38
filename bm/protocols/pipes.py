"""An answer on its way from the upstream's bytes to the client's: passed through, or translated.

Both kinds watch the same canonical events, so what bm knows of an answer (its usage, its end, an error in its midst)
does not depend on the lane. Output always ends at an event boundary: a keep-alive or an error may follow at any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from bm import sse
from bm.chat.events import (
    CONTENT,
    End,
    Event,
    Failed,
    Finish,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.signature import Signature, text_key
from bm.errors import Failure
from bm.protocols.codec import StreamDecoder, StreamEncoder
from bm.protocols.tools import SingleCall, restore

BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")
_MODEL = re.compile(rb'("model(?:Version)?"\s*:\s*)"[^"\\]*"')


class EventParser(Protocol):
    """Cuts an upstream's bytes into events: `bm.sse.Parser`, or Gemini's JSON array."""

    def feed(self, chunk: bytes) -> list[sse.Event]:
        """Return the events that `chunk` completes."""

    def close(self) -> list[sse.Event]:
        """Return what the end of the stream completes."""


class Watch:
    """What the events have told so far.

    `begun` turns true with the first content: from then on nothing can be taken back. `signatures` maps the ids of tool
    calls, and the `text_key` of texts, to their vendor's signatures.
    """

    def __init__(self) -> None:
        self.begun = False
        self.complete = False
        self.failure: Failure | None = None
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.model = ""
        self.events = 0
        self.signatures: dict[str, Signature] = {}
        self._calls: dict[int, str] = {}
        self._texts: dict[int, list[str]] = {}
        self._text_signatures: dict[int, Signature] = {}

    def see(self, event: Event) -> None:
        """Take one event."""
        self.events += 1
        if not self.begun and isinstance(event, CONTENT):
            self.begun = True
        if type(event) is PartDelta:
            if (pieces := self._texts.get(event.index)) is not None:
                pieces.append(event.text)
            return
        match event:
            case PartStart() | PartSignature() | PartEnd():
                self._see_part(event)
            case UsageUpdate():
                self.usage = event.usage
            case Finish():
                self.finish = event
            case Start():
                self.model = event.model
            case End():
                self.complete = True
            case Failed():
                self.failure = event.failure
            case _:
                pass

    def _see_part(self, event: PartStart | PartSignature | PartEnd) -> None:
        """Note whose the signatures are: a call's by its id, a text's by its words."""
        match event:
            case PartStart(kind="tool_call"):
                self._calls[event.index] = event.id
                if event.signature is not None:
                    self.signatures[event.id] = event.signature
            case PartStart(kind="text"):
                self._texts[event.index] = []
                if event.signature is not None:
                    self._text_signatures[event.index] = event.signature
            case PartSignature(index=index) if index in self._calls:
                self.signatures[self._calls[index]] = event.signature
            case PartSignature(index=index) if index in self._texts:
                self._text_signatures[index] = event.signature
            case PartEnd(index=index) if index in self._texts:
                pieces, signature = self._texts.pop(index), self._text_signatures.pop(index, None)
                if signature is not None and pieces:
                    self.signatures[text_key("".join(pieces))] = signature
            case _:
                pass


class ResponsePipe(Protocol):
    """Bytes of the upstream in, bytes for the client out.

    `tells` says whether the client can be told of an error between its bytes. Once the answer has failed, `over` says
    that bm has ended it and nothing further comes, and `can_go_on` that the client knows nothing of the failure because
    another target may finish the answer.
    """

    watch: Watch

    @property
    def tells(self) -> bool: ...

    @property
    def over(self) -> bool: ...

    @property
    def can_go_on(self) -> bool: ...

    def feed(self, chunk: bytes) -> bytes:
        """Take what the upstream sent; return what can go to the client."""

    def close(self) -> bytes:
        """The upstream has ended its stream; return the rest, or the client's in-stream error if it was cut."""

    def abort(self, failure: Failure) -> bytes:
        """The stream cannot go on; return the client's in-stream error."""

    def keepalive(self) -> bytes:
        """Bytes that keep the client waiting and mean nothing."""


class PassThrough:
    """The upstream speaks the client's protocol: whole events go on as they came, and a tap reads along.

    `encoder` only writes keep-alives and the error at a broken end. `model` replaces the model name in each event when
    the client insists on the one it asked for. `framed` is false for a JSON array, where nothing can be put between
    the bytes: its error is the missing end.
    """

    def __init__(
        self,
        parser: EventParser,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        *,
        model: str = "",
        framed: bool = True,
    ) -> None:
        self.watch = Watch()
        self.tells = framed
        self.over = False
        self._parser, self._decoder, self._encoder = parser, decoder, encoder
        self._model = b'\\1"' + model.encode().replace(b"\\", rb"\\") + b'"' if model else b""
        self._held = b""

    @property
    def can_go_on(self) -> bool:
        """Whether another target may finish a failed answer: not one whose bytes nobody keeps account of."""
        return False

    def feed(self, chunk: bytes) -> bytes:
        if self.over:
            return b""
        parsed = self._parser.feed(chunk)
        failed_before = self.watch.failure is not None
        self._see(parsed)
        if not failed_before and self.watch.failure is not None and any(is_garbage(item.data) for item in parsed):
            self._held = b""
            return self._error(self.watch.failure)
        if not self.tells:
            return chunk
        held = self._held + chunk if self._held else chunk
        end = boundary(held)
        self._held = held[end:]
        return self._renamed(held[:end])

    def _see(self, parsed: Iterable[sse.Event]) -> None:
        for item in parsed:
            for event in self._decoder.feed(item):
                self.watch.see(event)

    def _renamed(self, data: bytes) -> bytes:
        if not self._model:
            return data
        return b"\n".join(_MODEL.sub(self._model, line, count=1) for line in data.split(b"\n"))

    def close(self) -> bytes:
        failed_before = self.watch.failure is not None
        self._see(self._parser.close())
        for event in self._decoder.close():
            self.watch.see(event)
        rest, self._held = self._held, b""
        if self.watch.failure is not None and not failed_before:
            return self._error(self.watch.failure)
        return self._renamed(rest)

    def abort(self, failure: Failure) -> bytes:
        self._held = b""
        self.watch.failure = failure
        return self._error(failure)

    def _error(self, failure: Failure) -> bytes:
        self.over = True
        return self._encoder.feed(Failed(failure)) if self.tells else b""

    def keepalive(self) -> bytes:
        return self._encoder.keepalive() if self.tells else b""


def is_garbage(data: bytes) -> bool:
    """Whether a failed answer's event is no JSON, so that its client could not read it either."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError:
        return data.strip() != b"[DONE]"
    return False


def boundary(data: bytes) -> int:
    """Where the last whole event ends; 0 when none does."""
    if data.endswith(b"\n\n"):
        return len(data)
    return max((at + len(mark) for mark in BLANK_LINES if (at := data.rfind(mark)) >= 0), default=0)


class Filter:
    """What happens to events between two protocols: tool names go back to the client's, surplus calls go away."""

    def __init__(self, names: Mapping[str, str], *, single_call: bool = False) -> None:
        self.watch = Watch()
        self._names = names
        self._single = SingleCall() if single_call else None

    @property
    def can_go_on(self) -> bool:
        """Whether a failed answer may be finished by another target; its failure is then not among the events."""
        return False

    def through(self, events: Iterable[Event]) -> list[Event]:
        """The events for the client."""
        kept = []
        for event in events:
            self.watch.see(event)
            if self._single is None or self._single.keeps(event):
                kept.append(restore(event, self._names) if self._names else event)
        return kept


class Translated:
    """The upstream speaks another protocol: events are decoded, filtered and encoded."""

    def __init__(self, parser: EventParser, decoder: StreamDecoder, encoder: StreamEncoder, events: Filter) -> None:
        self.watch = events.watch
        self.tells = True
        self._parser, self._decoder, self._encoder, self._filter = parser, decoder, encoder, events

    @property
    def over(self) -> bool:
        return self.watch.failure is not None and not self.can_go_on

    @property
    def can_go_on(self) -> bool:
        return self._filter.can_go_on

    def feed(self, chunk: bytes) -> bytes:
        return b"".join([self._through(self._decoder.feed(item)) for item in self._parser.feed(chunk)])

    def close(self) -> bytes:
        rest = [self._through(self._decoder.feed(item)) for item in self._parser.close()]
        rest.append(self._through(self._decoder.close()))
        return b"".join(rest)

    def _through(self, events: Iterable[Event]) -> bytes:
        return b"".join([self._encoder.feed(event) for event in self._filter.through(events)])

    def abort(self, failure: Failure) -> bytes:
        self.watch.failure = failure
        return self._encoder.feed(Failed(failure))

    def keepalive(self) -> bytes:
        return self._encoder.keepalive()
