"""What a model takes where it is served: its family, changed by the wire protocol and the service."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from bm.chat.capabilities import Capabilities, Dialect
from bm.names import ProtocolName
from bm.providers.catalog import CHANGES
from bm.providers.families import Family, families, family_of

_NATIVE: Final[Mapping[ProtocolName, str]] = {
    "anthropic": "claude",
    "gemini": "gemini",
    "openai-chat": "openai",
    "openai-responses": "openai",
}
"""Whose models are at home on a wire: only there do they show all that they can do."""

_UNKNOWN: Final[Mapping[ProtocolName, str]] = {
    "anthropic": "open",
    "gemini": "gemini-4",
    "openai-chat": "open",
    "openai-responses": "open",
}
"""The family that stands for a name no pattern fits."""

_ANOTHER_VENDORS_MESSAGES: Final[dict[str, Any]] = {
    "thinking": "none",
    "levels": (),
    "thinking_off": "omit",
    "structured_output": "none",
    "documents": True,
    "prefill": True,
}
"""Services of other vendors that speak the Messages API differ most in how thinking is asked for."""

_COMPATIBLE: Final[dict[str, Any]] = {"media_in_results": False, "image_urls": True, "max_stop": 0}
"""What holds for every model over Chat Completions and Responses."""

_NOT_AT_HOME: Final[dict[str, Any]] = {"system_turns": False, "prefill": False}

_ANYTHING: Final[dict[str, Any]] = {"images": True, "documents": True, "audio": True, "video": True}
"""Nothing is known of an unknown model at a service of the user's own: it may say itself what it does not take."""


@lru_cache(maxsize=1024)
def capabilities_of(protocol: ProtocolName, dialect: Dialect, model: str) -> Capabilities:
    """What `model` takes where it is reached over `protocol`; `dialect` counts for the OpenAI protocols only."""
    compatible = protocol in ("openai-chat", "openai-responses")
    family = family_of(model, dialect.name if compatible else "")
    if family is None or (protocol == "gemini" and family.vendor != "gemini"):
        takes = dict(families()[_UNKNOWN[protocol]].takes)
    else:
        takes = dict(family.takes)
    at_home = family is not None and family.vendor == _NATIVE[protocol]
    if protocol == "gemini":
        return _made(takes, family="gemini")
    if protocol == "anthropic":
        return _made(takes, family="claude") if at_home else _made(takes | _ANOTHER_VENDORS_MESSAGES)
    takes |= _COMPATIBLE
    if dialect.name == "openai":
        takes |= {"family": "openai" if at_home else "", "system_turns": True}
    else:
        takes |= _NOT_AT_HOME
    if "reasoning_details" in dialect.takes:
        takes["family"] = model.partition("/")[0] if "/" in model else ""
    if dialect.name != "compatible":
        takes.pop("max_tokens_field", None)
    elif family is None:
        takes |= _ANYTHING
    if family is None and dialect.name == "openai":
        takes["documents"] = True
    _as_efforts(takes, protocol, family)
    takes |= {"dialect": dialect, "max_stop": dialect.max_stop, **CHANGES.get(dialect.name, {})}
    return _made(takes)


def _as_efforts(takes: dict[str, Any], protocol: ProtocolName, family: Family | None) -> None:
    """Put every way of thinking as an effort, the only one that the OpenAI protocols know."""
    if takes.get("thinking", "none") == "none":
        return
    levels = takes.get("levels") or (["low", "medium", "high"] if takes["thinking"] == "budget" else [])
    if protocol == "openai-chat":
        levels = [level for level in levels if level not in takes.get("levels_beyond_chat", ())]
    if takes["thinking"] == "budget" and takes.get("forced_tools") == "without_budget":
        takes["forced_tools"] = "without_thinking"
    takes |= {"thinking": "effort", "levels": levels}
    if takes.get("thinking_off") == "between_tools":
        takes["thinking_off"] = "never"


def _made(takes: Mapping[str, Any], **changes: Any) -> Capabilities:
    return msgspec.convert({**takes, **changes}, Capabilities)
