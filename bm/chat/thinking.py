"""Convert between token budgets and levels of thinking, which every vendor counts differently."""

from __future__ import annotations

from bm.chat.capabilities import Capabilities
from bm.chat.request import LEVELS, ChatRequest, Reasoning
from bm.names import Level

_GEMINI_BUDGET: dict[Level, int] = dict(zip(LEVELS, (0, 512, 1024, 8192, 24576, 32768, 32768), strict=True))
_CLAUDE_BUDGET: dict[Level, int] = dict(zip(LEVELS, (0, 1024, 2048, 10000, 16384, 32768, 32768), strict=True))


def level_of_budget(budget: int) -> Level:
    """The level that corresponds to a number of thinking tokens; `auto` for a negative one, such as Gemini's -1."""
    if budget < 0:
        return "auto"
    return next((level for level, most in _GEMINI_BUDGET.items() if budget <= most), "xhigh")


def asked_level(reasoning: Reasoning) -> Level | None:
    """The level that a request asks for, directly or by a budget; None without either."""
    if reasoning.level is None and reasoning.budget is not None:
        return level_of_budget(reasoning.budget)
    return reasoning.level


def thinks(level: Level | None, capabilities: Capabilities) -> bool:
    """Whether the model thinks in answer to a request for `level`."""
    if level is None or capabilities.thinking == "none":
        return capabilities.thinks
    return level != "off" or capabilities.thinking_off == "never"


def takes_sampling(level: Level | None, capabilities: Capabilities) -> bool:
    """Whether the model takes sampling parameters in a request for `level`."""
    if capabilities.sampling == "without_thinking":
        return not thinks(level, capabilities)
    return capabilities.sampling


def yields_to_call(request: ChatRequest, capabilities: Capabilities) -> bool:
    """Whether thinking must be turned off, and can be, so that the request can force a tool call."""
    rule = capabilities.forced_tools
    excluded = rule == "without_thinking" or (rule == "without_budget" and capabilities.thinking == "budget")
    forces = request.tool_choice.mode == "required" and bool(request.tools or request.hosted_tools)
    can_stop = capabilities.thinking_off in ("omit", "say")
    return forces and excluded and can_stop and thinks(asked_level(request.reasoning), capabilities)


def may_force(request: ChatRequest, capabilities: Capabilities) -> bool:
    """Whether the model can be made to call a tool, if need be without thinking."""
    if capabilities.forced_tools == "without_thinking" and capabilities.thinking_off not in ("omit", "say"):
        return not thinks(asked_level(request.reasoning), capabilities)
    return capabilities.forced_tools != "never"


def asks_in_words(request: ChatRequest, capabilities: Capabilities) -> bool:
    """Whether the required call of a tool can only be asked for."""
    required = request.tool_choice.mode == "required" and bool(request.tools or request.hosted_tools)
    return required and not may_force(request, capabilities)


def budget_of_level(level: Level, capabilities: Capabilities) -> int:
    """The thinking tokens for a level, within the model's limits; -1 for `auto`."""
    if level == "auto":
        return -1
    claude = capabilities.family.startswith("claude")
    return clamp_budget((_CLAUDE_BUDGET if claude else _GEMINI_BUDGET)[level], capabilities)


def clamp_budget(budget: int, capabilities: Capabilities) -> int:
    """The closest budget that the model takes. 0 stays 0 where thinking can be turned off."""
    least, most = capabilities.budget
    if budget <= 0 and capabilities.thinking_off != "never":
        return 0
    if not most:
        return max(budget, least)
    return min(max(budget, least), most)


def fit_level(level: Level, levels: tuple[Level, ...]) -> Level | None:
    """The closest level in `levels`, the lower of two equally close; None if `levels` is empty or `level` is `auto`."""
    if level == "auto" or not levels:
        return None
    wanted = LEVELS.index(level)
    return min(levels, key=lambda known: (abs(LEVELS.index(known) - wanted), LEVELS.index(known)))


def effort_for(level: Level | None, capabilities: Capabilities) -> str | None:
    """The effort that stands for a level in OpenAI's words; None leaves the model's default."""
    if level is None or level == "auto":
        return None
    if level == "off" and capabilities.thinking_off == "say":
        return "none"
    if level == "off":
        return capabilities.levels[0] if capabilities.thinking_off == "never" and capabilities.levels else None
    return fit_level(level, capabilities.levels)
