"""What the tests of this folder share: fixed identities, shorthand for requests and streams."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bm import sse
from bm.chat.events import End, Event, Finish, PartDelta, PartEnd, PartStart, Start
from bm.chat.request import ChatRequest
from bm.chat.signature import Signature
from bm.protocols.codec import IdFactory
from bm.protocols.openai_responses.codec import CODEC

Json = dict[str, Any]
GEMINI = Signature("gemini", "c2ln", "gemini-3")
CLAUDE = Signature("anthropic", "EqQB", "claude")
STOP = (Finish("stop"), End())


def ids() -> IdFactory:
    """An id factory whose ids count up."""
    numbers = itertools.count()
    return IdFactory(new_id=lambda prefix: f"{prefix}{next(numbers):016d}", now=1_700_000_000)


def request(**members: Any) -> ChatRequest:
    """The canonical form of a request with these members."""
    return CODEC.decode_request({"model": "gpt-5", "input": "Hi", **members})


def wire(value: object) -> Any:
    """A body as it goes over the wire."""
    return json.loads(msgspec.json.encode(value))


def text_part(index: int, *pieces: str) -> list[Event]:
    """The events of a text part."""
    return [PartStart(index, "text"), *(PartDelta(index, piece) for piece in pieces), PartEnd(index)]


def call_part(index: int, name: str, *pieces: str, id: str = "call_1") -> list[Event]:
    """The events of a function call."""
    deltas = [PartDelta(index, piece) for piece in pieces]
    return [PartStart(index, "tool_call", id=id, name=name), *deltas, PartEnd(index)]


def answer(*parts: Sequence[Event]) -> list[Event]:
    """A complete answer of these parts."""
    return [Start(id="up_1", model="m"), *itertools.chain.from_iterable(parts), *STOP]


def encoded(events: Iterable[Event], asked: ChatRequest | None = None) -> bytes:
    """The stream that tells the events to the client that sent `asked`."""
    encoder = CODEC.stream_encoder(asked or request(), ids(), model="shown")
    return b"".join(encoder.feed(event) for event in events)


def decoded(raw: bytes, size: int = 0) -> list[Event]:
    """The events that a stream tells, when it arrives in chunks of `size` bytes."""
    parser, decoder = sse.Parser(), CODEC.stream_decoder(ids())
    chunks = [raw[at : at + size] for at in range(0, len(raw), size)] if size else [raw]
    events = [event for chunk in chunks for found in parser.feed(chunk) for event in decoder.feed(found)]
    return [*events, *(event for found in parser.close() for event in decoder.feed(found)), *decoder.close()]


def stream(*bodies: Json) -> bytes:
    """An upstream's stream of these events."""
    return b"".join(sse.encode(msgspec.json.encode(body), body["type"]) for body in bodies)


def reasoning(encrypted: str = "", text: str = "") -> Json:
    """A reasoning item."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": encrypted or None}
