"""Tokens. Gemini's prompt count includes what was cached; its candidates count leaves out thinking, mostly."""

from __future__ import annotations

from bm.chat.events import Usage
from bm.chat.parts import Json
from bm.protocols.gemini.casing import member


def decode_usage(metadata: Json) -> Usage:
    """The usage in a `usageMetadata`.

    Some models count thinking into `candidatesTokenCount`; the total gives it away.
    """
    prompt = _count(metadata, "promptTokenCount")
    cached = _count(metadata, "cachedContentTokenCount")
    answer = _count(metadata, "candidatesTokenCount")
    thinking = _count(metadata, "thoughtsTokenCount")
    tools = _count(metadata, "toolUsePromptTokenCount")
    total = _count(metadata, "totalTokenCount")
    inclusive = thinking <= answer and total == prompt + answer + tools
    return Usage(
        input=max(0, prompt + tools - cached),
        cache_read=cached,
        output=answer if inclusive else answer + thinking,
        thinking=thinking,
    )


def _count(metadata: Json, name: str) -> int:
    value = member(metadata, name)
    return value if isinstance(value, int) else 0


def encode_usage(usage: Usage) -> Json:
    """The `usageMetadata` that says the same."""
    metadata = {
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": max(0, usage.output - usage.thinking),
        "totalTokenCount": usage.prompt + usage.output,
    }
    if usage.cache_read:
        metadata["cachedContentTokenCount"] = usage.cache_read
    if usage.thinking:
        metadata["thoughtsTokenCount"] = usage.thinking
    return metadata
