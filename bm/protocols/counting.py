"""Token counts between protocols: what a counter is asked, and the number it returns."""

from __future__ import annotations

import msgspec

from bm.chat.parts import Json
from bm.names import ProtocolName
from bm.protocols.reading import json_of, object_of

_VERTEX_MEMBERS = frozenset({"contents", "systemInstruction", "tools", "generationConfig"})
"""Members that Vertex AI's CountTokensRequest has in common with a request to generate."""
_NOT_COUNTED = frozenset({"max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata"})
"""Members of a message request that Anthropic's counter refuses."""


def count_request(upstream: ProtocolName, body: Json, model: str, *, vertex: bool = False) -> Json:
    """The request to an upstream's counter, from the request to generate.

    The Gemini API's counter takes system prompt and tools only within a whole request, Vertex AI's only without one.
    """
    if vertex:
        return {name: value for name, value in body.items() if name in _VERTEX_MEMBERS}
    if upstream == "gemini":
        return {"generateContentRequest": {"model": f"models/{model}", **body}}
    if upstream == "anthropic":
        return {name: value for name, value in body.items() if name not in _NOT_COUNTED}
    return body


def vertex_count_request(body: bytes) -> bytes:
    """A Gemini client's count request in the form that Vertex AI takes."""
    inner = object_of(object_of(json_of(body)).get("generateContentRequest"))
    return msgspec.json.encode(count_request("gemini", inner, "", vertex=True)) if inner else body


def read_count(body: Json) -> int | None:
    """The number in a counter's response."""
    found = body.get("totalTokens", body.get("input_tokens"))
    return found if isinstance(found, int) else None


def count_response(client: ProtocolName, tokens: int) -> bytes:
    """The number in the form that a client of this protocol expects."""
    if client == "gemini":
        return msgspec.json.encode({"totalTokens": tokens})
    kind = {"object": "response.input_tokens"} if client == "openai-responses" else {}
    return msgspec.json.encode({**kind, "input_tokens": tokens})
