"""`thinking` and `output_config.effort`, in both directions. They differ between the families of Claude."""

from __future__ import annotations

from typing import get_args

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Thinking, ToolCall
from bm.chat.repair import current_turn_start
from bm.chat.request import LEVELS, ChatRequest, Loss, Reasoning
from bm.chat.thinking import asked_level, budget_of_level, clamp_budget, fit_level, level_of_budget, yields_to_call
from bm.names import ANTHROPIC, Level
from bm.protocols.reading import Unread, integer, mapping, mismatch, refuse

MIN_BUDGET = 1024
"""The least `budget_tokens` that the API takes."""

OFF = ("disabled", "between_tools")
"""The types of `thinking` that turn it off; with the second, progress reports come back as thinking."""

LOST_THINKING = Loss("thinking", "another vendor's model began this tool loop, which Claude can only go on without")

_THINKING = frozenset({"type", "budget_tokens", "display"})


class _Asked(msgspec.Struct):
    """The member of a request that asks for thinking."""

    thinking: msgspec.Raw = msgspec.Raw()


def asks_to_think(body: bytes) -> bool:
    """Whether a request mentions thinking."""
    return b'"thinking"' in body and bool(bytes(msgspec.json.decode(body, type=_Asked).thinking))


def decode_reasoning(body: Json, effort: str, unread: Unread) -> Reasoning:
    """The thinking that a client asked for. `effort` alone asks for a level, not for showing the thinking."""
    raw = mapping(body, "thinking")
    level = _level(effort)
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


def _level(effort: str) -> Level | None:
    if effort and effort not in get_args(Level):
        raise refuse("output_config.effort", f"expected one of {', '.join(LEVELS[2:])}")
    return next((level for level in LEVELS if level == effort), None)


class ThinkingPlan(msgspec.Struct, frozen=True):
    """How a request asks for thinking: the `thinking` member, the effort, and the room both leave for `max_tokens`."""

    thinking: Json | None = None
    effort: str = ""
    max_tokens: int = 0
    losses: tuple[Loss, ...] = ()

    @property
    def on(self) -> bool:
        """Whether the model will think because of this request."""
        return self.thinking is not None and self.thinking["type"] not in OFF


def plan_thinking(request: ChatRequest, capabilities: Capabilities, max_tokens: int) -> ThinkingPlan:
    """Adapt the thinking asked for to the model. A budget raises `max_tokens` instead of shortening the answer."""
    wanted = asked_level(request.reasoning)
    form = capabilities.thinking
    if wanted is None:
        return ThinkingPlan(max_tokens=max_tokens)
    if form not in ("adaptive", "budget"):
        lost = () if wanted == "off" else (Loss("thinking", "the model does not think"),)
        return ThinkingPlan(max_tokens=max_tokens, losses=lost)
    if wanted == "off" and capabilities.thinking_off != "never":
        said = _SAID_OFF.get(capabilities.thinking_off)
        return ThinkingPlan({"type": said} if said else None, max_tokens=max_tokens)
    conflict = _conflict(request, capabilities)
    if conflict and capabilities.thinking_off != "never":
        return ThinkingPlan(max_tokens=max_tokens, losses=(Loss("thinking", conflict),))
    if form == "adaptive":
        return _adaptive(request, wanted, capabilities, max_tokens)
    return _budget(request, wanted, capabilities, max_tokens)


_SAID_OFF: dict[str, str] = {"say": "disabled", "between_tools": "between_tools"}


def _conflict(request: ChatRequest, capabilities: Capabilities) -> str:
    """Why thinking must be turned off; empty if it need not be."""
    if yields_to_call(request, capabilities):
        return "the model cannot be made to call a tool while it thinks"
    if capabilities.thinking == "budget" and _tool_loop_without_thinking(request):
        return "the current tool loop began without Claude's thinking, which a budget demands"
    return ""


def _tool_loop_without_thinking(request: ChatRequest) -> bool:
    """Whether a turn since the last user message calls a tool and does not begin with Claude's own thinking."""
    for turn in request.turns[current_turn_start(request.turns) :]:
        if turn.role != "assistant" or not any(isinstance(part, ToolCall) for part in turn.parts):
            continue
        first = turn.parts[0]
        if not isinstance(first, Thinking) or first.signature is None or first.signature.vendor != ANTHROPIC:
            return True
    return False


def _adaptive(request: ChatRequest, wanted: Level, capabilities: Capabilities, max_tokens: int) -> ThinkingPlan:
    reasoning = request.reasoning
    if wanted == "off":
        effort = fit_level("low", capabilities.levels) or ""
        return ThinkingPlan(None, effort, max_tokens, (Loss("thinking", "the model cannot stop thinking"),))
    effort = fit_level(wanted, tuple(level for level in capabilities.levels if level not in ("off", "minimal"))) or ""
    if request.protocol == ANTHROPIC and reasoning.visible is None:
        return ThinkingPlan(None, effort, max_tokens)
    return ThinkingPlan({"type": "adaptive", **_display(reasoning)}, effort, max_tokens)


def _budget(request: ChatRequest, wanted: Level, capabilities: Capabilities, max_tokens: int) -> ThinkingPlan:
    reasoning = request.reasoning
    budget = reasoning.budget
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
        return ThinkingPlan(max_tokens=room, losses=(Loss("thinking", "max_tokens leaves no room for it"),))
    thinking: Json = {"type": "enabled", "budget_tokens": budget}
    if reasoning.visible is False:
        thinking["display"] = "omitted"
    return ThinkingPlan(thinking, max_tokens=max_tokens)


def _display(reasoning: Reasoning) -> Json:
    """Newer models leave the text of their thinking out unless asked for a summary."""
    if reasoning.visible is None:
        return {}
    return {"display": "summarized" if reasoning.visible else "omitted"}
