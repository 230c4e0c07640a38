"""One protocol's answers carried to the client of another, through the codecs and nothing else."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from bm import sse
from bm.chat.capabilities import Dialect
from bm.chat.events import Event
from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.names import ProtocolName
from bm.protocols.codec import Encoded, IdFactory
from bm.protocols.registry import CODECS, upstream_codec
from bm.protocols.tools import with_legal_names
from bm.providers.capabilities import capabilities_of
from bm.providers.catalog import CATALOG
from tests.support import grammar_anthropic, grammar_gemini, grammar_openai_chat, grammar_openai_responses

OPENAI, GROQ = CATALOG["openai"].dialect, CATALOG["groq"].dialect
CLIENTS: tuple[ProtocolName, ...] = ("anthropic", "openai-chat", "openai-responses", "gemini")


def ids() -> IdFactory:
    """Ids in order."""
    numbers = itertools.count(1)
    return IdFactory(lambda prefix: f"{prefix}{next(numbers):016d}", now=1_700_000_000)


def asks(protocol: ProtocolName, body: Json, *, stream: bool | None = None) -> ChatRequest:
    """A client's request, as JSON would carry it."""
    wire: Any = json.loads(msgspec.json.encode(body))
    model = "asked" if protocol == "gemini" else ""
    return CODECS[protocol].decode_request(wire, model=model, stream=stream)


def sent(request: ChatRequest, protocol: ProtocolName, model: str, dialect: Dialect = OPENAI) -> Encoded:
    """The request as it goes to `model`, with the tool names that its protocol takes."""
    named, _ = with_legal_names(request, protocol)
    capabilities = capabilities_of(protocol, dialect, model)
    encoded = upstream_codec(protocol, dialect).encode_request(named, capabilities, model=model)
    return msgspec.structs.replace(encoded, body=json.loads(msgspec.json.encode(encoded.body)))


def reported(protocol: ProtocolName, chunks: Sequence[Json], dialect: Dialect = OPENAI) -> list[Event]:
    """The events of an upstream's stream."""
    decoder = upstream_codec(protocol, dialect).stream_decoder(ids())
    events: list[Event] = []
    for chunk in chunks:
        events += decoder.feed(sse.Event(data=msgspec.json.encode(chunk), name=str(chunk.get("type", ""))))
    return [*events, *decoder.close()]


def streamed(request: ChatRequest, events: Sequence[Event]) -> bytes:
    """What the client that sent `request` reads of an answer."""
    encoder = CODECS[request.protocol].stream_encoder(request, ids(), model="shown")
    return b"".join(encoder.feed(event) for event in events)


def whole(request: ChatRequest, events: Sequence[Event]) -> Json:
    """The answer as one document."""
    body: Json = CODECS[request.protocol].encode_response(events, request, ids(), model="shown")
    decoded: Json = json.loads(msgspec.json.encode(body))
    return decoded


def check(request: ChatRequest, stream: bytes, *, complete: bool) -> None:
    """Assert that a stream is what its protocol's clients can read."""
    match request.protocol:
        case "anthropic":
            grammar_anthropic.check(stream)
        case "openai-chat":
            grammar_openai_chat.check_stream(stream, usage=request.stream_usage)
        case "openai-responses":
            grammar_openai_responses.check(stream)
        case "gemini":
            grammar_gemini.check(stream, complete=complete)


HI: dict[ProtocolName, Json] = {
    "anthropic": {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]},
    "openai-chat": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    "openai-responses": {"model": "m", "input": "Hi"},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}
"""The least that each protocol's client can say."""


def hello(protocol: ProtocolName, **members: Any) -> ChatRequest:
    """`Hi` with further members of its body."""
    return asks(protocol, {**HI[protocol], **members})


def continued(protocol: ProtocolName, body: Json, answer: Json, result: str = "ok") -> Json:
    """The client's next request: what it asked, the answer as it came, and a result for each call."""
    match protocol:
        case "anthropic":
            calls = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
            results = [{"type": "tool_result", "tool_use_id": call, "content": result} for call in calls]
            said = {"role": "assistant", "content": answer["content"]}
            return {**body, "messages": [*body["messages"], said, {"role": "user", "content": results or "go on"}]}
        case "openai-chat":
            message = answer["choices"][0]["message"]
            calls = [call["id"] for call in message.get("tool_calls", ())]
            tools: list[Json] = [{"role": "tool", "tool_call_id": call, "content": result} for call in calls]
            after = tools or [{"role": "user", "content": "go on"}]
            return {**body, "messages": [*body["messages"], message, *after]}
        case "openai-responses":
            given = body["input"]
            items = [{"role": "user", "content": given}] if isinstance(given, str) else given
            ids = [item["call_id"] for item in answer["output"] if item["type"] == "function_call"]
            outputs: list[Json] = [{"type": "function_call_output", "call_id": each, "output": result} for each in ids]
            return {**body, "input": [*items, *answer["output"], *(outputs or [{"role": "user", "content": "go on"}])]}
        case _:
            content = answer["candidates"][0]["content"]
            named = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
            back: list[Json] = [
                {"functionResponse": {"id": call.get("id"), "name": call["name"], "response": {"output": result}}}
                for call in named
            ]
            parts: list[Json] = back or [{"text": "go on"}]
            user = {"role": "user", "parts": parts}
            return {**body, "contents": [*body["contents"], content, user]}
