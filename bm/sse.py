"""Server-sent events, bytes in and events out, and back again.

The subset that language-model APIs use: `event:`, `data:` (several lines are joined by a newline), comments, any
of the three line endings, in chunks cut anywhere, also inside a UTF-8 character. `id:` and `retry:` are ignored.
See the HTML standard, "Server-sent events: parsing an event stream".
"""

from __future__ import annotations

import msgspec

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""A larger event is refused: no upstream sends one, and a peer that never ends a line must not fill memory."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event. `name` is empty when the stream named none; `data` is the joined payload."""

    data: bytes
    name: str = ""


class EventTooLarge(ValueError):
    """The peer sent more than `MAX_EVENT_BYTES` without ending an event."""


class Parser:
    """Turns chunks of a stream into events. One parser a stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()
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
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[:1] == b"\n":
                chunk = chunk[1:]
        scanned = len(self._buffer)
        self._buffer += chunk
        events = self._drain(scanned) if b"\n" in chunk or b"\r" in chunk else []
        self._admit(len(self._buffer))
        return events

    def _admit(self, line: int) -> None:
        if self._size + line > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")

    def _drain(self, scanned: int) -> list[Event]:
        data = bytes(self._buffer)
        events: list[Event] = []
        start = 0
        has_cr = b"\r" in data
        while True:
            newline = data.find(b"\n", max(start, scanned))
            carriage = data.find(b"\r", max(start, scanned)) if has_cr else -1
            end = newline if carriage < 0 else carriage if newline < 0 else min(newline, carriage)
            if end < 0:
                break
            event = self._line(data[start:end])
            if event is not None:
                events.append(event)
            start = end + 1
            if end == carriage:
                if start == len(data):
                    self._after_cr = True
                elif data[start] == 0x0A:
                    start += 1
        del self._buffer[:start]
        return events

    def _line(self, line: bytes) -> Event | None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        self._admit(len(line))
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value) + 1
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> Event | None:
        name, self._name = self._name, ""
        if not self._data:
            return None
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data, self._size = [], 0
        return Event(data, name)

    def close(self) -> list[Event]:
        """Return the event that the end of the stream left without its blank line, if it is there.

        The standard drops it; several upstreams end their last event with a single newline, and losing a finish
        reason is worse.
        """
        events: list[Event] = []
        if self._buffer:
            event = self._line(bytes(self._buffer))
            self._buffer.clear()
            if event is not None:
                events.append(event)
        event = self._dispatch()
        if event is not None:
            events.append(event)
        return events


def encode(data: bytes, name: str = "") -> bytes:
    """Frame one payload. A payload with newlines becomes several `data:` lines."""
    if b"\n" in data or b"\r" in data:
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        data = b"\ndata: ".join(lines)
    if name:
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
