"""`thinkingConfig`, and the signatures by which Gemini recognizes its earlier thinking."""

from __future__ import annotations

import base64
from typing import Any, get_args

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Thinking
from bm.chat.request import ULTRA, ChatRequest, Loss, Reasoning
from bm.chat.signature import REDACTED, SELF, Signature, unwrap, wrap
from bm.chat.thinking import budget_of_level, clamp_budget, fit_level, level_of_budget
from bm.names import Level
from bm.protocols.parameters import field_name
from bm.protocols.reading import boolean, integer, string, string_of

SMALL_ANSWER = 1024
"""With fewer tokens in total, thinking at its default leaves no room for the answer."""

_LEVELS: dict[str, Level] = {ULTRA: "max", **{level: level for level in get_args(Level)}}


def decode_reasoning(config: Json, place: str) -> Reasoning:
    """Read a `thinkingConfig`. A budget of -1 leaves it to the model, 0 turns thinking off."""
    level = _LEVELS.get(string(config, "thinkingLevel", place).lower())
    budget = integer(config, "thinkingBudget", place)
    if level is None and budget is not None:
        level = "auto" if budget < 0 else "off" if budget == 0 else None
    exact = budget if budget is not None and budget > 0 else None
    return Reasoning(level=level, budget=exact, visible=boolean(config, "includeThoughts", place))


def encode_reasoning(request: ChatRequest, capabilities: Capabilities, losses: list[Loss], limit: int | None) -> Json:
    """The `thinkingConfig`; empty leaves the model to its default. `limit` is the answer's `maxOutputTokens`."""
    asked = request.reasoning
    if capabilities.thinking not in ("level", "budget"):
        if asked.budget is not None or asked.level not in (None, "off", "auto"):
            losses.append(Loss(field_name(request, "thinking"), "the model does not think"))
        return {}
    if asked.level is None and asked.budget is None and limit is not None and limit < SMALL_ANSWER:
        asked = Reasoning("off", visible=asked.visible)
    config = _level(asked, capabilities) if capabilities.thinking == "level" else _budget(asked, capabilities, limit)
    if asked.level == "off":
        config["includeThoughts"] = False
    elif asked.visible or (asked.visible is not None and config):
        config["includeThoughts"] = asked.visible
    return config


def _level(asked: Reasoning, capabilities: Capabilities) -> Json:
    level = asked.level
    if asked.budget is not None and level in (None, "auto"):
        level = level_of_budget(asked.budget)
    fitting = fit_level(level, tuple(n for n in capabilities.levels if n != "off")) if level is not None else None
    return {"thinkingLevel": fitting.upper()} if fitting is not None else {}


def _budget(asked: Reasoning, capabilities: Capabilities, limit: int | None) -> Json:
    """The budget, with room for the answer, since `maxOutputTokens` counts both."""
    if asked.level == "off" or asked.budget is not None:
        budget = clamp_budget(0 if asked.level == "off" else asked.budget or 0, capabilities)
    elif asked.level is not None:
        budget = budget_of_level(asked.level, capabilities)
    else:
        return {}
    if limit is not None and budget >= limit:
        budget = clamp_budget(max(0, limit - max(SMALL_ANSWER, limit // 4)), capabilities)
    return {"thinkingBudget": budget}


VENDOR = "gemini"

DUMMY_WORD = "skip_thought_signature_validator"
DUMMY = base64.b64encode(DUMMY_WORD.encode()).decode()
"""What Gemini accepts on a call from another model's history (ai.google.dev, "Thought signatures").

The field is base64 of bytes; every decoder takes this form.
"""


def decode_signature(value: Any) -> Signature | None:
    """The signature in a `thoughtSignature`. Another vendor's is unwrapped; the dummy counts as none."""
    return _decoded(value)[0]


def decode_thought(text: str, value: Any) -> Thinking:
    """A thought part of a client's history, or another vendor's encrypted thinking that was wrapped in one."""
    signature, about = _decoded(value)
    return Thinking(text, signature, redacted=about == REDACTED)


def _decoded(value: Any) -> tuple[Signature | None, str]:
    text = string_of(value)
    if not text or text.rstrip("=") in (DUMMY_WORD, DUMMY.rstrip("=")):
        return None, ""
    return unwrap(text) or (Signature(VENDOR, text), "")


def encode_signature(signature: Signature, *, redacted: bool = False) -> str:
    """The `thoughtSignature` for a client. Always base64, since google-genai fails on anything else."""
    if signature.vendor == VENDOR:
        return signature.value
    return wrap(signature, REDACTED if redacted else SELF)
