"""Refusals about tools, their schemas and their calls, as public reports quote them, and what heals them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bm.names import ProtocolName
from tests.remedies.heal import CHAT, CLAUDE, RESPONSES, healed, remedies

HI = {"role": "user", "content": "hi"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SAID = {"role": "assistant", "content": "I look.", "tool_calls": [CALL, CALL | {"id": "d"}]}
RESULTS = [{"role": "tool", "tool_call_id": name, "content": name} for name in "cd"]
USES = [
    HI,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
]
NOTHING = {"type": "object", "properties": {}}
CHOICE = {"type": "function", "function": {"name": "g"}}


def tool(parameters: Any) -> dict[str, Any]:
    return {"function": {"name": "f", "parameters": parameters}}


CASES: dict[str, tuple[ProtocolName, str, Any, Any]] = {
    "calls at once (Llama's template)": (
        CHAT,
        "This model only supports single tool-calls at once!",
        {"messages": [HI, SAID, *RESULTS]},
        {
            "messages": [
                HI,
                SAID | {"tool_calls": [CALL]},
                RESULTS[0],
                SAID | {"content": "", "tool_calls": [CALL | {"id": "d"}]},
                RESULTS[1],
            ]
        },
    ),
    "calls without tools (Bedrock)": (
        CHAT,
        "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        {"messages": [HI, SAID]},
        {
            "messages": [HI, SAID],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": NOTHING}}],
            "tool_choice": "none",
        },
    ),
    "calls without tools (Claude on Bedrock)": (
        CLAUDE,
        "Requests which include `tool_use` or `tool_result` blocks must define tools",
        {"messages": USES},
        {"messages": USES, "tools": [{"name": "f", "input_schema": NOTHING}], "tool_choice": {"type": "none"}},
    ),
    "types that are not said (Kimi)": (
        CHAT,
        "tools.function.parameters is not a valid moonshot flavored json schema, details: <At path 'properties.a': "
        "type is not defined>",
        {"tools": [tool({"type": "object", "properties": {"a": {"enum": [1]}, "b": {}, "c": {"items": {}}}})]},
        {
            "tools": [
                tool(
                    {
                        "type": "object",
                        "properties": {
                            "a": {"enum": [1], "type": "integer"},
                            "b": {"type": "string"},
                            "c": {"items": {"type": "string"}, "type": "array"},
                        },
                    }
                )
            ]
        },
    ),
    "a null among texts (Kimi)": (
        CHAT,
        "tools.function.parameters is not a valid moonshot flavored json schema, details: <At path 'properties.a': "
        "enum value (<nil>) does not match any type in [string]>",
        {"tools": [tool({"type": "object", "properties": {"a": {"type": "string", "enum": ["x", None]}}})]},
        {"tools": [tool({"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}}})]},
    ),
    "unions in strict tools (Claude)": (
        CLAUDE,
        "tools.0.custom: Schemas contains too many parameters with union types (20 parameters with type arrays)",
        {"tools": [{"name": "f", "strict": True, "input_schema": NOTHING}]},
        {"tools": [{"name": "f", "strict": False, "input_schema": NOTHING}]},
    ),
    "a function without parameters (MiniMax)": (
        CHAT,
        "invalid params, function parameters is empty (2013)",
        {"tools": [{"function": {"name": "f"}}]},
        {"tools": [tool(NOTHING)]},
    ),
    "a tool that is not there": (
        CHAT,
        "Invalid value for 'tool_choice': Tool choice 'g' not found in 'tools' parameter.",
        {"tools": [tool(NOTHING)], "tool_choice": CHOICE},
        {"tools": [tool(NOTHING)]},
    ),
    "a choice that is not among those listed (DashScope)": (
        CHAT,
        '<400> InternalError.Algo.InvalidParameter: tool_choice is one of the strings that should be ["none", "auto"]',
        {"messages": [HI], "tool_choice": "required"},
        {
            "messages": [{"role": "user", "content": "hi\n\nAnswer with a call of one of the tools."}],
            "tool_choice": "auto",
        },
    ),
    "a tool that asks for more thinking": (
        RESPONSES,
        "The following tools cannot be used with reasoning.effort 'minimal': web_search.",
        {"reasoning": {"effort": "minimal"}, "tools": [{"type": "web_search"}]},
        {"reasoning": {"effort": "low"}, "tools": [{"type": "web_search"}]},
    ),
    "strict tools that are not closed (Groq)": (
        CHAT,
        "invalid JSON schema for tool f, tools[0].function.parameters: `additionalProperties:false` must be set on "
        "every object",
        {"tools": [{"function": {"name": "f", "strict": True}}]},
        {"tools": [{"function": {"name": "f", "strict": False}}]},
    ),
    "arguments of a template": (
        CHAT,
        "Can only get item pairs from a mapping.",
        {"messages": [{"role": "assistant", "tool_calls": [CALL]}]},
        {"messages": [{"role": "assistant", "tool_calls": [CALL | {"function": {"name": "f", "arguments": {}}}]}]},
    ),
    "ids of nine letters (Mistral's template)": (
        CHAT,
        "Tool call IDs should be alphanumeric strings with length 9!",
        {"messages": [RESULTS[0] | {"tool_call_id": "123456789012"}]},
        {"messages": [RESULTS[0] | {"tool_call_id": "2a33349e7"}]},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_refusal_and_what_heals_it(case: tuple[ProtocolName, str, Any, Any]) -> None:
    protocol, message, body, expected = case
    assert healed(protocol, message, copy.deepcopy(body)) == expected


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (CHAT, "Image URLs are only allowed for messages with role 'user', but this message with role 'tool' has one."),
        (CHAT, "Invalid 'messages[1].tool_calls[0].function.name': string does not match pattern. Expected a string"),
        (CHAT, "Invalid request: tool call id edit:3 is duplicated"),
        (CHAT, "invalid params, invalid tool type: (2013)"),
        (CLAUDE, "Value '$X' at 'messages.1.member.content.1.member.toolUse.name' failed to satisfy constraint"),
        (CHAT, "invalid params, invalid function arguments json string, tool_call_id: c (2013)"),
        (CHAT, "Invalid value: 'allowed_tools'. Supported values are: 'function' and 'custom'."),
        (CHAT, "Invalid value: 'function'. Supported values are: 'system', 'assistant', 'user', and 'tool'."),
        (CHAT, "Message has tool role, but there was no previous assistant message with a tool call!"),
        (CLAUDE, "messages.2.content.0: all content must be type `text` if `is_error` is true"),
        (CLAUDE, "Expected toolResult blocks at messages.2.content for the following Ids: tooluse_a"),
    ],
)
def test_a_conversation_that_is_written_anew(protocol: ProtocolName, message: str) -> None:
    assert remedies(protocol, message, {"messages": []})[0] == "rewrite"
