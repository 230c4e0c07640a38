"""Request fields that may be dropped on the way to another protocol without a loss, because they change no answer.

Every other field that a target cannot take is a `Loss`. There is one table for all targets, by the protocol of the
client; a target that has a field of the same meaning writes it before it looks here.
"""

from __future__ import annotations

from collections.abc import Mapping

from bm.chat.request import ChatRequest, Extra, Tool
from bm.names import ProtocolName

_LABELS = "labels for the vendor's own console"
_CACHE = "every vendor finds cached prompts in its own way"
_TIER = "a price class of one vendor must never become one of another's"
_STORE = "whether the vendor keeps the answer; bm has its own store"
_STREAM = "the form of the client's stream, which bm writes"
_IDENTITY = "carried as the user"

FIELDS: Mapping[ProtocolName, Mapping[str, str]] = {
    "anthropic": {
        "metadata": _LABELS,
        "x-anthropic-billing-header": _LABELS,
        "betas": "enables features of Anthropic's",
        "anthropic_beta": "enables features of Anthropic's",
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
        "verbosity": "a style setting of OpenAI's newer models",
    },
    "openai-responses": {
        "store": _STORE,
        "include": "adds members to OpenAI's answer",
        "client_metadata": "internal data of Codex",
        "metadata": _LABELS,
        "stream_options": _STREAM,
        "service_tier": _TIER,
        "safety_identifier": _IDENTITY,
        "prompt_cache_retention": _CACHE,
        "prompt_cache_options": _CACHE,
        "truncation": "what OpenAI does when the context is full",
        "context_management": "what OpenAI does when the context is full",
        "max_tool_calls": "counts calls of OpenAI's own tools",
        "text.verbosity": "a style setting of OpenAI's newer models",
        "reasoning.summary": "how OpenAI summarizes its thinking",
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
"""Ignorable fields by the client's protocol, with the reason."""

TOOL_FIELDS: Mapping[str, str] = {
    "defer_loading": "when a definition is sent; here all are sent at once",
    "loaded": "when a definition is sent; here all are sent at once",
    "eager_input_streaming": "in which pieces arguments are streamed",
    "namespace": "is part of the tool's name",
    "namespace_description": "groups definitions",
    "native": "internal to bm",
    "response": "describes a result that the client produces",
    "responseJsonSchema": "describes a result that the client produces",
    "behavior": "says whether Gemini's live voice waits",
}
"""Ignorable fields of a tool's definition, with the reason."""

_DEFAULTS: Mapping[str, tuple[float, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
}
_GEMINI_DEFAULTS: Mapping[str, tuple[float, ...]] = {"top_p": (1, 0.95), "top_k": (64, 40)}
"""Gemini CLI and the AI SDK's provider write Google's own defaults into each request."""


def is_loss(extra: Extra) -> bool:
    """Whether dropping a field is a loss."""
    return extra.field not in FIELDS[extra.protocol]


def lost_tool_fields(tool: Tool) -> list[str]:
    """The fields of a tool's definition that are a loss in another protocol. A custom tool's format is no field."""
    known = ("format",) if tool.kind == "custom" else ()
    return [name for name in tool.extra if name not in TOOL_FIELDS and name not in known]


def is_sampling_loss(request: ChatRequest, name: str) -> bool:
    """Whether dropping a sampling parameter is a loss: spelling out a default is not."""
    value = getattr(request.sampling, name)
    known = _DEFAULTS.get(name, ())
    if request.protocol == "gemini":
        known = _GEMINI_DEFAULTS.get(name, known)
    return value is not None and value is not False and value not in known
