"""What models have refused for its schemas."""

from __future__ import annotations

from bm.chat.request import ChatRequest, OutputFormat, Tool
from bm.gateway.refused_schemas import MAX_SETS, RefusedSchemas

MODEL = ("gemini", "gemini-3-flash")
GOOD = Tool("good", schema={"type": "object", "properties": {"a": {"type": "string"}}})
BAD = Tool("bad", schema={"type": "object", "properties": {"a": {"type": "string", "pattern": "["}}})


def asking(*tools: Tool, output: OutputFormat | None = None) -> ChatRequest:
    return ChatRequest(protocol="anthropic", model="m", turns=(), tools=tools, output=output or OutputFormat())


def test_more_tools_beside_the_refused_ones_change_nothing_fewer_may() -> None:
    refused = RefusedSchemas()
    refused.learn(MODEL, asking(BAD))
    assert (MODEL, asking(GOOD, BAD)) in refused
    assert (MODEL, asking(GOOD)) not in refused
    assert (MODEL, asking()) not in refused
    assert (("gemini", "gemini-3-pro"), asking(BAD)) not in refused


def test_a_smaller_set_takes_the_place_of_a_larger_one() -> None:
    refused = RefusedSchemas()
    refused.learn(MODEL, asking(GOOD, BAD))
    assert (MODEL, asking(BAD)) not in refused
    refused.learn(MODEL, asking(BAD))
    assert (MODEL, asking(BAD)) in refused


def test_a_tool_with_another_schema_is_another_tool() -> None:
    refused = RefusedSchemas()
    refused.learn(MODEL, asking(BAD))
    assert (MODEL, asking(Tool("bad", schema={"type": "object"}))) not in refused
    assert (MODEL, asking(Tool("bad", description="other words", schema=BAD.schema))) in refused


def test_the_schema_of_the_answer_counts_like_a_tool() -> None:
    refused, output = RefusedSchemas(), OutputFormat("schema", BAD.schema)
    refused.learn(MODEL, asking(output=output))
    assert (MODEL, asking(GOOD, output=output)) in refused
    assert (MODEL, asking(BAD)) not in refused


def test_a_request_without_schemas_teaches_nothing() -> None:
    refused = RefusedSchemas()
    refused.learn(MODEL, asking(Tool("bare")))
    assert (MODEL, asking(Tool("bare"))) not in refused


def test_the_latest_refusals_are_remembered() -> None:
    refused = RefusedSchemas()
    tools = [Tool(f"tool-{number}", schema={}) for number in range(MAX_SETS + 1)]
    for tool in tools:
        refused.learn(MODEL, asking(tool))
    assert (MODEL, asking(tools[0])) not in refused
    assert all((MODEL, asking(tool)) in refused for tool in tools[1:])
