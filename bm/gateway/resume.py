"""Pass a stream through so that another target can finish it if the upstream breaks it off.

The client gets the upstream's own bytes, unknown fields and events included. Only when the stream breaks is what it was
decoded to replayed through an encoder, which then continues under the upstream's ids. It continues only if its own text
stands at the same place of the response as the upstream's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from bm import sse
from bm.chat.events import Event, PartDelta, PartStart, Ping, Start
from bm.chat.parts import Json
from bm.errors import Failure
from bm.gateway.continuation import Delivered
from bm.protocols.codec import IdFactory, StreamDecoder, StreamEncoder
from bm.protocols.framing import EventParser, length_of
from bm.protocols.openai_responses.stream_encoder import ResponsesStreamEncoder
from bm.protocols.passthrough import PassThrough
from bm.protocols.reading import json_of, object_of

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
_PLACE = ("id", "responseId", "index", "item_id", "output_index", "content_index")
"""The members of an event that say where a piece of text belongs."""


class Replay:
    """Brings an encoder to the place where a response stands."""

    def __init__(self, delivered: Delivered, make: MakeEncoder, ids: IdFactory, model: str) -> None:
        self._delivered, self._make, self._ids, self._model = delivered, make, ids, model
        self._raw: Json = {}

    def encoder(self) -> StreamEncoder | None:
        """An encoder that has written everything so far; None where its text is at another place."""
        delivered = self._delivered
        head = next((event for event, _ in delivered.steps if isinstance(event, Start)), Start())
        self._head_id, raw = head.id, object_of(json_of(delivered.steps[0][1])) if delivered.steps else {}
        created = raw.get("created") or object_of(raw.get("response")).get("created_at")
        now = created if isinstance(created, int) else self._ids.now
        encoder = self._make(IdFactory(self._adopted, now), self._model or head.model)
        for event, data in delivered.steps:
            self._raw = object_of(json_of(data)) if data else self._raw
            encoder.feed(event)
            if isinstance(event, PartStart) and (text := delivered.text_of(event.index)):
                written = encoder.feed(PartDelta(event.index, text))
                if event.index == delivered.index and not _same_place(self._raw, written):
                    return None
        if delivered.steps:
            # The client has the upstream's head; this encoder must not write its own later.
            encoder.keepalive()
        return encoder

    def _adopted(self, prefix: str) -> str:
        """The id that the upstream gave to what begins; a new one if it gave none."""
        if prefix in ("resp_", "chatcmpl-", ""):
            found: Any = self._head_id
        else:
            found = self._raw.get("item_id") or object_of(self._raw.get("item")).get("id")
        return found if isinstance(found, str) and found else self._ids.new_id(prefix)


class ResumablePassThrough(PassThrough):
    """Passes whole events through, and keeps what another target needs to finish the response.

    `encoder` writes keep-alives and errors. `delivered` tracks what the client has. `make` makes the encoder that
    continues; `model` is the name that replaces the upstream's, empty if it stays.

    The last events of a chunk are held back while they end a part, or are pings behind such events.
    """

    def __init__(
        self,
        parser: EventParser,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        delivered: Delivered,
        make: MakeEncoder,
        ids: IdFactory,
        *,
        model: str = "",
        rename: Callable[[bytes], bytes] | None = None,
        drop: Callable[[bytes], bytes] | None = None,
    ) -> None:
        super().__init__(parser, decoder, encoder, rename=rename, drop=drop)
        self._delivered = delivered
        self.watch.sink = delivered.sink
        self._replay = Replay(delivered, make, ids, model)
        self._replayed: StreamEncoder | None = None
        self._opened = False
        self._held = b""
        self._first_held: sse.Event | None = None
        self._held_from, self._held_to = 0, 0
        self._ends_text = False
        self._plain = self._unchanged

    @property
    def _holds(self) -> bool:
        return bool(self._held) or self._first_held is not None

    @property
    def resumable(self) -> bool:
        """Whether another target may finish the response, so that the client was not informed of the failure."""
        if not self._delivered.resumable:
            return False
        if not self._delivered.text:
            return not self._opened
        self._replayed = self._replayed or self._replay.encoder()
        return self._replayed is not None

    def continuing_encoder(self) -> StreamEncoder | None:
        """The encoder that continues the response."""
        encoder = self._replayed or self._replay.encoder()
        held, last = self._first_held, self._last
        number = object_of(json_of((held or last).data)).get("sequence_number")
        if isinstance(encoder, ResponsesStreamEncoder) and isinstance(number, int):
            encoder.continue_after(number - (held is not None))
        return encoder

    def _note(self, number: int, item: sse.Event, events: Sequence[Event]) -> None:
        if self.watch.failure is not None:
            self._delivered.retract(events)
            return
        for event in events:
            if type(event) is not PartDelta:
                self._delivered.through(event, item.data)
        self._opened |= item.name in _OPENING
        follows = self._first_held is not None and number == self._held_to
        if item.name in _CLOSING and not self._delivered.over:
            if not follows:
                self._release()
                self._first_held, self._held_from = item, number
            self._held_to = number + 1
            self._unchanged = False
            self._ends_text |= self._delivered.index is not None
        elif follows and events and all(isinstance(event, Ping) for event in events):
            self._held_to = number + 1
        else:
            self._release()

    def _release(self) -> None:
        """The client gets what was held back."""
        if self._ends_text:
            self._delivered.finish()
        self._first_held, self._ends_text = None, False

    def _ends_with(self, item: sse.Event) -> bool:
        resumes = self.watch.failure is not None and self.resumable
        passes = super()._ends_with(item)
        return passes and not resumes

    def _failed(self, failure: Failure) -> bytes:
        return b"" if self.resumable else super()._failed(failure)

    def _passed(self, whole: bytes, count: int) -> bytes:
        held, self._held = self._held, b""
        whole = held + whole
        broken = self.watch.failure is not None and self.resumable
        if self._first_held is not None and self._held_to == count and (broken or not self.ended):
            length = len(held) + length_of(whole[len(held) :], self._held_from) if self._held_from else 0
            whole, self._held = whole[:length], b"" if broken else whole[length:]
        else:
            self._release()
        self._held_from = self._held_to = 0
        self._unchanged = self._plain and not self._held
        return self._renamed(whole)


def _same_place(raw: Json, written: bytes) -> bool:
    """Whether text that an encoder has written belongs where an upstream's event says that it has put its own."""
    *_, last = sse.Event(b"{}"), *sse.Parser().feed(written)
    ours = object_of(json_of(last.data))
    return all(raw[name] == ours[name] for name in _PLACE if name in raw and name in ours)
