"""A stream asked for without `alt=sse`: one JSON array, element after element."""

from __future__ import annotations

import re

from bm import sse
from bm.chat.events import End, Event, Failed
from bm.protocols.codec import StreamEncoder

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_BEFORE = re.compile(rb"(?:\xef\xbb\xbf)?[\s\[]*")
_BETWEEN = re.compile(rb"[\s,]*")
_AROUND = b" \t\r\n,[]"


class ArraySplitter:
    """Splits an array of objects as it arrives; has the interface of `sse.Parser`. A lone object counts as one too."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._depth = 0
        self._in_string = False
        self._begun = False

    def feed(self, chunk: bytes) -> list[sse.Event]:
        """Return the elements that `chunk` completes.

        Raises:
            EventTooLarge: an element exceeds `sse.MAX_EVENT_BYTES`.
        """
        self._buffer += chunk
        if len(self._buffer) > sse.MAX_EVENT_BYTES:
            raise sse.EventTooLarge(f"an element of more than {sse.MAX_EVENT_BYTES} bytes")
        events: list[sse.Event] = []
        while (event := self._next()) is not None:
            events.append(event)
        return events

    def _next(self) -> sse.Event | None:
        if self._depth == 0 and not self._open():
            return None
        while True:
            pattern = _INSIDE if self._in_string else _OUTSIDE
            found = pattern.search(self._buffer, self._at)
            if found is None:
                self._at = len(self._buffer)
                return None
            mark, at = found.group(), found.start()
            if mark == b"\\":
                if at + 2 > len(self._buffer):
                    self._at = at
                    return None
                self._at = at + 2
                continue
            self._at = at + 1
            if mark == b'"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if mark in (b"{", b"[") else -1
                if self._depth == 0:
                    return self._take()

    def _open(self) -> bool:
        """Move to the start of the next element; False when it has not come yet."""
        filler = (_BETWEEN if self._begun else _BEFORE).match(self._buffer)
        if filler is not None:
            del self._buffer[: filler.end()]
        if not self._buffer.startswith(b"{"):
            return False
        self._begun = True
        self._depth, self._at = 1, 1
        return True

    def _take(self) -> sse.Event:
        event = sse.Event(bytes(self._buffer[: self._at]))
        del self._buffer[: self._at]
        self._at = 0
        return event

    def close(self) -> list[sse.Event]:
        """Return what is left: an element that was cut, which its reader will find malformed, or what is no array."""
        left = bytes(self._buffer).strip(_AROUND)
        self._buffer.clear()
        self._depth, self._at, self._in_string = 0, 0, False
        return [sse.Event(left)] if left else []


class ArrayFramer:
    """Frames a Gemini stream as one JSON array, for a client that did not ask for `alt=sse`."""

    def __init__(self, encoder: StreamEncoder) -> None:
        self._encoder = encoder
        self._begun = False

    def feed(self, event: Event) -> bytes:
        """Return the bytes to send for one event."""
        framed = b"".join(self._element(data) for data in _payloads(self._encoder.feed(event)))
        if isinstance(event, End | Failed):
            framed += b"]" if self._begun else b"[]"
        return framed

    def _element(self, data: bytes) -> bytes:
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + data

    def keepalive(self) -> bytes:
        """White space, which JSON allows between elements."""
        return b"\n"


def _payloads(stream: bytes) -> list[bytes]:
    return [line.removeprefix(b"data: ") for line in stream.split(b"\r\n\r\n") if line]
