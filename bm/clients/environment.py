"""The environment variables that lead the common tools and SDKs to bm."""

from __future__ import annotations

from typing import Final, NamedTuple


class Variable(NamedTuple):
    """One variable; `{origin}` and `{key}` in its value are bm's address and local key. `readers` says who reads it."""

    name: str
    value: str
    readers: str


VARIABLES: Final[tuple[Variable, ...]] = (
    Variable("ANTHROPIC_BASE_URL", "{origin}", "Claude Code, Anthropic SDKs"),
    Variable("ANTHROPIC_API_BASE", "{origin}", "aider, litellm"),
    Variable("ANTHROPIC_AUTH_TOKEN", "{key}", "Claude Code, Anthropic SDKs"),
    Variable("OPENAI_BASE_URL", "{origin}/v1", "OpenAI SDKs and what is built on them"),
    Variable("OPENAI_API_BASE", "{origin}/v1", "aider, litellm"),
    Variable("OPENAI_API_KEY", "{key}", "OpenAI SDKs, aider"),
    Variable("GOOGLE_GEMINI_BASE_URL", "{origin}", "Gemini CLI, Google GenAI SDKs"),
    Variable("GEMINI_API_BASE", "{origin}", "aider, litellm"),
    Variable("GEMINI_API_KEY", "{key}", "Gemini CLI, Google GenAI SDKs, aider"),
    # The SDKs of Groq put /openai/v1 behind it themselves.
    Variable("GROQ_BASE_URL", "{origin}", "Groq SDKs"),
    Variable("GROQ_API_KEY", "{key}", "Groq SDKs"),
)

UNSET: Final[tuple[str, ...]] = ("ANTHROPIC_API_KEY", "GOOGLE_API_KEY")
"""Variables that would win over those above: Claude Code refuses to choose between a key and a token, and Google's
SDKs prefer GOOGLE_API_KEY. A tool that asks for ANTHROPIC_API_KEY takes the value of ANTHROPIC_AUTH_TOKEN."""


def values(origin: str, key: str) -> dict[str, str]:
    """What to set, by name, for a bm at `origin` (no slash at the end) with the local key `key`."""
    return {row.name: row.value.format(origin=origin, key=key) for row in VARIABLES}
