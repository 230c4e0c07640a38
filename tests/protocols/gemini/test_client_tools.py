"""Anthropic's tools that come without a schema."""

from __future__ import annotations

import pytest

from bm.chat.request import (
    HostedTool,
    Tool,
)
from bm.errors import RequestError
from bm.protocols.gemini.client_tools import typed_name
from tests.protocols.gemini.kit import tools


@pytest.mark.parametrize("kind", ["bash_20250124", "text_editor_20250728", "memory_20250818"])
def test_anthropics_typed_tools_get_their_schema(kind: str) -> None:
    raw = {"type": kind, "name": "tool"}
    as_tool = Tool("tool", protocol="anthropic", extra={"type": kind})
    for held, hosted in (((), (HostedTool(kind, "anthropic", raw),)), ((as_tool,), ())):
        found, _ = tools(*held, hosted=hosted)
        assert "command" in found[0]["functionDeclarations"][0]["parametersJsonSchema"]["properties"]
        assert found[0]["functionDeclarations"][0]["name"] == "tool"


def test_the_computer_tool_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="computer"):
        tools(hosted=(HostedTool("computer_20250124", "anthropic", {"type": "computer_20250124"}),))


def test_a_tool_with_a_schema_or_of_another_protocol_is_no_typed_tool() -> None:
    assert (
        typed_name(Tool("bash", schema={"type": "object"}, protocol="anthropic", extra={"type": "bash_20250124"})) == ""
    )
    assert typed_name(HostedTool("bash", "openai-responses", {"type": "bash"})) == ""
    assert typed_name(HostedTool("web_search", "anthropic", {"type": "web_search_20250305"})) == ""
