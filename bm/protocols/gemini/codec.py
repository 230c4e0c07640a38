"""Gemini's generateContent."""

from __future__ import annotations

from bm.protocols.codec import Codec
from bm.protocols.gemini.decode import decode_request
from bm.protocols.gemini.encode import encode_request
from bm.protocols.gemini.errors import encode_error
from bm.protocols.gemini.stream_decoder import GeminiStreamDecoder
from bm.protocols.gemini.stream_encoder import GeminiStreamEncoder, encode_response

CODEC = Codec(decode_request, encode_request, GeminiStreamDecoder, GeminiStreamEncoder, encode_response, encode_error)
