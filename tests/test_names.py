from __future__ import annotations

import pytest

from bm.names import known_tool


@pytest.mark.parametrize(
    ("user_agent", "tool"),
    [
        ("claude-cli/2.1.330 (external, sdk-cli)", "claude-code"),
        ("codex_exec/0.169.0 (Debian 12.0.0; x86_64) dumb (codex_exec; 0.169.0)", "codex"),
        ("GeminiCLI-tui/0.61.0/gemini-3.1-pro-preview (linux; x64; terminal)", "gemini-cli"),
        ("opencode/1.18.33 ai-sdk/provider-utils/4.0.46 runtime/bun/1.3.14", "opencode"),
        ("OpenAI/Python 2.54.0", None),
        ("", None),
    ],
)
def test_tools_are_known_by_their_user_agents(user_agent: str, tool: str | None) -> None:
    assert known_tool(user_agent) == tool
