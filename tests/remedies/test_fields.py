from __future__ import annotations

import pytest

from bm.names import ANTHROPIC, CHAT, RESPONSES, ProtocolName
from bm.remedies.fields import client_field


@pytest.mark.parametrize(
    ("path", "sent", "client", "field"),
    [
        ("reasoning_effort", CHAT, ANTHROPIC, "thinking"),
        ("reasoning_effort", CHAT, "gemini", "generationConfig.thinkingConfig"),
        ("max_completion_tokens", CHAT, RESPONSES, "max_output_tokens"),
        ("max_tokens", CHAT, ANTHROPIC, "max_tokens"),
        ("generationConfig.thinkingConfig.thinkingLevel", "gemini", CHAT, "reasoning_effort"),
        ("output_config.effort", ANTHROPIC, CHAT, "reasoning_effort"),
        ("text.format.strict", RESPONSES, CHAT, "response_format"),
        ("messages.*.content", CHAT, RESPONSES, "input"),
        ("tools.*.function.strict", CHAT, ANTHROPIC, "tools"),
        ("tools.*.function.strict", CHAT, CHAT, "tools.*.function.strict"),
        ("response_format", RESPONSES, RESPONSES, "text.format"),
        ("thinking", "gemini", CHAT, "reasoning_effort"),
        ("unheard_of", CHAT, "gemini", "unheard_of"),
    ],
)
def test_a_field_is_named_as_the_client_calls_it(
    path: str, sent: ProtocolName, client: ProtocolName, field: str
) -> None:
    assert client_field(path, sent, client) == field
