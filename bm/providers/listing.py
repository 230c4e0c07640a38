"""What a service's own model list says that a model takes: members of `Capabilities`, where it says so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from bm.names import Level

Facts = Mapping[str, Any]
"""Members of `bm.chat.capabilities.Capabilities` with their values."""

_EFFORTS: tuple[Level, ...] = ("low", "medium", "high", "xhigh", "max")


def listed_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """The facts in a row of Anthropic's, Gemini's, OpenRouter's or another OpenAI-compatible list, but for limits."""
    facts: dict[str, Any] = {}
    if row.get("thinking") is False:
        facts["thinking"] = "none"
    if capabilities := _mapping(row, "capabilities"):
        facts |= _of_claude(capabilities)
    if isinstance(parameters := row.get("supported_parameters"), list):
        facts |= _of_openrouter({*map(str, parameters)}, _mapping(row, "architecture").get("input_modalities"))
    return facts


def listed_limits(row: Mapping[str, Any]) -> tuple[int, int]:
    """The tokens of the context and of an answer, 0 where the list does not say."""
    context = _number(row, "inputTokenLimit", "max_input_tokens", "max_model_len", "context_window", "context_length")
    most = _number(row, "outputTokenLimit", "max_tokens", "max_completion_tokens")
    return context, most or _number(_mapping(row, "top_provider"), "max_completion_tokens")


def listed_retirement(row: Mapping[str, Any]) -> date | None:
    """The day on which the service turns the model off, where its list gives one."""
    day = row.get("retires_at") or row.get("deprecation_date") or row.get("expiration_date")
    try:
        return date.fromisoformat(day[:10]) if isinstance(day, str) else None
    except ValueError:
        return None


def _of_claude(capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """The `capabilities` of Anthropic's Models API."""
    thinking, effort = _mapping(capabilities, "thinking"), _mapping(capabilities, "effort")
    types = {name for name, value in _mapping(thinking, "types").items() if _supported(value)}
    facts: dict[str, Any] = {}
    for member, name in (("images", "image_input"), ("documents", "pdf_input")):
        if name in capabilities:
            facts[member] = _supported(capabilities[name])
    if "structured_outputs" in capabilities:
        facts["structured_output"] = "schema" if _supported(capabilities["structured_outputs"]) else "none"
    if effort:
        facts["levels"] = tuple(level for level in _EFFORTS if _supported(effort.get(level)))
    if "adaptive" in types:
        facts["thinking"] = "adaptive"
        if "disabled" not in types:
            facts["thinking_off"] = "between_tools" if "between_tools" in types else "never"
    elif "enabled" in types:
        facts["thinking"] = "budget"
    elif types or thinking.get("supported") is False:
        facts["thinking"] = "none"
    return facts


def _of_openrouter(parameters: set[str], modalities: Any) -> dict[str, Any]:
    """The `supported_parameters` and input modalities of OpenRouter's list."""
    facts: dict[str, Any] = {
        "tools": "tools" in parameters,
        "sampling": "temperature" in parameters,
        "stop": "stop" in parameters,
        "structured_output": "schema"
        if "structured_outputs" in parameters
        else "json"
        if "response_format" in parameters
        else "none",
    }
    if "reasoning" not in parameters:
        facts["thinking"] = "none"
    if isinstance(modalities, list):
        kinds = {"images": "image", "documents": "file", "audio": "audio", "video": "video"}
        facts |= {member: kind in modalities for member, kind in kinds.items()}
    return facts


def _supported(value: Any) -> bool:
    return isinstance(value, dict) and value.get("supported") is True


def _mapping(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _number(row: Mapping[str, Any], *names: str) -> int:
    return next((value for name in names if isinstance(value := row.get(name), int)), 0)
