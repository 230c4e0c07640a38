"""OpenAI's Responses API."""

from __future__ import annotations

from bm.protocols.codec import Codec
from bm.protocols.openai.errors import encode_error
from bm.protocols.openai_responses.decode import decode_request
from bm.protocols.openai_responses.encode import encode_request
from bm.protocols.openai_responses.stream_decoder import ResponsesStreamDecoder
from bm.protocols.openai_responses.stream_encoder import ResponsesStreamEncoder, encode_response

CODEC = Codec(
    decode_request, encode_request, ResponsesStreamDecoder, ResponsesStreamEncoder, encode_response, encode_error
)
