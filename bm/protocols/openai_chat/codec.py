"""The codec of OpenAI Chat Completions and its dialects."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.events import Event
from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.errors import Failure
from bm.protocols.codec import Encoded, IdFactory
from bm.protocols.openai.errors import encode_error
from bm.protocols.openai_chat.decode import decode_request
from bm.protocols.openai_chat.encode import encode_request
from bm.protocols.openai_chat.stream_decoder import StreamDecoder
from bm.protocols.openai_chat.stream_encoder import StreamEncoder, encode_response


class OpenAIChatCodec(msgspec.Struct, frozen=True):
    """`bm.protocols.codec.Codec` for Chat Completions.

    `dialect` is how the upstream whose answers are read differs from OpenAI; requests carry theirs in the
    capabilities.
    """

    dialect: Dialect = Dialect()

    def speaking(self, dialect: Dialect) -> OpenAIChatCodec:
        """This codec for the answers of another upstream."""
        return OpenAIChatCodec(dialect)

    def decode_request(self, body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
        """Read a client's request.

        Raises:
            RequestError: the body is not a request; the failure's `param` names the place.
        """
        return decode_request(body, model=model, stream=stream)

    def encode_request(self, request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
        """Write the request for `model` upstream.

        Raises:
            RequestError: the target can not serve the request without changing its meaning.
        """
        return encode_request(request, capabilities, model=model)

    def stream_decoder(self, ids: IdFactory) -> StreamDecoder:
        """A decoder for an upstream's stream."""
        return StreamDecoder(ids, self.dialect)

    def stream_encoder(self, request: ChatRequest, ids: IdFactory, *, model: str) -> StreamEncoder:
        """An encoder for the stream of the client that sent `request`; `model` is the name the answer shows."""
        return StreamEncoder(request, ids, model=model)

    def decode_response(self, body: Json, ids: IdFactory) -> tuple[Event, ...]:
        """Read an upstream's whole answer as events, ending in End or Failed."""
        return tuple(StreamDecoder(ids, self.dialect).whole(body))

    def encode_response(self, events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
        """Write a whole answer for the client. The events end in End."""
        return encode_response(events, request, ids, model=model)

    def encode_error(self, failure: Failure, request_id: str) -> tuple[int, Json]:
        """The status and body by which a client is told of `failure`."""
        return encode_error(failure, request_id)


CODEC = OpenAIChatCodec()
