"""Pass a stream through so that another target can finish it if the upstream breaks it off.

The client gets the upstream's own bytes, unknown fields and events included. The decoded events are kept, and only when
the stream breaks are they replayed through an encoder, which then continues under the upstream's ids. It continues only
if its own last piece of text stands at the same place of the response as the upstream's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from bm import sse
from bm.chat.events import Event, PartDelta, PartStart, Ping, Start
from bm.chat.parts import Json
from bm.errors import Failure
from bm.protocols.codec import IdFactory, StreamDecoder, StreamEncoder
from bm.protocols.openai_responses.stream_encoder import ResponsesStreamEncoder
from bm.protocols.passthrough import BLANK_LINE, EventParser, PassThrough, is_garbage
from bm.protocols.reading import json_of, object_of
from bm.protocols.translate import EventFilter

MakeEncoder: TypeAlias = Callable[[IdFactory, str], StreamEncoder]
"""Makes the encoder that continues, given its source of ids and the model's name that the client sees."""

_CLOSING = frozenset(
    {
        "content_block_stop",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    }
)
"""Events that end a text. They are held back until something follows: a text that the client saw end stays ended."""
_OPENING = frozenset({"content_block_start", "response.output_item.added", "response.content_part.added"})
_LAST_WORDS = (b"event: message_stop", b"data: [DONE]")
_PLACE = ("id", "responseId", "index", "item_id", "output_index", "content_index")
"""The members of an event with a piece of text that say where the piece belongs."""


class Replay:
    """Keeps the events of a response, to bring an encoder to the place where the response stands."""

    def __init__(self, make: MakeEncoder, ids: IdFactory, model: str) -> None:
        self._make, self._ids, self._model = make, ids, model
        self._kept: list[tuple[bytes, list[Event]]] = []
        self._head = Start()
        self._piece = b""
        self._raw: Json = {}

    def keep(self, data: bytes, events: list[Event]) -> None:
        """Keep the events that one event of the upstream, with this JSON text, was decoded to."""
        if not events:
            return
        if isinstance(events[-1], PartDelta) and data:
            self._piece = data
        if isinstance(events[0], Start):
            self._head = events[0]
        # The JSON is needed for the ids of what begins; pieces of what has begun are most of a stream.
        self._kept.append((data if any(not isinstance(event, PartDelta | Ping) for event in events) else b"", events))

    def encoder(self) -> tuple[StreamEncoder, bool]:
        """An encoder that has written everything so far, and whether its last piece stands where the upstream's does.

        The latter is true as well when there is no piece.
        """
        encoder = self._make(IdFactory(self._adopted, self._created()), self._model or self._head.model)
        written = b""
        for data, events in self._kept:
            self._raw = object_of(json_of(data)) if data else self._raw
            out = b"".join([encoder.feed(event) for event in events])
            written = out if isinstance(events[-1], PartDelta) else written
        if self._kept:
            # The client has the upstream's head; this encoder must not write its own later.
            encoder.keepalive()
        return encoder, not self._piece or _place(self._piece) == _place(written)

    @property
    def has_text(self) -> bool:
        """Whether a piece of text came."""
        return bool(self._piece)

    def _created(self) -> int:
        raw = object_of(json_of(self._kept[0][0])) if self._kept else {}
        created = raw.get("created") or object_of(raw.get("response")).get("created_at")
        return created if isinstance(created, int) else self._ids.now

    def _adopted(self, prefix: str) -> str:
        """The id that the upstream gave to what begins; a new one if it gave none."""
        if prefix in ("resp_", "chatcmpl-", ""):
            found: Any = self._head.id
        else:
            found = self._raw.get("item_id") or object_of(self._raw.get("item")).get("id")
        return found if isinstance(found, str) and found else self._ids.new_id(prefix)


class ResumablePassThrough(PassThrough):
    """Passes whole events through one by one, and keeps what another target needs to finish the response.

    `encoder` writes keep-alives and errors. `events` tracks what the client has, and whether another target may finish.
    `make` makes the encoder that continues; `model` is the name that replaces the upstream's, empty if it stays.
    """

    def __init__(
        self,
        parser: EventParser,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        events: EventFilter,
        make: MakeEncoder,
        ids: IdFactory,
        *,
        model: str = "",
        rename: Callable[[bytes], bytes] | None = None,
        drop: Callable[[bytes], bytes] | None = None,
    ) -> None:
        super().__init__(parser, decoder, encoder, rename=rename, drop=drop)
        self.watch = events.watch
        self._filter = events
        self._replay = Replay(make, ids, model)
        self._replayed: tuple[StreamEncoder, bool] | None = None
        self._behind = b""
        self._last = b""
        self._opened = self._text_ended = False

    @property
    def resumable(self) -> bool:
        """Whether another target may finish the response, so that the client was not informed of the failure."""
        if self._text_ended or not self._filter.resumable:
            return False
        return self._continuing()[1] if self._replay.has_text else not self._opened

    def _continuing(self) -> tuple[StreamEncoder, bool]:
        self._replayed = self._replayed or self._replay.encoder()
        return self._replayed

    def continuing_encoder(self) -> StreamEncoder:
        """The encoder that continues the response."""
        encoder, _ = self._continuing()
        number = object_of(json_of(self._last)).get("sequence_number")
        if isinstance(encoder, ResponsesStreamEncoder) and isinstance(number, int):
            encoder.continue_after(number)
        return encoder

    def feed(self, chunk: bytes) -> bytes:
        if self.ended:
            return b""
        whole = self._buffer.feed(chunk)
        if self._buffer.size > sse.MAX_EVENT_BYTES:
            raise sse.EventTooLarge(f"an event of more than {sse.MAX_EVENT_BYTES} bytes")
        return b"".join([self._frame(frame) for frame in _frames(whole)])

    def close(self) -> bytes:
        rest = self._buffer.take()
        failed_before = self.watch.failure is not None
        if self.ended or (failed_before and self.resumable):
            return b""
        self._take([*self._parser.feed(rest), *self._parser.close()])
        complete_before = self.watch.complete
        events = self._filter.through(self._decoder.close())
        failure = self.watch.failure
        if failure is not None and not failed_before:
            return b"" if self.resumable else self._error(failure)
        last = self._last_words(events) if self.watch.complete and not complete_before else b""
        return self._renamed(self._behind + rest) + last

    def _last_words(self, events: Sequence[Event]) -> bytes:
        """The end marker that the upstream left out after it sent everything else."""
        encoder, _ = self._continuing()
        *_, last = _frames(b"".join([encoder.feed(event) for event in events]))
        return last if last.startswith(_LAST_WORDS) else b""

    def abort(self, failure: Failure) -> bytes:
        self._behind = b""
        return super().abort(failure)

    def _frame(self, frame: bytes) -> bytes:
        """What the client gets for one event of the upstream's."""
        failed_before = self.watch.failure is not None
        if self.ended or (failed_before and self.resumable):
            return b""
        items = self._parser.feed(frame)
        events = self._take(items)
        failure = self.watch.failure
        if failure is not None and not failed_before:
            if self.resumable:
                return b""
            if any(is_garbage(item.data) for item in items):
                return self._error(failure)
        waits = bool(self._behind) and all(isinstance(event, Ping) for event in events)
        if waits or any(item.name in _CLOSING for item in items):
            self._behind += frame
            return b""
        begins = any(isinstance(event, PartStart) for event in events)
        self._text_ended = not begins and (self._text_ended or bool(self._behind))
        self._opened |= any(item.name in _OPENING for item in items)
        self._last = items[-1].data if items else self._last
        out, self._behind = self._behind + frame, b""
        return self._renamed(out)

    def _take(self, items: Sequence[sse.Event]) -> list[Event]:
        """Decode events, and keep what is for the client. Returns all of them."""
        taken: list[Event] = []
        for item in items:
            events = self._decoder.feed(item)
            taken += events
            self._replay.keep(item.data, self._filter.through(events))
        return taken


def _frames(data: bytes) -> Iterator[bytes]:
    """Split whole events."""
    at = 0
    for found in BLANK_LINE.finditer(data):
        yield data[at : found.end()]
        at = found.end()
    if at < len(data):
        yield data[at:]


def _place(piece: bytes) -> dict[str, Any]:
    """Where a piece of text belongs. It is one event's data, or the last of a stream of events."""
    parser = sse.Parser()
    events = [*parser.feed(piece), *parser.close()]
    raw = object_of(json_of(events[-1].data if events else piece))
    return {name: raw[name] for name in _PLACE if name in raw}
