"""The codec of each protocol."""

from __future__ import annotations

from bm.names import ProtocolName
from bm.protocols.anthropic.codec import CODEC as ANTHROPIC
from bm.protocols.codec import Codec
from bm.protocols.gemini.codec import CODEC as GEMINI
from bm.protocols.openai_chat.codec import CODEC as OPENAI_CHAT
from bm.protocols.openai_responses.codec import CODEC as OPENAI_RESPONSES

CODECS: dict[ProtocolName, Codec] = {
    "anthropic": ANTHROPIC,
    "openai-chat": OPENAI_CHAT,
    "openai-responses": OPENAI_RESPONSES,
    "gemini": GEMINI,
}
