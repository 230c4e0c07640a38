"""Names a field of the request sent as the client calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bm.names import ANTHROPIC, CHAT, RESPONSES, ProtocolName

_PROTOCOLS: Final[tuple[ProtocolName, ...]] = (ANTHROPIC, CHAT, RESPONSES, "gemini")
_ROWS: Final = (
    ("max_tokens", "max_tokens", "max_output_tokens", "generationConfig.maxOutputTokens"),
    ("max_tokens", "max_completion_tokens", "max_output_tokens", "generationConfig.maxOutputTokens"),
    ("stop_sequences", "stop", "stop", "generationConfig.stopSequences"),
    ("temperature", "temperature", "temperature", "generationConfig.temperature"),
    ("top_p", "top_p", "top_p", "generationConfig.topP"),
    ("top_k", "top_k", "top_k", "generationConfig.topK"),
    ("seed", "seed", "seed", "generationConfig.seed"),
    ("presence_penalty", "presence_penalty", "presence_penalty", "generationConfig.presencePenalty"),
    ("frequency_penalty", "frequency_penalty", "frequency_penalty", "generationConfig.frequencyPenalty"),
    ("thinking", "reasoning_effort", "reasoning.effort", "generationConfig.thinkingConfig"),
    ("output_config.effort", "reasoning_effort", "reasoning.effort", "generationConfig.thinkingConfig"),
    ("thinking", "thinking", "reasoning", "generationConfig.thinkingConfig"),
    ("output_config.format", "response_format", "text.format", "generationConfig.responseMimeType"),
    ("output_config.format", "response_format", "text.format", "generationConfig.responseJsonSchema"),
    ("output_config.format", "response_format", "text.format", "generationConfig.responseSchema"),
    ("tool_choice", "tool_choice", "tool_choice", "toolConfig"),
    ("tool_choice.disable_parallel_tool_use", "parallel_tool_calls", "parallel_tool_calls", "toolConfig"),
    ("messages", "messages", "input", "contents"),
    ("system", "messages", "instructions", "systemInstruction"),
    ("tools", "tools", "tools", "tools"),
)
"""What the four protocols call one thing. A name of several things stands for the first of its rows."""
_NAMES: Final[Mapping[ProtocolName, Mapping[str, tuple[str, ...]]]] = {
    protocol: {row[number]: row for row in reversed(_ROWS)} for number, protocol in enumerate(_PROTOCOLS)
}


def client_field(path: str, sent: ProtocolName, client: ProtocolName) -> str:
    """The field of a client's request that is sent as `path`; the path itself where the client has no such field.

    A path that the protocol sent does not know may be another protocol's name.
    """
    steps = path.split(".")
    prefixes = [".".join(steps[:length]) for length in range(len(steps), 0, -1)]
    for protocol in (sent, *_PROTOCOLS):
        for prefix in prefixes:
            if row := _NAMES[protocol].get(prefix):
                return path if protocol == client else row[_PROTOCOLS.index(client)]
    return path
