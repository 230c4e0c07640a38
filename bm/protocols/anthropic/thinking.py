"""`thinking` and `output_config.effort`, in both directions. They differ between the families of Claude."""

from __future__ import annotations

import re
from typing import get_args

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Thinking, ToolCall
from bm.chat.repair import current_turn_start
from bm.chat.request import LEVELS, ULTRA, ChatRequest, Loss, Reasoning, Turn
from bm.chat.thinking import asked_level, budget_of_level, clamp_budget, fit_level, level_of_budget, yields_to_call
from bm.names import ANTHROPIC, Level
from bm.protocols.reading import Unread, integer, mapping, mismatch, refuse
from bm.protocols.splice import raw_object

MIN_BUDGET = 1024
"""The least `budget_tokens` that the API takes."""

OFF = ("disabled", "between_tools")
"""The types of `thinking` that turn it off; with the second, progress reports come back as thinking."""

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_HEX = re.compile(r"[0-9a-f]{32,}")
LOST_THINKING = Loss("thinking", "another vendor's model began this tool loop, which Claude can only go on without")

_THINKING = frozenset({"type", "budget_tokens", "display"})
_SAID_OFF = {"say": "disabled", "between_tools": "between_tools"}


def may_be_claudes(signature: str) -> bool:
    """Whether a signature can be Claude's, which is base64; other services sign with a UUID or not at all."""
    return _BASE64.fullmatch(signature) is not None and _HEX.fullmatch(signature) is None


def asks_to_think(body: bytes) -> bool:
    """Whether a request mentions thinking."""
    return b'"thinking"' in body and "thinking" in raw_object(body)


def decode_reasoning(body: Json, effort: str, unread: Unread) -> Reasoning:
    """The thinking that a client asked for. `effort` alone asks for a level, not for showing the thinking."""
    raw = mapping(body, "thinking")
    effort = "max" if effort == ULTRA else effort
    if effort and effort not in get_args(Level):
        raise refuse("output_config.effort", f"expected one of {', '.join(LEVELS[2:])}")
    level = next((level for level in LEVELS if level == effort), None)
    if not raw:
        return Reasoning(level=level)
    visible = raw.get("display") != "omitted"
    unread.rest(raw, _THINKING, "thinking")
    match raw.get("type"):
        case "disabled" | "between_tools":
            if effort:
                unread.add("output_config", {"effort": effort})
            return Reasoning(level="off")
        case "enabled":
            budget = integer(raw, "budget_tokens", "thinking")
            if budget is None:
                raise mismatch("thinking.budget_tokens", "an integer", None)
            return Reasoning(level=level or level_of_budget(budget), budget=budget, visible=visible)
        case "adaptive":
            return Reasoning(level=level or "auto", visible=visible)
        case _:
            raise refuse("thinking.type", "expected adaptive, enabled, disabled or between_tools")


class ThinkingPlan(msgspec.Struct, frozen=True):
    """How a request asks for thinking: the `thinking` member, the effort, and the room both leave for `max_tokens`."""

    max_tokens: int
    thinking: Json | None = None
    effort: str = ""

    @property
    def on(self) -> bool:
        """Whether the model will think because of this request."""
        return self.thinking is not None and self.thinking["type"] not in OFF


def plan_thinking(
    request: ChatRequest, capabilities: Capabilities, max_tokens: int, losses: list[Loss]
) -> ThinkingPlan:
    """Adapt the thinking asked for to the model. A budget raises `max_tokens` instead of shortening the answer."""
    wanted, off = asked_level(request.reasoning), capabilities.thinking_off
    thinks = capabilities.thinking in ("adaptive", "budget")
    if wanted is None or (wanted == "off" and not thinks):
        return ThinkingPlan(max_tokens)
    if wanted == "off" and off != "never":
        return ThinkingPlan(max_tokens, {"type": _SAID_OFF[off]} if off in _SAID_OFF else None)
    conflict = _conflict(request, capabilities) if thinks else "the model does not think"
    if conflict and not (thinks and off == "never"):
        losses.append(Loss("thinking", conflict))
        return ThinkingPlan(max_tokens)
    adapt = _adaptive if capabilities.thinking == "adaptive" else _budget
    return adapt(request, wanted, capabilities, max_tokens, losses)


def _conflict(request: ChatRequest, capabilities: Capabilities) -> str:
    """Why thinking must be turned off; empty if it need not be."""
    if yields_to_call(request, capabilities):
        return "the model cannot be made to call a tool while it thinks"
    if capabilities.thinking == "budget" and any(
        _calls_without_thinking(turn) for turn in request.turns[current_turn_start(request.turns) :]
    ):
        return "the current tool loop began without Claude's thinking, which a budget demands"
    return ""


def _calls_without_thinking(turn: Turn) -> bool:
    """Whether the model calls a tool and the turn does not begin with Claude's own thinking."""
    first = turn.parts[0] if turn.parts else None
    own = isinstance(first, Thinking) and first.signature is not None and first.signature.vendor == ANTHROPIC
    return not own and any(isinstance(part, ToolCall) for part in turn.parts)


def _adaptive(
    request: ChatRequest, wanted: Level, capabilities: Capabilities, max_tokens: int, losses: list[Loss]
) -> ThinkingPlan:
    if wanted == "off":
        losses.append(Loss("thinking", "the model cannot stop thinking"))
        return ThinkingPlan(max_tokens, effort=fit_level("low", capabilities.levels) or "")
    effort = fit_level(wanted, tuple(level for level in capabilities.levels if level not in ("off", "minimal"))) or ""
    visible = request.reasoning.visible
    if visible is None:
        return ThinkingPlan(max_tokens, None if request.protocol == ANTHROPIC else {"type": "adaptive"}, effort)
    # Newer models leave the text of their thinking out unless asked for a summary.
    return ThinkingPlan(max_tokens, {"type": "adaptive", "display": "summarized" if visible else "omitted"}, effort)


def _budget(
    request: ChatRequest, wanted: Level, capabilities: Capabilities, max_tokens: int, losses: list[Loss]
) -> ThinkingPlan:
    budget = request.reasoning.budget
    if budget is None or budget < 0:
        budget = budget_of_level("medium" if wanted == "auto" else "low" if wanted == "off" else wanted, capabilities)
    budget = max(clamp_budget(budget, capabilities), MIN_BUDGET)
    room = max_tokens
    if budget >= max_tokens:
        max_tokens += budget
    if capabilities.max_output and max_tokens > capabilities.max_output:
        max_tokens = capabilities.max_output
        budget = max(max_tokens - room, room // 2)
    if budget < MIN_BUDGET:
        losses.append(Loss("thinking", "max_tokens leaves no room for it"))
        return ThinkingPlan(room)
    display = {"display": "omitted"} if request.reasoning.visible is False else {}
    return ThinkingPlan(max_tokens, {"type": "enabled", "budget_tokens": budget, **display})
