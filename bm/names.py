"""The words that several rooms share: protocols and dispatch modes."""

from __future__ import annotations

from typing import Literal, get_args

ProtocolName = Literal["anthropic", "openai-chat", "openai-responses", "gemini"]
"""A wire format, on either side of bm."""

Mode = Literal["off", "exclusive", "pooled", "fallback"]
"""How a provider takes part in dispatch."""

PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
MODES: tuple[Mode, ...] = get_args(Mode)
