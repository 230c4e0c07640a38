"""Counting tokens with an upstream of another protocol than the client's."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.names import ProtocolName


def question(upstream: ProtocolName, body: Json, model: str, *, vertex: bool = False) -> Json:
    """What an upstream's counter is asked, from the body that it would generate from.

    The Gemini API's takes system prompt and tools only within a whole request, Vertex AI's only without one.
    """
    if vertex:
        return {name: value for name, value in body.items() if name in _VERTEX_COUNTED}
    if upstream == "gemini":
        return {"generateContentRequest": {"model": f"models/{model}", **body}}
    if upstream == "anthropic":
        return {name: value for name, value in body.items() if name not in _NOT_COUNTED}
    return body


def flattened(body: bytes) -> bytes:
    """A Gemini client's question in the form that Vertex AI takes."""
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
    inner = asked.get("generateContentRequest") if isinstance(asked, dict) else None
    if not isinstance(inner, dict):
        return body
    return msgspec.json.encode(question("gemini", inner, "", vertex=True))


_VERTEX_COUNTED = frozenset({"contents", "systemInstruction", "tools", "generationConfig"})
"""Members of Vertex AI's CountTokensRequest that a request to generate has too."""

_NOT_COUNTED = frozenset({"max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata"})
"""Members of a message request that Anthropic's counter refuses."""


def counted(body: Any) -> int | None:
    """The number in a counter's answer."""
    if not isinstance(body, dict):
        return None
    found = body.get("totalTokens", body.get("input_tokens"))
    return found if isinstance(found, int) else None


def answer(client: ProtocolName, tokens: int) -> bytes:
    """The number in the client's shape."""
    match client:
        case "gemini":
            document: Json = {"totalTokens": tokens}
        case "openai-responses":
            document = {"object": "response.input_tokens", "input_tokens": tokens}
        case _:
            document = {"input_tokens": tokens}
    return msgspec.json.encode(document)
