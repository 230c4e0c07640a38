"""Split an upstream's stream into events without losing a byte, so that it can be passed on event by event."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from bm import sse
from bm.surrogates import HalfJoiner

_BLANK_LINE = re.compile(rb"\n\n|\r\n\r\n|\r\r")
_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")
_LONGEST = max(map(len, _BLANK_LINES))


class EventParser(Protocol):
    """Splits an upstream's bytes into events: `bm.sse.Parser`, or Gemini's JSON array."""

    def feed(self, chunk: bytes) -> list[sse.Event]:
        """Return the events that `chunk` completes."""

    def close(self) -> list[sse.Event]:
        """Return what the end of the stream completes."""


class JoiningParser:
    """Splits bytes into events by `parser`, with characters joined that the upstream cut between two events."""

    def __init__(self, parser: EventParser) -> None:
        self._parser, self._joiner = parser, HalfJoiner()

    def feed(self, chunk: bytes) -> list[sse.Event]:
        return self._joined(self._parser.feed(chunk))

    def close(self) -> list[sse.Event]:
        return self._joined(self._parser.close())

    def _joined(self, events: list[sse.Event]) -> list[sse.Event]:
        joined = self._joiner.feed
        return [item if (data := joined(item.data)) is item.data else sse.Event(data, item.name) for item in events]


class EventBuffer:
    """Holds back the bytes of an event that is not complete. The work is linear in the bytes fed."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._tail = b""
        self.size = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes up to the end of the last whole event."""
        if not self._held and chunk.endswith(b"\n\n"):
            return chunk
        seen = self._tail + chunk
        end = max(at + len(mark) if (at := seen.rfind(mark)) >= 0 else 0 for mark in _BLANK_LINES) - len(self._tail)
        if end <= 0:
            self._hold(chunk)
            self._tail = seen[1 - _LONGEST :]
            return b""
        whole = b"".join([*self._held, chunk[:end]])
        self.take()
        if rest := chunk[end:]:
            self._hold(rest)
            self._tail = rest[1 - _LONGEST :]
        return whole

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self.size += len(data)

    def take(self) -> bytes:
        """Return what is held, and hold nothing."""
        held = b"".join(self._held)
        self._held, self._tail, self.size = [], b"", 0
        return held


def frames_of(data: bytes) -> Iterator[bytes]:
    """Split whole events."""
    at = 0
    for found in _BLANK_LINE.finditer(data):
        yield data[at : found.end()]
        at = found.end()


def last_frame(data: bytes) -> bytes:
    """The last of whole events; nothing where line ends are not plain."""
    return data[:-2].rpartition(b"\n\n")[2] + b"\n\n" if data.endswith(b"\n\n") else b""


def length_of(data: bytes, count: int) -> int:
    """The length of the first `count` of whole events, with the comments between them."""
    length = 0
    for frame in frames_of(data):
        if not count:
            break
        length += len(frame)
        count -= len(sse.Parser().feed(frame))
    return length
