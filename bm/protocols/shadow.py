"""An answer that passes through while an encoder keeps in step with it, to go on where the upstream may break it off.

The client has the upstream's own bytes, unknown fields and events among them. The encoder is fed the same events, and
what it writes is thrown away until the answer is cut: from there it writes, under the upstream's ids. It only does so
where its own last piece of text stood at the same place of the answer as the upstream's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from bm import sse
from bm.chat.events import Event, PartDelta, PartStart, Ping
from bm.chat.parts import Json
from bm.errors import Failure
from bm.protocols.codec import IdFactory, StreamDecoder, StreamEncoder
from bm.protocols.openai_responses.stream_encoder import ResponsesStreamEncoder
from bm.protocols.pipes import BLANK_LINES, Filter, PassThrough, boundary, is_garbage

Make: TypeAlias = Callable[[IdFactory, str], StreamEncoder]
"""Makes the encoder, given where its ids come from and the model's name."""

_CLOSING = frozenset(
    {
        "content_block_stop",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    }
)
"""Events that end a text. They wait for what follows: a text whose end the client has read cannot be gone on with."""
_OPENING = frozenset({"content_block_start", "response.output_item.added", "response.content_part.added"})
_LAST_WORDS = (b"event: message_stop", b"data: [DONE]")
_PLACE = ("id", "responseId", "index", "item_id", "output_index", "content_index")
"""What of a piece of text tells where it belongs."""


class Shadowed(PassThrough):
    """Bytes pass through, whole events at a time; `encoder` writes keep-alives and errors as in any such pipe.

    What the client has is kept account of by `events`, which also says whether another target may go on.
    """

    def __init__(
        self,
        parser: sse.Parser,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        events: Filter,
        make: Make,
        ids: IdFactory,
        *,
        model: str = "",
    ) -> None:
        super().__init__(parser, decoder, encoder, model=model)
        self.watch = events.watch
        self._filter, self._make, self._ids, self._name = events, make, ids, model
        self._shadow: StreamEncoder | None = None
        self._raw: Json = {}
        self._behind = b""
        self._last = b""
        self._piece: tuple[bytes, bytes] | None = None
        self._opened = self._ended = False

    @property
    def can_go_on(self) -> bool:
        """Whether the client knows nothing of a failure because another target may finish the answer."""
        if self._ended or not self._filter.can_go_on:
            return False
        return not self._opened if self._piece is None else _place(self._piece[0]) == _place(self._piece[1])

    def take_over(self) -> StreamEncoder:
        """The encoder that goes on with the answer."""
        encoder = self._shadow or self._make(self._ids, self._name)
        number = _json(self._last).get("sequence_number")
        if isinstance(encoder, ResponsesStreamEncoder) and isinstance(number, int):
            encoder.go_on_after(number)
        return encoder

    def feed(self, chunk: bytes) -> bytes:
        if self.over:
            return b""
        data = self._held + chunk
        end = boundary(data)
        self._held = data[end:]
        if len(self._held) > sse.MAX_EVENT_BYTES:
            raise sse.EventTooLarge(f"an event of more than {sse.MAX_EVENT_BYTES} bytes")
        return b"".join([self._frame(frame) for frame in _frames(data[:end])])

    def close(self) -> bytes:
        rest, self._held = self._held, b""
        failed_before = self.watch.failure is not None
        if self.over or (failed_before and self.can_go_on):
            return b""
        items = [*self._parser.feed(rest), *self._parser.close()]
        self._follow(items, self._events(items))
        complete = self.watch.complete
        written = self._follow((), self._decoder.close())
        failure = self.watch.failure
        if failure is not None and not failed_before:
            return b"" if self.can_go_on else self._error(failure)
        # An upstream that has said all but its last word: the encoder has it, after what the client has already.
        last = next(reversed(list(_frames(written))), b"") if self.watch.complete and not complete else b""
        return self._renamed(self._behind + rest) + (last if last.startswith(_LAST_WORDS) else b"")

    def abort(self, failure: Failure) -> bytes:
        self._behind = b""
        return super().abort(failure)

    def _frame(self, frame: bytes) -> bytes:
        """What the client gets for one event of the upstream's."""
        failed_before = self.watch.failure is not None
        if self.over or (failed_before and self.can_go_on):
            return b""
        items = self._parser.feed(frame)
        events = self._events(items)
        self._follow(items, events)
        failure = self.watch.failure
        if failure is not None and not failed_before:
            if self.can_go_on:
                return b""
            if any(is_garbage(item.data) for item in items):
                return self._error(failure)
        waits = bool(self._behind) and all(isinstance(event, Ping) for event in events)
        if waits or any(item.name in _CLOSING for item in items):
            self._behind += frame
            return b""
        begins = any(isinstance(event, PartStart) for event in events)
        self._ended = not begins and (self._ended or bool(self._behind))
        self._opened |= any(item.name in _OPENING for item in items)
        self._last = items[-1].data if items else self._last
        out, self._behind = self._behind + frame, b""
        return self._renamed(out)

    def _events(self, items: Sequence[sse.Event]) -> list[Event]:
        return [event for item in items for event in self._decoder.feed(item)]

    def _follow(self, items: Sequence[sse.Event], events: Sequence[Event]) -> bytes:
        """Keep the encoder in step. Returns what it writes."""
        kept = self._filter.through(events)
        if not kept:
            return b""
        if items and not all(isinstance(event, PartDelta | Ping) for event in kept):
            self._raw = _json(items[-1].data)
        shadow = self._shadow = self._shadow or self._make(self._adopting(), self._name or _model(self._raw))
        written = b"".join([shadow.feed(event) for event in kept])
        # Where an encoder's head waits for what follows it, it is written by now: the client has the upstream's.
        shadow.keepalive()
        if items and isinstance(kept[-1], PartDelta):
            self._piece = items[-1].data, written
        return written

    def _adopting(self) -> IdFactory:
        """Gives out the ids that the upstream has given, and makes up what it has not."""
        created = self._raw.get("created") or _within(self._raw, "response", "created_at")
        return IdFactory(self._adopted, created if isinstance(created, int) else self._ids.now)

    def _adopted(self, prefix: str) -> str:
        raw = self._raw
        if prefix in ("resp_", "chatcmpl-", ""):
            found = raw.get("id") or raw.get("responseId") or _within(raw, "response", "id")
        else:
            found = raw.get("item_id") or _within(raw, "item", "id")
        return found if isinstance(found, str) and found else self._ids.new_id(prefix)


def _frames(data: bytes) -> Iterator[bytes]:
    """Cut whole events apart."""
    at = 0
    while at < len(data):
        ends = [found + len(mark) for mark in BLANK_LINES if (found := data.find(mark, at)) >= 0]
        end = min(ends, default=len(data))
        yield data[at:end]
        at = end


def _json(data: bytes) -> Json:
    try:
        value: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def _within(raw: Json, *names: str) -> Any:
    value: Any = raw
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _model(raw: Json) -> str:
    """The model's name as the upstream shows it."""
    found = raw.get("model") or raw.get("modelVersion") or _within(raw, "response", "model")
    return found if isinstance(found, str) else ""


def _place(piece: bytes) -> dict[str, Any]:
    """Where a piece of text belongs. It is one event's data, or the last of a stream of events."""
    parser = sse.Parser()
    events = [*parser.feed(piece), *parser.close()]
    raw = _json(events[-1].data if events else piece)
    return {name: raw[name] for name in _PLACE if name in raw}
