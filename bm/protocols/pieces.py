"""Read the events that hold the pieces of a text, which are most of a stream, without parsing each of them.

From one to the next, nothing in them differs but the text. So once an event has turned out to mean a piece of text and
nothing else, those that follow are recognized by what stands around their text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from bm.chat.events import Event, PartDelta
from bm.errors import UNREADABLE
from bm.protocols.codec import StreamDecoder
from bm.protocols.framing import EventParser

_END = b"\n\n"
_SAMPLE = "a sample"
_MOST_MISSES = 3
"""In a stream whose events differ in more than the text, such as in a number, patterns are given up after so many."""
_AT_A_TIME = 4
_LONGEST = 64 * 1024
"""Bytes of an event's beginning that are kept here. The parser has a limit of its own."""

_decode = msgspec.json.Decoder(str).decode


class Run(msgspec.Struct, frozen=True):
    """Events that follow one another: their bytes, how many they are, and the text of all."""

    data: bytes
    count: int
    piece: PartDelta


class Pieces:
    """Finds runs of events that hold pieces of one part, by a pattern while there is one.

    `parser` and `decoder` are those that read everything else.
    """

    def __init__(self, parser: EventParser, decoder: StreamDecoder) -> None:
        self._parser, self._decoder = parser, decoder
        self._before = self._after = self._tail = b""
        self._index = self._misses = 0
        self._known = False

    @property
    def _learns(self) -> bool:
        return self._decoder.steady and self._misses < _MOST_MISSES

    def learn(self, frame: bytes, meaning: Sequence[Event]) -> None:
        """Take an event as the pattern if it means a piece of text and nothing else, also with another text."""
        if not self._learns or len(meaning) != 1 or type(piece := meaning[0]) is not PartDelta:
            return
        text = msgspec.json.encode(piece.text)
        before, found, after = frame.partition(text)
        if not found or text in after:
            return
        sample = b"%b%b%b" % (before, msgspec.json.encode(_SAMPLE), after)
        events = [event for item in self._parser.feed(sample) for event in self._decoder.feed(item)]
        if events == [PartDelta(piece.index, _SAMPLE)]:
            self._before, self._after, self._index = before + b'"', b'"' + after, piece.index
            self._known = True

    def split(self, chunk: bytes) -> Iterator[tuple[Run | None, bytes]]:
        """Split what has arrived into runs and, with None, what is to be parsed. Both are to be read one by one.

        Little is parsed at a time where a pattern may be learnt from it.
        """
        while chunk:
            if self._known:
                run, chunk = self._take(chunk)
                if run is not None:
                    yield run, b""
                continue
            end = _after_events(chunk, _AT_A_TIME) if self._learns else len(chunk)
            part, chunk = chunk[:end], chunk[end:]
            yield None, part

    def _take(self, chunk: bytes) -> tuple[Run | None, bytes]:
        """Split what has arrived into the run that it begins with and the rest.

        The beginning of an event that is not complete is kept, unless something else stands before it.
        """
        data = self._tail + chunk
        found = data.rfind(_END)
        end = found + len(_END) if found >= 0 else 0
        run = self._run(data[:end])
        size = len(run.data) if run is not None else 0
        if size == end and len(data) - end < _LONGEST:
            self._tail = data[end:]
            return run, b""
        self._misses = 0 if run is not None else self._misses + 1
        self._tail, self._known = b"", False
        return run, data[size:]

    def only(self, chunk: bytes) -> Run | None:
        """The run that a chunk is; None, and nothing is taken, where it is something else or not whole events."""
        if not self._known or not chunk.endswith(_END):
            return None
        data = self._tail + chunk
        run = self._single(data) or self._run(data)
        if run is None or len(run.data) < len(data):
            return None
        self._tail, self._misses = b"", 0
        return run

    def rest(self) -> bytes:
        """What is kept of an event that is not complete, for the parser."""
        tail, self._tail, self._known = self._tail, b"", False
        return tail

    def _single(self, data: bytes) -> Run | None:
        """The run that one event is, as pieces mostly arrive. Line feeds between events are no part of a string."""
        before, after = self._before, self._after
        if len(data) < len(before) + len(after) or not (data.startswith(before) and data.endswith(after)):
            return None
        said = _text([data[len(before) : -len(after)]])
        return Run(data, 1, PartDelta(self._index, said)) if said else None

    def _run(self, data: bytes) -> Run | None:
        before, after = self._before, self._after
        if not data.startswith(before):
            return None
        texts: list[bytes] = []
        size = 0
        for each in data[len(before) :].split(before):
            text, found, other = each.partition(after)
            if not found:
                break
            texts.append(text)
            size += len(before) + len(text) + len(after)
            if other:
                break
        said = _text(texts)
        return Run(data[:size], len(texts), PartDelta(self._index, said)) if said else None


def _after_events(data: bytes, count: int) -> int:
    """Where so many events end, or all of the data."""
    end = 0
    for _ in range(count):
        found = data.find(_END, end)
        if found < 0:
            return len(data)
        end = found + len(_END)
    return end


def _text(texts: list[bytes]) -> str:
    """What the pieces of JSON text mean together; empty unless each is the inside of a string that is not empty."""
    if not texts or b"" in texts:
        return ""
    joined = b"".join(texts)
    try:
        if b"\\" not in joined or len(texts) == 1:
            return _decode(b'"%b"' % joined)
        # An escape may not go on in the next piece.
        return "".join([_decode(b'"%b"' % text) for text in texts])
    except UNREADABLE:
        return ""
