"""OpenAI's Chat Completions. `registry.upstream_codec` reads the answers of services with a dialect of it."""

from __future__ import annotations

from bm.protocols.codec import Codec
from bm.protocols.openai.errors import encode_error
from bm.protocols.openai_chat.decode import decode_request
from bm.protocols.openai_chat.encode import encode_request
from bm.protocols.openai_chat.stream_decoder import ChatStreamDecoder
from bm.protocols.openai_chat.stream_encoder import ChatStreamEncoder, encode_response

CODEC = Codec(decode_request, encode_request, ChatStreamDecoder, ChatStreamEncoder, encode_response, encode_error)
