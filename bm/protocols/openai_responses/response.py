"""Whole answers: the same objects that end a stream."""

from __future__ import annotations

from collections.abc import Sequence

from bm.chat.events import Event
from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.protocols.codec import IdFactory
from bm.protocols.openai_responses.stream_decoder import ResponsesStreamDecoder
from bm.protocols.openai_responses.stream_encoder import ResponsesStreamEncoder


def decode_response(body: Json) -> tuple[Event, ...]:
    """Read an upstream's answer as events, ending in End or Failed."""
    return tuple(ResponsesStreamDecoder().whole(body))


def encode_response(events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
    """Write the answer that the events tell, which end in End."""
    encoder = ResponsesStreamEncoder(request, ids, model=model)
    for event in events:
        encoder.feed(event)
    return encoder.response
