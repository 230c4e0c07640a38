"""The Responses API as a codec: its pieces under the names that all codecs share."""

from __future__ import annotations

from collections.abc import Sequence

from bm.chat.capabilities import Capabilities
from bm.chat.events import Event
from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.errors import Failure
from bm.protocols.codec import Codec, Encoded, IdFactory, StreamDecoder, StreamEncoder
from bm.protocols.openai.errors import encode_error
from bm.protocols.openai_responses import decode, encode
from bm.protocols.openai_responses.stream_decoder import ResponsesStreamDecoder
from bm.protocols.openai_responses.stream_encoder import ResponsesStreamEncoder, encode_response


class ResponsesCodec:
    """`bm.protocols.codec.Codec` for OpenAI's Responses API."""

    def decode_request(self, body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
        return decode.decode_request(body, model=model, stream=stream)

    def encode_request(self, request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
        return encode.encode_request(request, capabilities, model=model)

    def stream_decoder(self, ids: IdFactory) -> StreamDecoder:
        return ResponsesStreamDecoder(ids)

    def stream_encoder(self, request: ChatRequest, ids: IdFactory, *, model: str) -> StreamEncoder:
        return ResponsesStreamEncoder(request, ids, model=model)

    def decode_response(self, body: Json, ids: IdFactory) -> tuple[Event, ...]:
        return tuple(ResponsesStreamDecoder(ids).whole(body))

    def encode_response(self, events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
        return encode_response(events, request, ids, model=model)

    def encode_error(self, failure: Failure, request_id: str) -> tuple[int, Json]:
        return encode_error(failure, request_id)


CODEC: Codec = ResponsesCodec()
