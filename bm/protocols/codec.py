"""The interface of a codec."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from bm import sse
from bm.chat.builder import PartBuilder
from bm.chat.capabilities import Capabilities
from bm.chat.events import Event, Failed
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, Loss
from bm.errors import Failure
from bm.protocols.errors import TEXTS, error_in, in_band


class IdFactory(msgspec.Struct, frozen=True):
    """What a codec needs from outside to create ids: the time and a source of randomness.

    `new_id(prefix)` returns the prefix and at least 16 random characters of `[0-9A-Za-z]`. `now` is in Unix seconds.
    """

    new_id: Callable[[str], str]
    now: int = 0


class Encoded(msgspec.Struct, frozen=True):
    """An encoded request: the body, what was lost, and the headers that belong to this body."""

    body: Json
    losses: tuple[Loss, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


class StreamDecoder(Protocol):
    """Turns an upstream's stream into events; one decoder per stream."""

    @property
    def finished(self) -> bool:
        """Whether the upstream has said how the response finished: what is missing is at most the end of the stream."""

    @property
    def steady(self) -> bool:
        """Whether events that are alike but for a text that is a piece of an open part mean the same but for that text.

        Then not all of them need be read.
        """

    def feed(self, event: sse.Event) -> Sequence[Event]:
        """Return the events of one server-sent event. Unknown ones are skipped; garbage is a `Failed`."""

    def close(self) -> Sequence[Event]:
        """The stream has ended: close what is open. Without a proper end this yields a `Failed` of kind `truncated`."""

    def whole(self, body: Json) -> Sequence[Event]:
        """Read a whole answer as the events of its stream, ending in End or Failed."""


class WireDecoder(ABC):
    """What the decoders of all protocols share. `_parts` collects the events.

    Everything was said once the upstream has said how the response finished: nothing that follows makes it a failure.
    """

    def __init__(self, ids: IdFactory) -> None:
        self._parts = PartBuilder(ids.new_id)

    @property
    @abstractmethod
    def finished(self) -> bool: ...

    @abstractmethod
    def _complete(self) -> Sequence[Event]:
        """End a response that is complete."""

    def close(self) -> Sequence[Event]:
        cut = Failure(kind="truncated", message="the upstream's answer ended before its end")
        return () if self._parts.ended else self._broken(cut)

    def _malformed(self, message: str) -> Sequence[Event]:
        return self._broken(Failure(kind="malformed", message=message))

    def _broken(self, failure: Failure) -> Sequence[Event]:
        return self._complete() if self.finished else self._fail(failure)

    def _fail(self, failure: Failure) -> Sequence[Event]:
        return self._parts.fail(failure)


class StreamEncoder(Protocol):
    """Turns events into a client's stream; one encoder per stream."""

    def feed(self, event: Event) -> bytes:
        """Return the bytes to send for one event; `End` yields the protocol's end, `Failed` its in-stream error."""

    def keepalive(self) -> bytes:
        """Bytes without meaning that keep an idle connection open."""


class DecodeRequest(Protocol):
    """Read a client's request. `model` and `stream` are given where the protocol has them in the path.

    Raises:
        RequestError: the body is not a request of this protocol; the failure's `param` names the place.
    """

    def __call__(self, body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest: ...


class EncodeRequest(Protocol):
    """Write the request for `model` upstream.

    Raises:
        RequestError: the target cannot serve the request without changing its meaning.
    """

    def __call__(self, request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded: ...


class NewEncoder(Protocol):
    """An encoder for the stream of the client that sent `request`; `model` is the name the answer shows."""

    def __call__(self, request: ChatRequest, ids: IdFactory, *, model: str) -> StreamEncoder: ...


class EncodeResponse(Protocol):
    """Write a whole answer for the client. The events end in End."""

    def __call__(self, events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json: ...


class Codec(msgspec.Struct, frozen=True):
    """Between one wire protocol and the canonical form. Its functions hold no state and never change their arguments.

    `encode_error` returns the status and body for a client, given the failure and the request's id.
    """

    decode_request: DecodeRequest
    encode_request: EncodeRequest
    stream_decoder: Callable[[IdFactory], StreamDecoder]
    stream_encoder: NewEncoder
    encode_response: EncodeResponse
    encode_error: Callable[[Failure, str], tuple[int, Json]]

    def decode_response(self, body: Json, ids: IdFactory) -> tuple[Event, ...]:
        """Read an upstream's whole answer as events, ending in End or Failed.

        Some services report an error under status 200, and not as their protocol does.
        """
        events = tuple(self.stream_decoder(ids).whole(body))
        if body.keys() & {"error", *TEXTS} and _is_no_answer(events) and error_in(body) is not None:
            return (Failed(in_band(body)),)
        return events


def _is_no_answer(events: Sequence[Event]) -> bool:
    return isinstance(events[-1], Failed) and events[-1].failure.kind == "malformed"


def written(encoder: StreamEncoder, events: Iterable[Event]) -> list[Json]:
    """The JSON documents of the stream that `encoder` writes for `events`; a whole response is their fold."""
    stream = b"".join(map(encoder.feed, events))
    return [msgspec.json.decode(item.data) for item in sse.Parser().feed(stream) if item.data != b"[DONE]"]
