"""Gemini's generateContent as a codec."""

from __future__ import annotations

from collections.abc import Sequence

from bm.chat.capabilities import Capabilities
from bm.chat.events import Event
from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.errors import Failure
from bm.protocols.codec import Codec, Encoded, IdFactory
from bm.protocols.gemini.decode import decode_request
from bm.protocols.gemini.encode import encode_request
from bm.protocols.gemini.errors import encode_error
from bm.protocols.gemini.stream_decoder import GeminiStreamDecoder
from bm.protocols.gemini.stream_encoder import GeminiStreamEncoder, encode_response


class GeminiCodec:
    """Between Gemini's wire and the canonical form."""

    def decode_request(self, body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
        """Read a client's request."""
        return decode_request(body, model=model, stream=stream)

    def encode_request(self, request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
        """Write a request for an upstream."""
        return encode_request(request, capabilities)

    def stream_decoder(self, ids: IdFactory) -> GeminiStreamDecoder:
        """A decoder for an upstream's stream."""
        return GeminiStreamDecoder(ids)

    def stream_encoder(self, request: ChatRequest, ids: IdFactory, *, model: str) -> GeminiStreamEncoder:
        """An encoder for a client's stream."""
        return GeminiStreamEncoder(request, ids, model=model)

    def decode_response(self, body: Json, ids: IdFactory) -> tuple[Event, ...]:
        """Read an upstream's whole answer."""
        return tuple(GeminiStreamDecoder(ids).whole(body))

    def encode_response(self, events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
        """Write a whole answer for a client."""
        return encode_response(events, request, ids, model=model)

    def encode_error(self, failure: Failure, request_id: str) -> tuple[int, Json]:
        """Write an error for a client."""
        return encode_error(failure, request_id)


CODEC: Codec = GeminiCodec()
