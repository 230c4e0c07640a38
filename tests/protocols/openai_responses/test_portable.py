"""Requests for services with a Responses API of their own."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.request import Loss
from bm.names import Operation
from bm.protocols.openai_responses.codec import CODEC
from bm.protocols.openai_responses.portable import only_for_openai, portable
from tests.protocols.openai_responses.samples import request, wire

XAI = Capabilities(dialect=Dialect(name="xai"))


@pytest.mark.parametrize(
    ("body", "operation", "services"),
    [
        (b'{"tools":[{"type":"function","name":"custom"}]}', "generate", []),
        (b'{"tools":[{"type": "custom"}]}', "generate", ["xai", "local"]),
        (b'{"input":[{"type":"apply_patch_call_output"}]}', "generate", ["xai", "local"]),
        (b'{"input":[{"type":"agent_message"}]}', "generate", ["xai", "local"]),
        (b'{"input":[{"type":"compaction_trigger"}]}', "generate", ["xai", "local", "compatible"]),
        (b'{"input":"\\"type\\":\\"custom\\""}', "generate", []),
        (b"{}", "compact", ["xai", "local", "compatible"]),
    ],
)
def test_what_only_openai_serves(body: bytes, operation: Operation, services: list[str]) -> None:
    assert [
        name for name in ("openai", "xai", "local", "compatible") if only_for_openai(body, operation, name)
    ] == services


def test_what_only_openai_has_becomes_functions_and_words() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    items: list[Any] = [
        {"type": "agent_message", "content": [{"type": "input_text", "text": "Go."}]},
        {"type": "custom_tool_call", "call_id": "1", "name": "patch", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "1", "output": "done"},
    ]
    space = {"type": "namespace", "name": "a", "tools": [{"type": "function", "name": "b", "parameters": {}}]}
    custom = {"type": "custom", "name": "patch", "description": "Patches.", "format": grammar}
    tools = [custom, space, {"type": "shell"}, {"type": "web_search"}, {"type": "image_generation"}]
    encoded = CODEC.encode_request(request(input=items, tools=tools), XAI, model="grok")
    body = wire(encoded.body)
    assert [tool.get("name", tool["type"]) for tool in body["tools"]] == ["patch", "a__b", "shell", "web_search"]
    assert {tool["type"] for tool in body["tools"]} == {"function", "web_search"}
    assert "start: WORD" in body["tools"][0]["description"]
    assert [item["type"] for item in body["input"]] == ["message", "function_call", "function_call_output"]
    assert body["input"][1]["arguments"] == '{"input":"x"}'
    assert [loss.field for loss in encoded.losses] == ["tools[0].format", "tools (image_generation)"]


@pytest.mark.parametrize(("service", "kinds"), [("xai", ["web_search", "mcp"]), ("lmstudio", ["mcp"]), ("ollama", [])])
def test_hosted_tools_go_where_they_are_run(service: str, kinds: list[str]) -> None:
    asked = request(tools=[{"type": "web_search"}, {"type": "mcp", "server_label": "s"}, {"type": "tool_search"}])
    losses: list[Loss] = []
    assert [tool.kind for tool in portable(asked, service, losses).hosted_tools] == kinds
    assert len(losses) == 2 - len(kinds)
