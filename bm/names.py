"""The words that several rooms share: protocols, dispatch modes, and what models take."""

from __future__ import annotations

from typing import Final, Literal, get_args

ProtocolName = Literal["anthropic", "openai-chat", "openai-responses", "gemini"]
"""A wire format, on either side of bm."""

ANTHROPIC: Final[ProtocolName] = "anthropic"
CHAT: Final[ProtocolName] = "openai-chat"
RESPONSES: Final[ProtocolName] = "openai-responses"

Mode = Literal["off", "exclusive", "pooled", "fallback"]
"""How a provider takes part in dispatch."""

Level = Literal["off", "minimal", "low", "medium", "high", "xhigh", "max", "auto"]
"""How much a model thinks; `auto` leaves the choice to it."""

ThinkingForm = Literal["none", "budget", "adaptive", "level", "effort"]
"""How thinking is asked for: Anthropic's or Gemini 2.5's token budget, Claude's adaptive thinking with an effort,
Gemini 3's level, an OpenAI-compatible `reasoning_effort`."""

ForcedTools = Literal["always", "unnamed", "without_thinking", "without_budget", "never"]
"""When a model can be made to call a tool; `unnamed`: some tool, but not a certain one."""

SamplingRule = bool | Literal["without_thinking"]
"""Whether a model takes temperature, top_p and top_k."""

StructuredOutput = Literal["schema", "json", "none"]
"""What an answer can be held to: a JSON Schema, JSON, nothing."""

By = Literal["provider", "model", "account", "day"]
"""How usage is grouped. `model` is the one that answered, `day` a day of local time."""

PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
