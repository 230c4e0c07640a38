"""The closed sets of names that every layer shares: dispatch modes and wire protocols."""

from __future__ import annotations

from typing import Final, Literal, get_args

Mode = Literal["off", "exclusive", "pooled", "fallback"]
"""How a provider takes part in dispatch; `docs/dispatch.md` gives the plan each one makes."""

ProtocolName = Literal["anthropic", "openai-chat", "openai-responses", "gemini"]
"""A wire format, spoken by a client or by an upstream."""

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
PROTOCOLS: Final[tuple[ProtocolName, ...]] = get_args(ProtocolName)
