"""Anthropic's Messages API."""

from __future__ import annotations

from bm.protocols.anthropic.decode import decode_request
from bm.protocols.anthropic.encode import encode_request
from bm.protocols.anthropic.errors import encode_error
from bm.protocols.anthropic.stream_decoder import AnthropicStreamDecoder
from bm.protocols.anthropic.stream_encoder import AnthropicStreamEncoder, encode_response
from bm.protocols.codec import Codec

CODEC = Codec(
    decode_request, encode_request, AnthropicStreamDecoder, AnthropicStreamEncoder, encode_response, encode_error
)
