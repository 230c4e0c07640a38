"""The codec of each protocol."""

from __future__ import annotations

from functools import partial

import msgspec

from bm.chat.capabilities import Dialect
from bm.names import ProtocolName
from bm.protocols.anthropic.codec import CODEC as ANTHROPIC
from bm.protocols.codec import Codec
from bm.protocols.gemini.codec import CODEC as GEMINI
from bm.protocols.openai_chat.codec import CODEC as OPENAI_CHAT
from bm.protocols.openai_chat.stream_decoder import ChatStreamDecoder
from bm.protocols.openai_responses.codec import CODEC as OPENAI_RESPONSES
from bm.protocols.openai_responses.stream_decoder import ResponsesStreamDecoder

CODECS: dict[ProtocolName, Codec] = {
    "anthropic": ANTHROPIC,
    "openai-chat": OPENAI_CHAT,
    "openai-responses": OPENAI_RESPONSES,
    "gemini": GEMINI,
}


def upstream_codec(protocol: ProtocolName, dialect: Dialect) -> Codec:
    """The codec for a service's answers. OpenAI-compatible services differ in how they write them."""
    if protocol == "openai-responses":
        decoder = partial(ResponsesStreamDecoder, service=dialect.name)
        return msgspec.structs.replace(OPENAI_RESPONSES, stream_decoder=decoder)
    if protocol != "openai-chat":
        return CODECS[protocol]
    return msgspec.structs.replace(OPENAI_CHAT, stream_decoder=partial(ChatStreamDecoder, dialect=dialect))
