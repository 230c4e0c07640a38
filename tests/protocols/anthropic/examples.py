"""Requests, models and streams that the tests of this folder share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bm import sse
from bm.chat.capabilities import Capabilities
from bm.chat.events import Event
from bm.chat.parts import Part, Text
from bm.chat.request import LEVELS, ChatRequest, Reasoning, Turn
from bm.protocols.anthropic.decode import decode_request
from bm.protocols.anthropic.encode import encode_request
from bm.protocols.anthropic.stream_decoder import AnthropicStreamDecoder
from bm.protocols.anthropic.stream_encoder import AnthropicStreamEncoder
from bm.protocols.codec import Encoded, IdFactory

IDS = IdFactory(new_id=lambda prefix: f"{prefix}0123456789abcdef")

SONNET_4_5 = Capabilities(
    family="claude",
    thinking="budget",
    budget=(1024, 63_999),
    thinking_off="omit",
    temperature_or_top_p=True,
    forced_tools="without_budget",
    max_output=64_000,
)
OPUS_4_8 = Capabilities(
    family="claude",
    thinking="adaptive",
    levels=LEVELS[2:],
    sampling=False,
    system_turns=True,
    prefill=False,
    max_output=128_000,
)
OPUS_5 = Capabilities(
    family="claude",
    thinking="adaptive",
    levels=LEVELS[2:],
    thinking_off="say",
    effort_off="high",
    sampling=False,
    system_turns=True,
    prefill=False,
)
FABLE_5 = Capabilities(
    family="claude",
    thinking="adaptive",
    levels=LEVELS[2:],
    thinking_off="never",
    sampling=False,
    forced_tools="never",
    prefill=False,
)
SONNET_5_5 = Capabilities(
    family="claude",
    thinking="adaptive",
    levels=LEVELS[2:],
    thinks=True,
    thinking_off="between_tools",
    effort_off="high",
    thinking_bound=True,
    forced_tools="never",
)
HAIKU_3 = Capabilities(family="claude", max_output=4096)

THINKS = Reasoning(level="auto", visible=True)


def user(*parts: Part | str) -> Turn:
    """A user turn."""
    return Turn("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Turn:
    """An assistant turn."""
    return Turn("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def system(*parts: Part | str) -> Turn:
    """An instruction in mid-conversation."""
    return Turn("system", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def chat(*turns: Turn, **members: Any) -> ChatRequest:
    """A request of an OpenAI client, unless `protocol` says otherwise."""
    return ChatRequest(**{"protocol": "openai-chat", "model": "m", "turns": turns or (user("Hi"),), **members})


def encoded(request: ChatRequest, capabilities: Capabilities = OPUS_4_8) -> Encoded:
    """The request on the wire."""
    return encode_request(request, capabilities, model="claude")


def lost(result: Encoded) -> list[str]:
    """The fields that could not be carried."""
    return [loss.field for loss in result.losses]


def body(*messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A client's body."""
    return {
        "model": "m",
        "max_tokens": 100,
        "messages": list(messages) or [{"role": "user", "content": "Hi"}],
    } | members


def decoded(*messages: dict[str, Any], **members: Any) -> ChatRequest:
    """A client's body, read."""
    return decode_request(body(*messages, **members))


def parts_of(*blocks: dict[str, Any], role: str = "assistant") -> tuple[Part, ...]:
    """The parts of one message's blocks."""
    return decoded({"role": role, "content": list(blocks)}).turns[0].parts


def stream(events: Iterable[Event], request: ChatRequest | None = None) -> bytes:
    """The events as a client's stream."""
    encoder = AnthropicStreamEncoder(request or chat(protocol="anthropic", reasoning=THINKS), IDS, model="claude")
    return b"".join(encoder.feed(event) for event in events)


def events_of(data: bytes, *, sizes: Sequence[int] = ()) -> list[Event]:
    """The events of an upstream's stream, fed in chunks of these sizes and then the rest."""
    parser, decoder = sse.Parser(), AnthropicStreamDecoder(IDS)
    events: list[Event] = []
    at = 0
    for size in (*sizes, len(data)):
        for found in parser.feed(data[at : at + size]):
            events += decoder.feed(found)
        at += size
    for found in parser.close():
        events += decoder.feed(found)
    return [*events, *decoder.close()]


def wire(*payloads: dict[str, Any]) -> bytes:
    """Payloads as an event stream."""
    return b"".join(sse.encode(json.dumps(payload).encode(), payload["type"]) for payload in payloads)
