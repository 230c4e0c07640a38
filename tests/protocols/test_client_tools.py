"""Anthropic's typed tools as functions."""

from __future__ import annotations

import pytest

from bm.chat.request import ChatRequest, HostedTool
from bm.errors import RequestError
from bm.names import ProtocolName
from bm.protocols.client_tools import as_functions


def asked(kind: str, protocol: str = "anthropic") -> ChatRequest:
    """A request with one typed tool."""
    tool = HostedTool(kind.rpartition("_")[0] or kind, protocol, {"type": kind, "name": "tool"})
    return ChatRequest(protocol="anthropic", model="m", turns=(), hosted_tools=(tool,))


@pytest.mark.parametrize("kind", ["bash_20250124", "text_editor_20250728", "memory_20250818"])
@pytest.mark.parametrize("protocol", ["openai-chat", "openai-responses", "gemini"])
def test_typed_tools_become_functions_with_their_schema(kind: str, protocol: ProtocolName) -> None:
    request = as_functions(asked(kind), protocol)
    (tool,) = request.tools
    assert tool.schema is not None and "command" in tool.schema["properties"]
    assert tool.name == "tool" and not request.hosted_tools


def test_anthropic_gets_its_typed_tools_as_they_are() -> None:
    request = asked("bash_20250124")
    assert as_functions(request, "anthropic") is request


@pytest.mark.parametrize(("kind", "protocol"), [("bash", "openai-responses"), ("web_search_20250305", "anthropic")])
def test_other_hosted_tools_stay(kind: str, protocol: str) -> None:
    request = asked(kind, protocol)
    assert as_functions(request, "gemini") is request


def test_the_computer_tool_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="computer"):
        as_functions(asked("computer_20250124"), "openai-chat")
