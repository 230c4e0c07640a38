"""What nobody misses of a request that goes to another protocol: left out, it changes no answer.

Everything else that a target cannot take is a `Loss`. One table for all targets, by the protocol of the client; a
target that has a member of the same meaning writes it before it looks here.
"""

from __future__ import annotations

from collections.abc import Mapping

from bm.chat.request import ChatRequest, Extra, Tool
from bm.names import ProtocolName

_LABELS = "labels for the vendor's own console"
_CACHE = "every vendor finds cached prompts in its own way"
_TIER = "a price class of one vendor must never become one of another's"
_STORE = "whether the vendor keeps the answer; bm has its own store"
_STREAM = "how the client's stream looks is bm's matter"
_IDENTITY = "carried as the user"

MEMBERS: Mapping[ProtocolName, Mapping[str, str]] = {
    "anthropic": {
        "metadata": _LABELS,
        "betas": "opens features of Anthropic's",
        "anthropic_beta": "opens features of Anthropic's",
        "anthropic_version": "the version of Anthropic's API",
        "context_management": "clears earlier thinking and results, which other vendors do by themselves",
        "service_tier": _TIER,
        "speed": _TIER,
        "inference_geo": "where Anthropic computes",
        "diagnostics": "asks Anthropic for diagnostics",
        "cache_control": _CACHE,
        "user_profile_id": _LABELS,
    },
    "openai-chat": {
        "user": _IDENTITY,
        "safety_identifier": _IDENTITY,
        "store": _STORE,
        "metadata": _LABELS,
        "stream_options": _STREAM,
        "service_tier": _TIER,
        "prompt_cache_key": _CACHE,
        "prompt_cache_retention": _CACHE,
        "prompt_cache_options": _CACHE,
        "prediction": "only speeds the answer up",
        "verbosity": "a taste of OpenAI's newer models",
    },
    "openai-responses": {
        "store": _STORE,
        "include": "adds members to OpenAI's answer",
        "client_metadata": "Codex's own bookkeeping",
        "metadata": _LABELS,
        "stream_options": _STREAM,
        "service_tier": _TIER,
        "safety_identifier": _IDENTITY,
        "prompt_cache_retention": _CACHE,
        "prompt_cache_options": _CACHE,
        "truncation": "what OpenAI does when the context is full",
        "context_management": "what OpenAI does when the context is full",
        "max_tool_calls": "counts calls of OpenAI's own tools",
        "text.verbosity": "a taste of OpenAI's newer models",
        "reasoning.summary": "how OpenAI retells its thinking",
        "reasoning.context": "which of its earlier thinking OpenAI reads",
    },
    "gemini": {
        "safetySettings": "Google's filters",
        "labels": _LABELS,
        "serviceTier": _TIER,
        "toolConfig.functionCallingConfig.mode": "how strictly Gemini checks calls",
        "toolConfig.includeServerSideToolInvocations": "how Gemini shows its own tools",
        "generationConfig.enableAffectiveDialog": "how Gemini's voice sounds",
    },
}
"""Members by the client's protocol, and why."""

TOOL_MEMBERS: Mapping[str, str] = {
    "defer_loading": "says when a definition travels; here all do at once",
    "loaded": "says when a definition travels; here all do at once",
    "eager_input_streaming": "says in which pieces arguments travel",
    "namespace": "is part of the tool's name",
    "namespace_description": "groups definitions",
    "native": "is bm's own note",
    "response": "describes a result that the client makes itself",
    "responseJsonSchema": "describes a result that the client makes itself",
    "behavior": "says whether Gemini's live voice waits",
}
"""Members of a tool's definition, and why."""

_DEFAULTS: Mapping[str, tuple[float, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
}
_GEMINI_DEFAULTS: Mapping[str, tuple[float, ...]] = {"top_p": (1, 0.95), "top_k": (64, 40)}
"""Gemini CLI and the AI SDK's provider write Google's own defaults into each request."""


def missed(extra: Extra) -> bool:
    """Whether somebody misses a member where it cannot go."""
    return extra.field not in MEMBERS[extra.protocol]


def tool_members(tool: Tool) -> list[str]:
    """The members of a tool's definition that somebody misses in another protocol."""
    return [name for name in tool.extra if name not in TOOL_MEMBERS]


def sampling_missed(request: ChatRequest, name: str) -> bool:
    """Whether a sampling parameter says anything: a default that is spelled out does not."""
    value = getattr(request.sampling, name)
    known = _DEFAULTS.get(name, ())
    if request.protocol == "gemini":
        known = _GEMINI_DEFAULTS.get(name, known)
    return value is not None and value is not False and value not in known
