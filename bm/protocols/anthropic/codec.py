"""The Anthropic Messages protocol."""

from __future__ import annotations

from collections.abc import Sequence

from bm.chat.capabilities import Capabilities
from bm.chat.events import Event
from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.errors import Failure
from bm.protocols.anthropic.decode import decode_request
from bm.protocols.anthropic.encode import encode_request
from bm.protocols.anthropic.errors import encode_error
from bm.protocols.anthropic.stream_decoder import AnthropicStreamDecoder
from bm.protocols.anthropic.stream_encoder import AnthropicStreamEncoder, encode_response
from bm.protocols.codec import Codec, Encoded, IdFactory


class AnthropicCodec:
    """Both directions of the Messages API, as `bm.protocols.codec.Codec` describes them."""

    def decode_request(self, body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
        """Read a client's request to `/v1/messages` or `/v1/messages/count_tokens`."""
        return decode_request(body, model=model, stream=stream)

    def encode_request(self, request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
        """Write a request for Claude, with its API version as a header."""
        return encode_request(request, capabilities, model=model)

    def stream_decoder(self, ids: IdFactory) -> AnthropicStreamDecoder:
        """A decoder for Claude's stream, which brings its own ids."""
        return AnthropicStreamDecoder(ids)

    def stream_encoder(self, request: ChatRequest, ids: IdFactory, *, model: str) -> AnthropicStreamEncoder:
        """An encoder for a Messages client's stream."""
        return AnthropicStreamEncoder(request, ids, model=model)

    def decode_response(self, body: Json, ids: IdFactory) -> tuple[Event, ...]:
        """Read Claude's whole answer."""
        return tuple(AnthropicStreamDecoder(ids).whole(body))

    def encode_response(self, events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
        """Write a whole answer for a Messages client."""
        return encode_response(events, request, ids, model=model)

    def encode_error(self, failure: Failure, request_id: str) -> tuple[int, Json]:
        """Tell a Messages client of a failure."""
        return encode_error(failure, request_id)


CODEC: Codec = AnthropicCodec()
