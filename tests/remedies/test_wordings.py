"""Refusals of one kind in the words of several services, as public reports quote them."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from bm.names import ProtocolName
from bm.protocols.errors import decode_error
from bm.protocols.parameters import json_in_words
from bm.remedies.apply import treated
from bm.remedies.find import remedies_for
from tests.remedies.heal import CHAT, CLAUDE, GEMINI, RESPONSES, healed, remedies

HI = {"role": "user", "content": "hi"}
SAID = {"role": "assistant", "content": "ok"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLS = {"role": "assistant", "content": "x", "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "r"}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "f:0", "name": "f", "input": {}}]}
NAMED = {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"function": {"name": "f"}}}
REQUIRED = {"tools": [], "tool_choice": "required"}
JSON = {"response_format": {"type": "json_object"}, "tools": [1]}

EFFORTS = {
    'reasoning_effort "max" was provided, but model m does not support reasoning effort': None,
    'reasoning_effort "max" is not supported by model m; supported values: [high]': "high",
    "Error from provider: MiniMax M2 only accepts string reasoning_effort values ('low', 'medium', 'high').": "high",
    'Reasoning effort is not supported when using the "auto" model.': None,
    "Unexpected reasoning effort max. Supported types are xhigh (default), medium, and low.": "xhigh",
    "This model does not support effort level 'max'. Supported levels: high, low, medium.": "high",
    "reasoning_effort: expected one of `'low' | 'medium' | 'high'`, received `'max'`.": "high",
    "Invalid enum value. Expected 'low' | 'medium' | 'high', received 'max'": "high",
    'think value "max" is not supported for this model': "high",
    '"plain:7b" does not support thinking': None,
    "Invalid reasoning_effort: max. Allowed: [low, medium, high]": "high",
    "reasoning_effort 'max' is invalid, choose from low/medium/high": "high",
    "reasoning_effort only accepts low, medium, high for this model": "high",
    "API 调用参数有误，reasoning_effort 仅支持 low、medium、high": "high",
}


@pytest.mark.parametrize(("message", "level"), EFFORTS.items())
def test_a_level_of_thinking(message: str, level: str | None) -> None:
    expected = {} if level is None else {"reasoning_effort": level}
    assert healed(CHAT, message, {"reasoning_effort": "max"}, "reasoning_effort") == expected


UNKNOWN = (
    "Validation: Unsupported parameter(s): `store`, `user`",
    "[{'type': 'extra_forbidden', 'loc': ('body', 'store'), 'msg': 'Extra inputs are not permitted', 'input': True}]",
    "body -> store\n  Extra inputs are not permitted (type=extra_forbidden)\nbody -> user\n  Extra inputs",
    "Extra inputs are not permitted, field: 'store', value: True",
    'Upstream request failed: [invalid_request_error] invalid request body: json: unknown field "store"',
    "Malformed input request: #: extraneous key [store] is not permitted#: extraneous key [user] is not permitted",
    "Unrecognized key(s) in object: 'store', 'user'",
    "Additional properties are not allowed ('store', 'user' were unexpected)",
    "property store should not exist",
    "Argument not supported on this model: store",
)


@pytest.mark.parametrize("message", UNKNOWN)
def test_unknown_members_all_at_once(message: str) -> None:
    every = message.count("user") or "(type" in message
    assert healed(CHAT, message, {"store": True, "user": "me", "n": 1}) == ({} if every else {"user": "me"}) | {"n": 1}


LENGTHS = {
    "max_tokens (current value: 65536) must be between 0 and 32768 ": 32_768,
    "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]": 8_192,
    "max_tokens 参数非法：取值范围 [1, 50000]": 50_000,
    "max_tokens exceeds the limit of 32k for this model": 32_768,
    "max_tokens must be less than or equal to 16_384": 16_384,
    "invalid params, max_tokens must be in (0, 40960] (2013)": 40_960,
    "The maximum tokens you requested exceeds the model limit of 64000. Try again with a lower value.": 64_000,
    "Invalid request: Your request exceeded model token limit: 262144 (requested: 280000)": 47_680,
    "Invalid request: max_tokens is too large": None,
    "This endpoint's maximum context length is 70000 tokens. However, you requested about 75536 tokens (6000 of text "
    "input, 4000 of tool input, 65536 in the output).": 60_000,
}


@pytest.mark.parametrize(("message", "most"), LENGTHS.items())
def test_the_length_of_an_answer(message: str, most: int | None) -> None:
    assert healed(CHAT, message, {"max_tokens": 65_536}) == ({} if most is None else {"max_tokens": most})


OTHERS: dict[str, tuple[ProtocolName, str, Any, Any]] = {
    "a choice by its word alone": (
        CHAT,
        "code=400, message=Only allowed string values for 'tool_choice' are [none, auto, required]",
        NAMED,
        NAMED | {"tool_choice": "required"},
    ),
    "a choice of Cohere": (
        CHAT,
        "invalid request: tool_choice must be one of 'NONE', 'REQUIRED'",
        NAMED,
        NAMED | {"tool_choice": "required"},
    ),
    "no forced choice while thinking": (
        CHAT,
        "The tool_choice parameter does not support being set to required or object in thinking mode",
        {"messages": [HI], "tool_choice": "required"},
        {
            "messages": [{"role": "user", "content": "hi\n\nAnswer with a call of one of the tools."}],
            "tool_choice": "auto",
        },
    ),
    "no tools but a choice": (CHAT, "When using `tool_choice`, `tools` must be set.", REQUIRED, {}),
    "an empty list of tools": (CHAT, "tools: List should have at least 1 item after validation, not 0", REQUIRED, {}),
    "a number above an open end": (
        CHAT,
        "Input validation error: `top_p` must be > 0.0 and < 1.0",
        {"top_p": 1, "n": 1},
        {"n": 1},
    ),
    "a number on an open end": (CHAT, "invalid params, temperature must be in (0, 1]", {"temperature": 0}, {}),
    "a number that has to be positive": (CHAT, "`temperature` must be strictly positive", {"temperature": 0}, {}),
    "a number within": (CHAT, "temperature should be within [0, 1]", {"temperature": 1.8}, {"temperature": 1}),
    "all of sampling": (
        CHAT,
        "Sampling parameters (temperature, top_p) are not supported for this model.",
        {"temperature": 1, "top_p": 1, "n": 1},
        {"n": 1},
    ),
    "both of two, of which one has to stay": (
        CHAT,
        "thinking and reasoning_effort cannot both be set",
        {"reasoning_effort": "high", "thinking": {"type": "enabled"}},
        {"thinking": {"type": "enabled"}},
    ),
    "one stop sequence": (CHAT, "stop only supports 1 stop word", {"stop": ["a", "b"]}, {"stop": ["a"]}),
    "fewer tools": (
        CHAT,
        "Maximum number of tools exceeded: 1",
        {"tools": [{"function": {"name": "a"}}, {"function": {"name": "b"}}]},
        {"tools": [{"function": {"name": "a"}}]},
    ),
    "a form of the answer beside tools (Cerebras)": (
        CHAT,
        '"tools" is incompatible with "response_format"',
        JSON | {"messages": [HI]},
        {"messages": [{"role": "system", "content": json_in_words(None)}, HI], "tools": [1]},
    ),
    "a form of the answer beside tools (Fireworks)": (
        CHAT,
        "You cannot specify response format and function call at the same time",
        JSON | {"messages": [HI]},
        {"messages": [{"role": "system", "content": json_in_words(None)}, HI], "tools": [1]},
    ),
    "the word JSON among the messages of Responses": (
        RESPONSES,
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
        {"input": "hi", "instructions": "Use JSON.", "text": {"format": {"type": "json_object"}}},
        {
            "input": [{"role": "developer", "content": "Answer with JSON."}, HI],
            "instructions": "Use JSON.",
            "text": {"format": {"type": "json_object"}},
        },
    ),
    "a strict form of the answer that is not closed": (
        CHAT,
        "Invalid schema for response_format 'a': In context=(), 'additionalProperties' is required to be supplied "
        "and to be false.",
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "strict": True}}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "strict": False}}},
    ),
    "an array without items": (
        CHAT,
        "Invalid schema for function 'f': In context=('properties', 'a'), array schema missing items.",
        {"tools": [{"function": {"name": "f", "parameters": {"properties": {"a": {"type": "array"}}}}}]},
        {
            "tools": [
                {
                    "function": {
                        "name": "f",
                        "parameters": {"type": "object", "properties": {"a": {"type": "array", "items": {}}}},
                    }
                }
            ]
        },
    ),
    "a tool of Claude without a schema": (
        CLAUDE,
        "tools.0.custom.input_schema: Field required",
        {"tools": [{"name": "f"}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]},
    ),
    "keywords that Claude refuses, also those it has not named": (
        CLAUDE,
        "output_config.format.schema: For 'integer' type, property maximum is not supported",
        {"output_config": {"format": {"type": "json_schema", "schema": {"maximum": 2, "multipleOf": 3}}}},
        {
            "output_config": {
                "format": {"type": "json_schema", "schema": {"description": "{maximum: 2, multipleOf: 3}"}}
            }
        },
    ),
    "strict tools of Claude": (
        CLAUDE,
        "tools.0.custom: For 'object' type, 'additionalProperties' must be explicitly set to false",
        {"tools": [{"name": "f", "strict": True}]},
        {"tools": [{"name": "f", "strict": False}]},
    ),
    "another version of one of Claude's tools": (
        CLAUDE,
        "'m' does not support tool types: web_search_20260209. Did you mean one of web_search_20250305?",
        {"tools": [{"type": "web_search_20260209", "name": "web_search"}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    ),
    "a search, in whatever version": (
        CLAUDE,
        "The use of the web search tool is not supported.",
        {"tools": [{"type": "web_search_20250305"}, {"name": "f"}]},
        {"tools": [{"name": "f"}]},
    ),
    "Google's search": (
        GEMINI,
        "Search Grounding is not supported.",
        {"tools": [{"functionDeclarations": []}, {"googleSearch": {}}]},
        {"tools": [{"functionDeclarations": []}]},
    ),
    "Google's own tools beside functions": (
        GEMINI,
        "Multiple tools are supported only when they are all search tools.",
        {"tools": [{"functionDeclarations": []}, {"googleSearch": {}}, {"codeExecution": {}}]},
        {"tools": [{"functionDeclarations": []}]},
    ),
    "names among which Google's model may not choose": (
        GEMINI,
        "Function calling config: allowed_function_names should be set only when the function calling mode is ANY.",
        {"toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}},
    ),
    "a member of Gemini in snake_case": (
        GEMINI,
        "Thinking level MINIMAL is not supported for this model. Please retry with other thinking level.",
        {"generation_config": {"thinking_config": {"thinking_level": "minimal"}, "response_schema": {"a_b": 1}}},
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}, "responseSchema": {"a_b": 1}}},
    ),
    "ids of calls that Gemini does not know": (
        GEMINI,
        "Unknown name \"id\" at 'contents[0].parts[0].function_call': Cannot find field.",
        {"contents": [{"parts": [{"functionCall": {"id": "1"}}]}, {"parts": [{"functionResponse": {"id": "1"}}]}]},
        {"contents": [{"parts": [{"functionCall": {}}]}, {"parts": [{"functionResponse": {}}]}]},
    ),
    "a part that holds nothing": (
        GEMINI,
        "* GenerateContentRequest.contents[0].parts[0].data: oneof field 'data' must have one initialized field",
        {"contents": [{"role": "model", "parts": [{"thought": True}]}, {"role": "user", "parts": [{"text": "b"}]}]},
        {"contents": [{"role": "user", "parts": [{"text": "b"}]}]},
    ),
    "a budget of thinking": (
        GEMINI,
        "Thinking budget is not supported for this model. Please use thinking level instead.",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 5}, "topK": 1}},
        {"generationConfig": {"topK": 1}},
    ),
    "a result of nothing": (
        CHAT,
        "Invalid request: the message at position 2 with role 'tool' must not be empty",
        {"messages": [HI, CALLS, RESULT | {"content": ""}]},
        {"messages": [HI, CALLS, RESULT | {"content": "(no output)"}]},
    ),
    "a message of nothing": (
        CHAT,
        "Each message must have at least one content element.",
        {"messages": [HI, SAID | {"content": ""}, HI]},
        {"messages": [HI, HI]},
    ),
    "an empty list of calls": (
        CHAT,
        "Invalid 'messages[1].tool_calls': empty array. Expected an array with minimum length 1.",
        {"messages": [SAID | {"tool_calls": []}]},
        {"messages": [SAID]},
    ),
    "content and thinking beside calls": (
        CHAT,
        "Cannot pass both content and thinking in an assistant message with tool calls! Invalid request",
        {"messages": [CALLS | {"reasoning_content": "t"}]},
        {"messages": [CALLS]},
    ),
    "thinking at DeepSeek's Anthropic endpoint": (
        CLAUDE,
        "The content[].thinking in the thinking mode must be passed back to the API.",
        {"messages": [USE]},
        {"messages": [USE | {"content": [{"type": "thinking", "thinking": " ", "signature": ""}, *USE["content"]]}]},
    ),
    "a signature beside a call": (
        CHAT,
        "Function call is missing a thought_signature in functionCall parts.",
        {"messages": [CALLS]},
        {
            "messages": [
                CALLS
                | {
                    "tool_calls": [
                        CALL | {"extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}}
                    ]
                }
            ]
        },
    ),
    "a system role of messages": (
        CLAUDE,
        "messages.1.role: Input should be 'user' or 'assistant'",
        {"messages": [{"role": "system", "content": "s"}, HI]},
        {"messages": [HI], "system": "s"},
    ),
    "a developer": (
        CHAT,
        "Input tag 'developer' found using 'role' does not match any of the expected tags: 'system', 'user'",
        {"messages": [{"role": "developer", "content": "s"}]},
        {"messages": [{"role": "system", "content": "s"}]},
    ),
    "a system role of o1": (
        CHAT,
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        {"messages": [{"role": "system", "content": "s"}, HI]},
        {"messages": [{"role": "user", "content": "s\n\nhi"}]},
    ),
    "an answer that is begun": (
        CHAT,
        "The last message of conversation must be a user/tool message, or an assistant message with prefix mode on.",
        {"messages": [HI, SAID]},
        {"messages": [HI, SAID, {"role": "user", "content": "Continue."}]},
    ),
    "two answers at the end": (
        CHAT,
        "Cannot have 2 or more assistant messages at the end of the list.",
        {"messages": [HI, SAID, SAID]},
        {"messages": [HI, {"role": "assistant", "content": "ok\n\nok"}]},
    ),
    "a result as text": (
        RESPONSES,
        "Output of tool call should be 'Input text'",
        {"input": [{"type": "function_call_output", "output": [{"type": "input_text", "text": "a"}]}]},
        {"input": [{"type": "function_call_output", "output": "a"}]},
    ),
    "Go's types": (
        CHAT,
        "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
        {"messages": [{"role": "user", "content": "a"}]},
    ),
    "probabilities, under whatever name": (
        RESPONSES,
        "Unsupported parameter: 'logprobs' is not supported with this model.",
        {"top_logprobs": 3, "include": ["message.output_text.logprobs"]},
        {},
    ),
    "a value of a list": (
        RESPONSES,
        "Invalid value: 'x.y'. Supported values are: 'file_search_call.results', and 'reasoning.encrypted_content'.",
        {"include": ["x.y", "z"]},
        {"include": ["z"]},
    ),
    "streams only": (
        CHAT,
        "This model only support stream mode, please enable the stream parameter.",
        {},
        {"stream": True},
    ),
    "nothing stored": (RESPONSES, "Store must be set to false", {"store": True}, {"store": False}),
    "the longest id of a call": (
        RESPONSES,
        "Invalid 'input[0].call_id': string too long. Expected a string with maximum length 9, but got 12 instead.",
        {"input": [{"call_id": "123456789012"}]},
        {"input": [{"call_id": "2a33349e7"}]},
    ),
}


@pytest.mark.parametrize("case", OTHERS.values(), ids=OTHERS)
def test_a_refusal_and_what_heals_it(case: tuple[ProtocolName, str, Any, Any]) -> None:
    protocol, message, body, expected = case
    param = "include[0]" if "x.y" in message else ""
    assert healed(protocol, message, copy.deepcopy(body), param) == expected


REWRITTEN: dict[str, tuple[ProtocolName, str]] = {
    "an item of another vendor's": (RESPONSES, "Unsupported Responses API input item type: 'additional_tools' None"),
    "an item that is not named": (RESPONSES, "Invalid input"),
    "a tool that is no function": (RESPONSES, "'type' of tool must be 'function'"),
    "a file without a name": (RESPONSES, "Missing required parameter: 'input[0].content[0].filename'."),
    "a tool twice": (CHAT, "Invalid request: function name f is duplicated"),
    "a result without a call (MiniMax)": (CHAT, "invalid params, tool result's tool id(call_x) not found (2013)"),
    "a result far from its call (MiniMax)": (CHAT, "invalid params, tool call result does not follow tool call (2013)"),
    "a result without a call (Kimi)": (CHAT, "Invalid request: tool_call_id  is not found"),
    "ids that repeat": (CLAUDE, "messages.3.content.0: `tool_use` ids must be unique"),
    "two results of a call": (CLAUDE, "messages.2.content.1: each tool_use must have a single result."),
}


@pytest.mark.parametrize("case", REWRITTEN.values(), ids=REWRITTEN)
def test_a_conversation_that_is_written_anew(case: tuple[ProtocolName, str]) -> None:
    assert remedies(case[0], case[1], {"messages": []})[0] == "rewrite"


def test_the_api_that_serves_a_model() -> None:
    for message in (
        'model "gpt-5.4" is not accessible via the /chat/completions endpoint',
        "The chatCompletion operation does not work with the specified model, gpt-5-codex.",
    ):
        assert remedies(CHAT, message, {}) == ["speak (openai-responses)"]
    assert remedies(RESPONSES, "model gpt-4o does not support Responses API.", {})[0] == "speak (openai-chat)"


def test_betas_that_a_service_does_not_know() -> None:
    assert remedies(CLAUDE, "invalid beta flag", {}) == ["drop values anthropic-beta (*)"]


def test_a_reason_in_the_place_of_a_members_name() -> None:
    reason = "The reasoning_content in the thinking mode must be passed back to the API."
    body = {"messages": [HI, copy.deepcopy(CALLS), RESULT]}
    assert healed(CHAT, "Param Incorrect", body, reason)["messages"][1]["reasoning_content"] == " "


def test_the_signatures_of_openrouter_stand_in_the_details_of_the_reasoning() -> None:
    raw = msgspec.json.encode(
        {"error": {"message": "Function call is missing a thought_signature in functionCall parts."}}
    )
    error = {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw.decode()}}
    failure = decode_error(400, {}, msgspec.json.encode({"error": error}))
    body = msgspec.json.encode({"messages": [CALLS]})
    changed, _ = treated(body, next(remedies_for(failure, body, CHAT)), CHAT)
    (detail,) = msgspec.json.decode(changed)["messages"][0]["reasoning_details"]
    assert (detail["type"], detail["id"], detail["data"]) == (
        "reasoning.encrypted",
        "c",
        "skip_thought_signature_validator",
    )


def test_tools_are_not_left_out_where_a_text_of_one_is_too_long() -> None:
    body = {"tools": [{"function": {"name": name}} for name in "abc"]}
    message = "Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 2, but got 3."
    assert not any("fewer" in each for each in remedies(CHAT, message, body))
