"""Carry an upstream's stream to a client of another protocol: decoded, filtered, encoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bm.chat.events import Event, Failed, PartDelta
from bm.errors import Failure
from bm.protocols.answer_repair import AnswerRepair
from bm.protocols.codec import StreamDecoder, StreamEncoder
from bm.protocols.framing import EventParser, last_frame
from bm.protocols.passthrough import Watch
from bm.protocols.pieces import Pieces, Run
from bm.protocols.tools import SingleCall, restore

_NOTHING: Sequence[Event] = ()


class EventFilter:
    """Adapts events to the client: repairs the answer, restores its tool names and drops surplus calls."""

    def __init__(
        self, names: Mapping[str, str], repair: AnswerRepair | None = None, *, single_call: bool = False
    ) -> None:
        self.watch = Watch()
        self.watch.said = []
        self._names, self._repair = names, repair
        self._single = SingleCall() if single_call else None

    @property
    def resumable(self) -> bool:
        """Whether another target may finish a failed response; its failure is then not among the events."""
        return False

    def through(self, events: Iterable[Event]) -> list[Event]:
        """Return the events for the client."""
        if self._repair is not None:
            events = [repaired for event in events for repaired in self._repair.through(event)]
        kept = []
        for event in events:
            self.watch.see(event)
            if self._single is None or self._single.keeps(event):
                kept.append(event if type(event) is PartDelta or not self._names else restore(event, self._names))
        return kept


class Translation:
    """Decodes, filters and encodes a stream."""

    reports_errors = True

    def __init__(
        self, parser: EventParser, decoder: StreamDecoder, encoder: StreamEncoder, events: EventFilter
    ) -> None:
        self.watch = events.watch
        self._parser, self._decoder, self._encoder, self._filter = parser, decoder, encoder, events
        self._pieces = Pieces(parser, decoder)

    @property
    def ended(self) -> bool:
        return self.watch.failure is not None and not self.resumable

    @property
    def resumable(self) -> bool:
        return self._filter.resumable

    @property
    def finished(self) -> bool:
        return self.watch.complete or self._decoder.finished

    def feed(self, chunk: bytes) -> bytes:
        written = []
        for run, rest in self._pieces.split(chunk):
            if run is not None:
                written.append(self._written_run(run))
            else:
                written.append(self._read(rest))
        return b"".join(written)

    def pass_pieces(self, chunk: bytes) -> bytes | None:
        run = None if self.ended else self._pieces.only(chunk)
        return None if run is None else self._written_run(run)

    def _written_run(self, run: Run) -> bytes:
        self.watch.items += run.count
        return self._through([run.piece])

    def _read(self, chunk: bytes) -> bytes:
        items = self._parser.feed(chunk)
        self.watch.items += len(items)
        written, events = [], _NOTHING
        for item in items:
            events = self._decoder.feed(item)
            written.append(self._through(events))
        if self.watch.failure is None:
            self._pieces.learn(last_frame(chunk), events)
        return b"".join(written)

    def close(self) -> bytes:
        rest = [self._read(begun)] if (begun := self._pieces.rest()) else []
        rest += [self._through(self._decoder.feed(item)) for item in self._parser.close()]
        rest.append(self._through(self._decoder.close()))
        return b"".join(rest)

    def _through(self, events: Iterable[Event]) -> bytes:
        return b"".join([self._encoder.feed(event) for event in self._filter.through(events)])

    def abort(self, failure: Failure) -> bytes:
        self.watch.failure = failure
        return self._encoder.feed(Failed(failure))

    def keepalive(self) -> bytes:
        return self._encoder.keepalive()
