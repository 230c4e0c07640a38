"""Carry an upstream's stream to a client of the same protocol: its bytes, whole events at a time.

A decoder reads along, so usage, the end and an error in mid-stream are known as they are for a translated stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

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
from bm.chat.signature import Signature, TextKey
from bm.errors import Failure
from bm.protocols.codec import StreamDecoder, StreamEncoder
from bm.protocols.framing import EventBuffer, EventParser, frames_of, last_frame, length_of
from bm.protocols.pieces import Pieces, Run
from bm.protocols.reading import json_of, object_of, objects_of


class ResponsePipe(Protocol):
    """Bytes of the upstream in, bytes for the client out; they always end at an event boundary.

    `reports_errors` says whether an error can be put between the bytes, `finished` whether the upstream has sent all of
    the response, though perhaps not its end. After a failure, `ended` says that nothing further is sent, and
    `resumable` that the client was not informed because another target may finish the response.
    """

    watch: Watch

    @property
    def reports_errors(self) -> bool: ...

    @property
    def finished(self) -> bool: ...

    @property
    def ended(self) -> bool: ...

    @property
    def resumable(self) -> bool: ...

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes of the upstream; return what can go to the client."""

    def pass_pieces(self, chunk: bytes) -> bytes | None:
        """As `feed`, for bytes that hold pieces of a text and nothing else; None, and nothing is taken, for others."""

    def close(self) -> bytes:
        """The upstream's stream has ended: return the rest, or an in-stream error if it was cut."""

    def abort(self, failure: Failure) -> bytes:
        """The stream cannot continue: return the client's in-stream error."""

    def keepalive(self) -> bytes:
        """Return bytes that keep the connection alive and carry no content."""


class Watch:
    """What the events of a response say so far.

    `size` is the length of all parts that came in pieces. `items` counts what the upstream has sent but comments,
    `events` what that meant, `contents` those with content, and `marks` those that are more than a piece of a part.
    `begun` is true from the first content on: from then on the response cannot be retried. `may_repeat` says
    whether the model may be asked again if it answers with nothing. `thinking` is true until a part begins that is
    no thinking, and again from each part on that is. `signatures` maps ids of tool calls, and the `TextKey` of
    texts, to their vendor's signatures. `sink` makes what takes the pieces of a part, if anything does. `said`
    holds the text while a tool call is awaited; it is None from a call on, and where none is awaited.
    """

    def __init__(self) -> None:
        self.begun = False
        self.thinking = True
        self.complete = False
        self.failure: Failure | None = None
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.model = ""
        self.items = self.events = self.contents = self.marks = self.size = 0
        self.sink = _digest_of
        self.signatures: dict[str, Signature] = {}
        self.said: list[str] | None = None
        self.may_repeat = False
        self._calls: dict[int, str] = {}
        self._texts: dict[int, TextKey] = {}
        self._unsigned_texts: list[TextKey] = []
        self._text_signatures: dict[int, Signature | None] = {}

    @property
    def unsigned(self) -> list[str]:
        """The ids of tool calls, and the keys of texts, that have no signature."""
        calls = (name for name in self._calls.values() if name not in self.signatures)
        return [*calls, *(key.value for key in self._unsigned_texts)]

    @property
    def uncalled(self) -> bool:
        """Whether a call was awaited, and the model has finished without one."""
        return self.said is not None and self.finish is not None and self.finish.reason == "stop"

    @property
    def empty(self) -> bool:
        """Whether the model has finished with nothing, and may be asked again."""
        return self.may_repeat and self.contents == 1 and self.finish is not None and self.finish.reason == "stop"

    def see(self, event: Event) -> None:
        """Take one event."""
        if type(event) is PartDelta:
            self.see_pieces(event, 1)
            return
        self.events += 1
        self.marks += 1
        if isinstance(event, CONTENT):
            self.begun = True
            self.contents += 1
        elif type(event) is PartStart:
            self.thinking = event.kind == "thinking"
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

    def see_pieces(self, piece: PartDelta, count: int) -> None:
        """Take so many pieces of a part that follow one another, together."""
        self.begun = True
        self.events += count
        self.contents += count
        self.size += len(piece.text)
        if (key := self._texts.get(piece.index)) is not None:
            key.add(piece.text)
            if self.said is not None and piece.index in self._text_signatures:
                self.said.append(piece.text)

    def _see_part(self, event: PartStart | PartSignature | PartEnd) -> None:
        """Note which part a signature belongs to: a call by its id, a text by its content."""
        match event:
            case PartStart(kind="tool_call"):
                self.said = None
                self._calls[event.index] = event.id
                if event.signature is not None:
                    self.signatures[event.id] = event.signature
            case PartStart():
                if (key := self.sink(event)) is not None:
                    self._texts[event.index] = key
                if event.kind == "text":
                    self._text_signatures[event.index] = event.signature
            case PartSignature(index=index) if index in self._calls:
                self.signatures[self._calls[index]] = event.signature
            case PartSignature(index=index) if index in self._text_signatures:
                self._text_signatures[index] = event.signature
            case PartEnd(index=index) if index in self._texts:
                key, signature = self._texts.pop(index), self._text_signatures.pop(index, None)
                if signature is None:
                    self._unsigned_texts.append(key)
                elif key.size:
                    self.signatures[key.value] = signature
            case _:
                pass


def _digest_of(start: PartStart) -> TextKey | None:
    """What takes the pieces of a text, whose signature is stored under their digest."""
    return TextKey() if start.kind == "text" else None


class PassThrough:
    """Forwards whole events as they came while a decoder reads along, up to the end of the response or its failure.

    `encoder` only writes keep-alives, the error that ends a broken stream, and the end that the upstream has left out.
    `rename` puts the model's name that the client is to see into one event's JSON, `drop` takes events that the client
    is not to see out of whole ones. `framed` is false for a JSON array, where nothing can be put between the bytes: the
    missing end is its error.
    """

    def __init__(
        self,
        parser: EventParser,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        *,
        rename: Callable[[bytes], bytes] | None = None,
        drop: Callable[[bytes], bytes] | None = None,
        framed: bool = True,
    ) -> None:
        self.watch = Watch()
        self.reports_errors = framed
        self.ended = False
        self._parser, self._decoder, self._encoder = parser, decoder, encoder
        self._rename, self._drop = rename, drop
        self._buffer = EventBuffer()
        self._separator = b"["
        self._pieces = Pieces(parser, decoder)
        self._meaning: Sequence[Event] = ()
        self._unchanged = rename is None and drop is None
        self._cut_line_end = b""
        self._last = sse.Event(b"")
        self._end = b""

    @property
    def resumable(self) -> bool:
        """Whether another target may finish a failed response: not if its bytes were only forwarded."""
        return False

    @property
    def finished(self) -> bool:
        return self.watch.complete or self._decoder.finished

    def feed(self, chunk: bytes) -> bytes:
        if self.ended:
            return b""
        passed = []
        for run, rest in self._pieces.split(chunk):
            if run is not None:
                passed.append(self._passed_run(run))
            elif not self.ended:
                passed.append(self._read(rest))
        return b"".join(passed)

    def pass_pieces(self, chunk: bytes) -> bytes | None:
        run = None if self.ended else self._pieces.only(chunk)
        return None if run is None else self._passed_run(run)

    def _passed_run(self, run: Run) -> bytes:
        self.watch.items += run.count
        self.watch.see_pieces(run.piece, run.count)
        return run.data

    def _read(self, chunk: bytes) -> bytes:
        if self._cut_line_end or chunk.endswith(b"\r"):
            chunk = self._with_whole_line_ends(chunk)
        parsed = self._parser.feed(chunk)
        passing = self._see(parsed)
        if passing:
            self._last = parsed[passing - 1]
        if not self.reports_errors:
            broken = self.watch.failure is not None and not any(map(is_error, parsed))
            return b"" if broken else self._elements(parsed, chunk)
        whole = self._buffer.feed(chunk)
        if passing < len(parsed):
            whole = whole[: length_of(whole, passing)]
        passed = whole if self._unchanged and not self.ended else self._passed(whole, passing) + self._end
        if not (self.ended or self._holds or self._buffer.size):
            frame = last_frame(whole)
            if self._unchanged or self._renamed(frame) == frame:
                self._pieces.learn(frame, self._meaning)
        return passed

    @property
    def _holds(self) -> bool:
        """Whether whole events are held back from the client."""
        return False

    def _with_whole_line_ends(self, chunk: bytes) -> bytes:
        """The chunk without a carriage return at its end: the line feed that may follow belongs to the same event."""
        chunk = self._cut_line_end + chunk
        self._cut_line_end = chunk[-1:] if self.reports_errors and chunk.endswith(b"\r") else b""
        return chunk.removesuffix(self._cut_line_end)

    def _see(self, parsed: Sequence[sse.Event]) -> int:
        """Decode events. Returns how many of them are for the client: what follows the end or a failure is not."""
        watch, decode = self.watch, self._decoder.feed
        see, marks = watch.see, watch.marks
        watch.items += len(parsed)
        for number, item in enumerate(parsed):
            events = decode(item)
            self._meaning = events
            for event in events:
                see(event)
            if watch.marks != marks or not events:
                marks = watch.marks
                self._note(number, item, events)
                if watch.complete or watch.failure is not None:
                    return number + self._ends_with(item)
        return len(parsed)

    def _note(self, number: int, item: sse.Event, events: Sequence[Event]) -> None:
        """Take an event of the upstream that is not a piece of a part. `number` is its place in the chunk."""

    def _ends_with(self, item: sse.Event) -> bool:
        """The response is over with this event: whether it passes. If it does not, `_end` is sent in its place."""
        self.ended = True
        if self.watch.failure is not None:
            passes = is_error(item)
            self._end = b"" if passes else self._failed(self.watch.failure)
        else:
            mark, terminator = self._terminator()
            passes = is_sound(item) and (mark_of(item) == mark if mark else not is_error(item))
            self._end = b"" if passes else terminator
        return passes

    def _terminator(self) -> tuple[str, bytes]:
        """The event that ends a stream and says nothing else, and its mark. Not every protocol has one."""
        *_, last = frames_of(self._encoder.feed(End()))
        mark = "".join(map(mark_of, sse.Parser().feed(last)))
        return mark, last if mark else b""

    def _passed(self, whole: bytes, count: int) -> bytes:
        """What goes to the client of whole events, of which `count` are more than comments."""
        return self._renamed(whole)

    def _renamed(self, data: bytes) -> bytes:
        if self._drop is not None:
            data = self._drop(data)
        rename = self._rename
        if rename is None or not data:
            return data
        return b"\n".join([_renamed_line(line, rename) for line in data.split(b"\n")])

    def _elements(self, parsed: Iterable[sse.Event], chunk: bytes) -> bytes:
        """The elements of an array, renamed."""
        if self._rename is None:
            return chunk
        out = []
        for item in parsed:
            out += [self._separator, self._rename(item.data)]
            self._separator = b",\r\n"
        return b"".join(out)

    def close(self) -> bytes:
        begun = self._read(rest) if (rest := self._pieces.rest()) else b""
        return b"" if self.ended else begun + self._closed()

    def _closed(self) -> bytes:
        parsed = self._parser.close()
        rest, passing = self._buffer.take() + self._cut_line_end, self._see(parsed)
        if passing:
            self._last = parsed[passing - 1]
        if not self.ended:
            self._close_decoder()
        if not self.reports_errors:
            return self._close_array(parsed)
        follows = self._end or self.watch.failure is not None
        if passing < len(parsed) or not all(map(is_sound, parsed)) or (follows and not parsed):
            rest = b""
        elif follows or (parsed and not mark_of(parsed[-1])):
            # The last event, which is more than the mark of the end, lacks its blank line: a client would not read it.
            rest = rest.rstrip(b"\r\n") + b"\n\n"
        return self._passed(rest, passing) + self._end

    def _close_decoder(self) -> None:
        """The upstream has sent no end. All may have been said all the same."""
        self.ended = True
        for event in self._decoder.close():
            self.watch.see(event)
        failure = self.watch.failure
        self._end = self._terminator()[1] if failure is None else self._failed(failure)

    def _close_array(self, parsed: Iterable[sse.Event]) -> bytes:
        if self._rename is None or self.watch.failure is not None:
            return b""
        return self._elements(parsed, b"") + (b"]" if self._separator != b"[" else b"[]")

    def abort(self, failure: Failure) -> bytes:
        self.watch.failure = failure
        self._buffer.take()
        return self._error(failure)

    def _failed(self, failure: Failure) -> bytes:
        """What is sent when the upstream has failed."""
        return self._error(failure)

    def _error(self, failure: Failure) -> bytes:
        self.ended = True
        return self._encoder.feed(Failed(failure)) if self.reports_errors else b""

    def keepalive(self) -> bytes:
        return self._encoder.keepalive() if self.reports_errors else b""


def is_sound(item: sse.Event) -> bool:
    """Whether a client can read an event: it is JSON, or the mark at the end of a stream."""
    return item.data.strip() == b"[DONE]" or json_of(item.data) is not None


def mark_of(item: sse.Event) -> str:
    """How an event marks the end of a stream, if that is all it says."""
    if (data := item.data.strip()) == b"[DONE]":
        return "[DONE]"
    return "message_stop" if "message_stop" in (item.name, object_of(json_of(data)).get("type")) else ""


def is_error(item: sse.Event) -> bool:
    """Whether an event of a failed response tells the client by itself that it has failed, or how it has finished."""
    raw = object_of(json_of(item.data))
    if item.name == "error" or raw.get("error") or raw.get("type") in ("error", "response.failed"):
        return bool(raw)
    return any(candidate.get("finishReason") for candidate in objects_of(raw.get("candidates")))


def _renamed_line(line: bytes, rename: Callable[[bytes], bytes]) -> bytes:
    field, _, value = line.partition(b":")
    if field != b"data":
        return line
    data = value.strip()
    return line if (renamed := rename(data)) is data else b"data: " + renamed + (b"\r" if line.endswith(b"\r") else b"")
