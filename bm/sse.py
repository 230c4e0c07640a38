"""Server-sent events, bytes in and events out, and back again.

The subset that language-model APIs use: `event:`, `data:` (several lines are joined by a newline), comments, any
of the three line endings, in chunks cut anywhere, also inside a UTF-8 character. `id:` and `retry:` are ignored.
See the HTML standard, "Server-sent events: parsing an event stream".
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""A larger event is refused: no upstream sends one, and a peer that never ends a line must not fill memory."""


_FIELD = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:")


def is_stream(body: bytes) -> bool:
    """Whether a body begins as a stream of events does, whatever its content type says."""
    return _FIELD.match(body) is not None


class Event(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event. `name` is empty when the stream named none; `data` is the joined payload."""

    data: bytes
    name: str = ""


class EventTooLarge(ValueError):
    """The peer sent more than `MAX_EVENT_BYTES` without ending an event."""


@lru_cache(maxsize=256)
def _name_in(line: bytes) -> str:
    return line[6:].removeprefix(b" ").decode("utf-8", "replace")


class Parser:
    """Turns chunks of a stream into events. One parser a stream."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._data: list[bytes] = []
        self._name = ""
        self._size = 0
        self._after_cr = False
        self._first_line = True

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that `chunk` completes.

        Raises:
            EventTooLarge: an event exceeds `MAX_EVENT_BYTES`.
        """
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_newlines(chunk)
        if b"\n" not in chunk:
            self._begun += chunk
            self._admit()
            return []
        lines = chunk.split(b"\n")
        if self._begun:
            lines[0] = bytes(self._begun) + lines[0]
            self._begun.clear()
        if rest := lines.pop():
            self._begun += rest
        if self._first_line:
            self._first_line = False
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        events = self._read(lines)
        if rest:
            self._admit()
        return events

    def _with_newlines(self, chunk: bytes) -> bytes:
        """The chunk with one kind of line ending. A CR at its end and an LF that begins the next one are one ending."""
        if not chunk:
            return chunk
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _admit(self) -> None:
        if self._size + len(self._begun) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")

    def _read(self, lines: list[bytes]) -> list[Event]:
        """Take whole lines."""
        events: list[Event] = []
        for line in lines:
            if not line:
                if data := self._data:
                    events.append(Event(data[0] if len(data) == 1 else b"\n".join(data), self._name))
                    self._data, self._size = [], 0
                self._name = ""
            elif line.startswith(b"data:"):
                value = line[6:] if line.startswith(b"data: ") else line[5:]
                self._data.append(value)
                self._size += len(value) + 1
                if self._size > MAX_EVENT_BYTES:
                    self._admit()
            elif line.startswith(b"event:"):
                self._name = _name_in(line)
            elif line == b"data":
                self._data.append(b"")
                self._size += 1
                self._admit()
            elif line == b"event":
                self._name = ""
        return events

    def close(self) -> list[Event]:
        """Return the event that the end of the stream left without its blank line, if it is there.

        The standard drops it; several upstreams end their last event with a single newline, and losing a finish
        reason is worse.
        """
        return self.feed(b"\n\n")


def encode(data: bytes, name: str = "") -> bytes:
    """Frame one payload. A payload with newlines becomes several `data:` lines."""
    if b"\n" in data or b"\r" in data:
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        data = b"\ndata: ".join(lines)
    if name:
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
