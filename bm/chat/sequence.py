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


class PartWriter(ABC):
    """Writes one part that has begun. The methods return the bytes to send.

    `signature` is the part's, as far as it has come.
    """

    def __init__(self, signature: Signature | None = None) -> None:
        self.signature = signature

    @abstractmethod
    def text(self, text: str) -> bytes:
        """A further piece of the part."""

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


class _Waiting:
    """A part that began while another was open: its events, until its turn comes."""

    def __init__(self, start: events.PartStart | events.PartWhole) -> None:
        self.start = start
        self.events: list[events.PartDelta | events.PartAnnotation] = []
        self.ended = isinstance(start, events.PartWhole)


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
        self._waiting: dict[int, _Waiting] = {}

    @abstractmethod
    def start(self, start: events.Start) -> bytes:
        """The response begins."""

    @abstractmethod
    def head(self, choice: int) -> bytes:
        """What comes before anything else of a choice; empty when it was written."""

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

    @abstractmethod
    def keepalive(self) -> bytes:
        """Bytes that keep the connection alive and carry no content."""

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

    def _arrive(self, start: events.PartStart | events.PartWhole) -> bytes:
        head = self.head(start.choice)
        if start.choice in self._current:
            self._waiting[start.index] = _Waiting(start)
            return head
        return head + self._enter(start)

    def _enter(self, start: events.PartStart | events.PartWhole) -> bytes:
        if isinstance(start, events.PartWhole):
            return self.whole_part(start)
        out, self._open[start.index] = self.open_part(start)
        self._current[start.choice] = start.index
        return out

    def _within(self, event: events.PartDelta | events.PartSignature | events.PartAnnotation | events.PartEnd) -> bytes:
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

    def _hold(self, event: events.PartDelta | events.PartSignature | events.PartAnnotation | events.PartEnd) -> None:
        waiting = self._waiting.get(event.index)
        match event, waiting:
            case _, None:
                pass
            case events.PartSignature(), _Waiting(start=events.PartStart() as start):
                waiting.start = msgspec.structs.replace(start, signature=event.signature)
            case events.PartEnd(), _:
                waiting.ended = True
            case events.PartDelta() | events.PartAnnotation(), _:
                waiting.events.append(event)

    def _close(self, index: int) -> bytes:
        """End an open part, and write what waits for it, up to the first part that is not complete."""
        out = [self._open.pop(index).end()]
        choice = next(choice for choice, current in self._current.items() if current == index)
        del self._current[choice]
        for waiting in [each for each in self._waiting.values() if each.start.choice == choice]:
            del self._waiting[waiting.start.index]
            out += [self._enter(waiting.start), *(self._within(event) for event in waiting.events)]
            if waiting.ended and waiting.start.index in self._open:
                out.append(self._open.pop(waiting.start.index).end())
                del self._current[choice]
            elif choice in self._current:
                break
        return b"".join(out)
