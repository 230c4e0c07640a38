"""What the tests of the Chat Completions codec share."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import msgspec

from bm import sse
from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.events import End, Event, Failed
from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.protocols.codec import Encoded, IdFactory
from bm.protocols.openai_chat.codec import CODEC
from bm.protocols.registry import upstream_codec
from tests.support.grammar_openai_chat import payloads

OPENAI = Capabilities(
    thinking="effort", levels=("minimal", "low", "medium", "high"), thinking_off="say", audio=True, system_turns=True
)
"""A model of OpenAI's that takes everything."""

COMPATIBLE = Capabilities(dialect=Dialect(name="compatible", max_tokens_field="max_tokens"))
"""A model behind a service about which nothing is known."""


def ids() -> IdFactory:
    """Ids in order: `call_0000000000000001` and so on."""
    numbers = itertools.count(1)
    return IdFactory(lambda prefix: f"{prefix}{next(numbers):016d}", now=1_700_000_000)


def client_request(**members: Any) -> ChatRequest:
    """What a client asked for: `Hi`, but for the members given."""
    return CODEC.decode_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **members})


def conversation(*messages: Json) -> ChatRequest:
    """A request with these messages."""
    return client_request(messages=list(messages))


def upstream(request: ChatRequest, capabilities: Capabilities = OPENAI) -> Encoded:
    """The request as it goes upstream."""
    return CODEC.encode_request(request, capabilities, model="up")


def sent(request: ChatRequest, capabilities: Capabilities = OPENAI) -> Json:
    """The body that goes upstream, as JSON would carry it."""
    body: Json = json.loads(msgspec.json.encode(upstream(request, capabilities).body))
    return body


def lost(request: ChatRequest, capabilities: Capabilities = OPENAI) -> list[str]:
    """The fields that did not make it upstream."""
    return [loss.field for loss in upstream(request, capabilities).losses]


def chunk(delta: Json | None = None, finish: str | None = None, *, choice: int = 0, **members: Any) -> str:
    """One chunk of an upstream's stream."""
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "up", **members}
    body.setdefault("choices", [{"index": choice, "delta": delta or {}, "finish_reason": finish}])
    return json.dumps(body)


def stream(*chunks: str, done: bool = True) -> bytes:
    """An upstream's stream."""
    texts = [*chunks, "[DONE]"] if done else chunks
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def decode(raw: bytes, dialect: Dialect | None = None, *, sizes: Iterable[int] = ()) -> list[Event]:
    """The events of a stream that arrives in pieces of these sizes, the rest at once."""
    parser = sse.Parser()
    decoder = upstream_codec("openai-chat", dialect or Dialect()).stream_decoder(ids())
    events: list[Event] = []
    position = 0
    for size in (*sizes, len(raw)):
        for event in parser.feed(raw[position : position + size]):
            events += decoder.feed(event)
        position += size
    for event in parser.close():
        events += decoder.feed(event)
    return [*events, *decoder.close()]


def read(body: Json, dialect: Dialect | None = None) -> tuple[Event, ...]:
    """The events of a whole answer."""
    return upstream_codec("openai-chat", dialect or Dialect()).decode_response(body, ids())


def answer(message: Json, finish: str | None = "stop", **members: Any) -> Json:
    """An upstream's whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "up", "choices": [choice], **members}


def encode(events: Iterable[Event], request: ChatRequest | None = None) -> bytes:
    """The stream a client gets."""
    encoder = CODEC.stream_encoder(request or client_request(), ids(), model="shown")
    return b"".join(encoder.feed(event) for event in events)


def shown(events: Iterable[Event], request: ChatRequest | None = None) -> list[Any]:
    """The chunks a client gets; `[DONE]` is a string."""
    return [text if text == "[DONE]" else json.loads(text) for text in payloads(encode(events, request))]


def deltas(events: Iterable[Event], request: ChatRequest | None = None) -> list[Json]:
    """The deltas a client gets, but for the opening role and the closing empty one."""
    choices = [choice for piece in shown(events, request) if piece != "[DONE]" for choice in piece.get("choices", ())]
    return [choice["delta"] for choice in choices if choice["delta"] and "role" not in choice["delta"]]


def failure_kind(events: Iterable[Event]) -> str:
    """The kind of failure that ends the events; empty when they end well."""
    last = list(events)[-1]
    assert isinstance(last, End | Failed)
    return last.failure.kind if isinstance(last, Failed) else ""
