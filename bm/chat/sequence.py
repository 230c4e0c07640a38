"""Write the events of a response to a wire on which the parts of a choice follow one another.

Upstreams may interleave parts. A part that begins while another of its choice is open waits until that one has ended.
An encoder says only how a part opens, continues and closes on its wire.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from bm.chat import events
from bm.chat.parts import Citation
from bm.chat.signature import Signature
from bm.errors import Failure


class PartWriter:
    """Writes one part that has begun; this one nothing, for a part that the client is not shown.

    The methods return the bytes to send. `signature` is the part's, as far as it has come.
    """

    def __init__(self, signature: Signature | None = None) -> None:
        self.signature = signature

    def text(self, text: str) -> bytes:
        """A further piece of the part."""
        return b""

    def sign(self, signature: Signature) -> bytes:
        """The part's signature has come."""
        self.signature = signature
        return b""

    def cite(self, citation: Citation) -> bytes:
        """The part cites something."""
        return b""

    def end(self) -> bytes:
        """The part is complete."""
        return b""


class HeldWriter(PartWriter):
    """Holds the pieces of a part that is written at its end, or not at all."""

    def __init__(self, signature: Signature | None = None) -> None:
        super().__init__(signature)
        self.pieces: list[str] = []

    def text(self, text: str) -> bytes:
        self.pieces.append(text)
        return b""


_Begin = events.PartStart | events.PartWhole
_Within = events.PartDelta | events.PartSignature | events.PartAnnotation | events.PartEnd


class PartSequencer(ABC):
    """The part of a stream encoder that all wires share. One encoder a stream.

    `usage` and `finishes` (by choice) are what the upstream reported last. Nothing is written once `ended`.
    """

    several_choices = False
    """Whether the wire has room for more than the first choice."""

    def __init__(self) -> None:
        self.usage: events.Usage | None = None
        self.finishes: dict[int, events.Finish] = {}
        self.ended = False
        self._open: dict[int, PartWriter] = {}
        self._current: dict[int, int] = {}
        self._waiting: dict[int, tuple[_Begin, list[_Within]]] = {}

    def start(self, start: events.Start) -> bytes:
        """The response begins."""
        return self.head(0)

    def head(self, choice: int) -> bytes:
        """What comes before anything else of a choice; empty when it was written, or where there is no such thing."""
        return b""

    @abstractmethod
    def open_part(self, start: events.PartStart) -> tuple[bytes, PartWriter]:
        """Begin a part whose turn has come: the bytes to send, and the writer of the rest."""

    @abstractmethod
    def whole_part(self, event: events.PartWhole) -> bytes:
        """Write a part that came at once."""

    @abstractmethod
    def end(self) -> bytes:
        """End a complete response whose parts are all written."""

    @abstractmethod
    def fail(self, failure: Failure) -> bytes:
        """End a response that will not be completed."""

    def keepalive(self) -> bytes:
        """Bytes that keep the connection alive and carry no content: a comment, where clients skip comments."""
        return b": keep-alive\n\n"

    def ping(self) -> bytes:
        """The upstream is alive."""
        return b""

    def feed(self, event: events.Event) -> bytes:
        """Return the bytes to send for one event."""
        if type(event) is events.PartDelta and (writer := self._open.get(event.index)) is not None:
            return writer.text(event.text)
        if self.ended:
            return b""
        match event:
            case events.PartStart() | events.PartWhole():
                return self._arrive(event) if self._shows(event.choice) else b""
            case events.PartDelta() | events.PartSignature() | events.PartAnnotation() | events.PartEnd():
                return self._within(event)
            case events.Start():
                return self.start(event)
            case events.UsageUpdate():
                self.usage = event.usage
                return b""
            case events.Finish():
                return self._finish(event) if self._shows(event.choice) else b""
            case events.Ping():
                return self.ping()
            case events.End():
                return self._end()
            case events.Failed():
                self.ended = True
                self._open.clear()
                return self.fail(event.failure)

    def _shows(self, choice: int) -> bool:
        return choice == 0 or self.several_choices

    def _finish(self, finish: events.Finish) -> bytes:
        self.finishes[finish.choice] = finish
        return self.head(finish.choice)

    def _end(self) -> bytes:
        """Close what is open, write what waits, and end the response."""
        out = []
        while self._current:
            out += [self._close(index) for index in [*self._current.values()]]
        self.ended = True
        return b"".join([*out, self.end()])

    def _arrive(self, start: _Begin) -> bytes:
        head = self.head(start.choice)
        if start.choice in self._current:
            self._waiting[start.index] = start, []
            return head
        return head + self._enter(start)

    def _enter(self, start: _Begin) -> bytes:
        if isinstance(start, events.PartWhole):
            return self.whole_part(start)
        out, self._open[start.index] = self.open_part(start)
        self._current[start.choice] = start.index
        return out

    def _within(self, event: _Within) -> bytes:
        writer = self._open.get(event.index)
        if writer is None:
            self._hold(event)
            return b""
        match event:
            case events.PartDelta():
                return writer.text(event.text)
            case events.PartSignature():
                return writer.sign(event.signature)
            case events.PartAnnotation():
                return writer.cite(event.citation)
            case events.PartEnd():
                return self._close(event.index)

    def _hold(self, event: _Within) -> None:
        """Keep an event of a part that waits, which knows its signature when it begins."""
        match event, self._waiting.get(event.index):
            case events.PartSignature(index=index), (events.PartStart() as start, held):
                self._waiting[index] = msgspec.structs.replace(start, signature=event.signature), held
            case _, (_, held):
                held.append(event)

    def _close(self, index: int) -> bytes:
        """End an open part, and write what waits for it, up to the first part that is not complete."""
        out = [self._end_part(index)]
        for start, held in [*self._waiting.values()]:
            if start.choice not in self._current:
                del self._waiting[start.index]
                out.append(self._enter(start))
                for each in held:
                    out.append(self._end_part(each.index) if isinstance(each, events.PartEnd) else self._within(each))
        return b"".join(out)

    def _end_part(self, index: int) -> bytes:
        self._current = {choice: current for choice, current in self._current.items() if current != index}
        return self._open.pop(index).end()
