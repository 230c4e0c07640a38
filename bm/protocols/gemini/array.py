"""A stream asked for without `alt=sse`: one JSON array, element after element."""

from __future__ import annotations

import re

from bm import sse
from bm.chat.events import End, Event, Failed
from bm.protocols.codec import StreamEncoder

_MARK = re.compile(rb'["\\{}]')
_AROUND = b" \t\r\n,[]\xef\xbb\xbf"


class ArraySplitter:
    """Splits an array of objects as it arrives; has the interface of `sse.Parser`. A lone object counts as one too."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._depth = 0
        self._in_string = self._escaped = False

    def feed(self, chunk: bytes) -> list[sse.Event]:
        """Return the elements that `chunk` completes.

        Raises:
            EventTooLarge: an element exceeds `sse.MAX_EVENT_BYTES`.
        """
        events: list[sse.Event] = []
        start, escaped = 0, 0 if self._escaped else -1
        for found in _MARK.finditer(chunk):
            mark, at = found.group(), found.start()
            if at == escaped:
                continue
            if mark == b"\\":
                escaped = at + 1
            elif mark == b'"':
                self._in_string = not self._in_string
            elif not self._in_string:
                self._depth += 1 if mark == b"{" else -1
                if self._depth == 0:
                    self._held += chunk[start : at + 1]
                    start = at + 1
                    events += self.close()
        self._held += chunk[start:]
        self._escaped = escaped == len(chunk)
        if len(self._held) > sse.MAX_EVENT_BYTES:
            raise sse.EventTooLarge(f"an element of more than {sse.MAX_EVENT_BYTES} bytes")
        return events

    def close(self) -> list[sse.Event]:
        """Return what is left: an element that was cut, which its reader will find malformed, or what is no array."""
        left = bytes(self._held).strip(_AROUND)
        self._held.clear()
        return [sse.Event(left)] if left else []


class ArrayFramer:
    """Frames a Gemini stream as one JSON array, for a client that did not ask for `alt=sse`."""

    def __init__(self, encoder: StreamEncoder) -> None:
        self._encoder = encoder
        self._before = b"["

    def feed(self, event: Event) -> bytes:
        """Return the bytes to send for one event."""
        framed = self._encoder.feed(event).removesuffix(b"\r\n\r\n")
        if framed:
            framed = framed.replace(b"\r\n\r\ndata: ", b",\r\n").replace(b"data: ", self._before, 1)
            self._before = b",\r\n"
        if isinstance(event, End | Failed):
            framed += b"[]" if self._before == b"[" else b"]"
        return framed

    def keepalive(self) -> bytes:
        """White space, which JSON allows between elements."""
        return b"\n"
