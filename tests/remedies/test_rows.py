"""Vendors' refusals, and the requests that come of them."""

from __future__ import annotations

from typing import Any

import pytest

from bm.names import ProtocolName
from bm.protocols.parameters import json_in_words
from bm.remedies.rows import ROWS
from tests.remedies.heal import CHAT, CLAUDE, GEMINI, RESPONSES, healed, remedies

HI = {"role": "user", "content": "hi"}
THINK = {"type": "enabled", "budget_tokens": 5000}

CASES: dict[str, tuple[ProtocolName, str, Any, Any]] = {
    "a member that is renamed": (
        CHAT,
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        {"max_tokens": 9},
        {"max_completion_tokens": 9},
    ),
    "a renamed member that is unknown": (
        CHAT,
        "Unrecognized request argument supplied: max_completion_tokens",
        {"max_completion_tokens": 9},
        {"max_tokens": 9},
    ),
    "an unsupported parameter": (
        CHAT,
        "Unsupported parameter: 'temperature' is not supported with this model.",
        {"temperature": 0, "top_p": 1},
        {"top_p": 1},
    ),
    "several unknown arguments": (
        CHAT,
        "Unrecognized request arguments supplied: seed, store",
        {"seed": 1, "store": True, "n": 1},
        {"n": 1},
    ),
    "a nested member": (
        CLAUDE,
        "messages.0.content.0.foo: Extra inputs are not permitted",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "foo": 1}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
    ),
    "a member behind the type of its message": (
        CHAT,
        "body.messages.1.assistant.reasoning_content: Extra inputs are not permitted",
        {"messages": [HI, {"role": "assistant", "content": "a", "reasoning_content": "r"}]},
        {"messages": [HI, {"role": "assistant", "content": "a"}]},
    ),
    "Groq's property": (
        CHAT,
        "'messages.1' : for 'role:assistant' the following must be satisfied"
        "[('messages.1' : property 'reasoning_content' is unsupported)]",
        {"messages": [HI, {"role": "assistant", "content": "a", "reasoning_content": "r"}]},
        {"messages": [HI, {"role": "assistant", "content": "a"}]},
    ),
    "a name that is meant to be another": (
        CHAT,
        "property 'store' is unsupported, did you mean 'stop'?",
        {"store": True, "stop": ["x"]},
        {"stop": ["x"]},
    ),
    "Fireworks' field": (
        CHAT,
        "Extra inputs are not permitted, field: 'messages[0].cache_control'",
        {"messages": [HI | {"cache_control": {}}, HI | {"cache_control": {}}]},
        {"messages": [HI, HI]},
    ),
    "Google's unknown name": (
        GEMINI,
        "Invalid JSON payload received. Unknown name \"foo\" at 'generation_config': Cannot find field.",
        {"contents": [], "generationConfig": {"foo": 1, "topK": 2}},
        {"contents": [], "generationConfig": {"topK": 2}},
    ),
    "serde's unknown field": (
        CHAT,
        "Failed to deserialize the JSON body into the target type: messages[0]: unknown field `name`",
        {"messages": [HI | {"refusal": None}], "user": "me"},
        None,
    ),
    "xAI's parameter in camel case": (
        CHAT,
        "Model grok-4.6 does not support parameter presencePenalty.",
        {"presence_penalty": 0, "frequency_penalty": 0},
        {},
    ),
    "Google's penalties": (
        GEMINI,
        "Penalty is not enabled for models/gemini-2.5-flash",
        {"generationConfig": {"presencePenalty": 1, "frequencyPenalty": 1, "topK": 1}},
        {"generationConfig": {"topK": 1}},
    ),
    "Claude's sampling": (
        CLAUDE,
        "`temperature` is deprecated for this model.",
        {"temperature": 1, "top_k": 2, "max_tokens": 3},
        {"max_tokens": 3},
    ),
    "one of two": (
        CLAUDE,
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        {"temperature": 1, "top_p": 0.5},
        {"temperature": 1},
    ),
    "a value that is the only one": (
        CHAT,
        "invalid temperature: only 1 is allowed for this model",
        {"temperature": 0.2},
        {},
    ),
    "a listed level": (
        CHAT,
        "Unsupported value: 'reasoning_effort' does not support 'none' with this model. "
        "Supported values are: 'low', 'medium', and 'high'.",
        {"reasoning_effort": "none"},
        {"reasoning_effort": "low"},
    ),
    "pydantic's literals": (
        CHAT,
        "1 validation error:\n  {'type': 'literal_error', 'loc': ('body', 'reasoning_effort'), "
        "'msg': \"Input should be 'low', 'medium' or 'high'\", 'input': 'xhigh'}",
        {"reasoning_effort": "xhigh"},
        {"reasoning_effort": "high"},
    ),
    "a level in a nested member": (
        RESPONSES,
        "Unsupported value: 'low' is not supported with the 'm' model. Supported values are: 'medium', and 'high'.",
        {"reasoning": {"effort": "low"}},
        {"reasoning": {"effort": "medium"}},
    ),
    "an unlisted level": (
        GEMINI,
        "Thinking level MINIMAL is not supported for this model. Please retry with other thinking level.",
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}},
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
    ),
    "thinking that cannot be disabled": (
        CHAT,
        "This model always engages in thinking and cannot be disabled; please use low, high, or max",
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "low"},
    ),
    "the most tokens of an answer": (
        CLAUDE,
        "max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5",
        {"max_tokens": 128_000},
        {"max_tokens": 64_000},
    ),
    "Google's range of an answer": (
        GEMINI,
        "Unable to submit request because it has a maxOutputTokens value of 128000 but the supported range is from 1 "
        "(inclusive) to 65537 (exclusive). Update the value and try again.",
        {"generationConfig": {"maxOutputTokens": 128_000}},
        {"generationConfig": {"maxOutputTokens": 65_536}},
    ),
    "Google's range of a number": (
        GEMINI,
        "Unable to submit request because it has a topK value of 64 but the supported range is from 1 (inclusive) to "
        "41 (exclusive). Update the value and try again.",
        {"generationConfig": {"topK": 64}},
        {"generationConfig": {"topK": 40}},
    ),
    "DeepSeek's range of an answer": (
        CHAT,
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        {"max_tokens": 9000},
        {"max_tokens": 8192},
    ),
    "an answer that does not fit beside the prompt": (
        CHAT,
        "This model's maximum context length is 32768 tokens and your request has 5000 input tokens "
        "(32000 > 32768 - 5000).",
        {"max_tokens": 32_000},
        {"max_tokens": 27_768},
    ),
    "an answer that is not paid for": (
        CHAT,
        "This request requires more credits, or fewer max_tokens. You requested up to 9000, but can only afford 4100.",
        {"max_tokens": 9000},
        {"max_tokens": 4100},
    ),
    "the least of a number": (
        RESPONSES,
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 1 instead.",
        {"max_output_tokens": 1},
        {"max_output_tokens": 16},
    ),
    "a range of a number": (CLAUDE, "temperature: range: 0..1", {"temperature": 1.5}, {"temperature": 1}),
    "an invented limit": (
        CHAT,
        "top_k: Input should be less than or equal to 40",
        {"top_k": 64},
        {"top_k": 40},
    ),
    "a list that is too long": (
        CHAT,
        "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 5.",
        {"stop": ["a", "b", "c", "d", "e"]},
        {"stop": ["a", "b", "c", "d"]},
    ),
    "a budget where thinking is adaptive": (
        CLAUDE,
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
        '"output_config.effort" to control thinking behavior.',
        {"thinking": THINK},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
    ),
    "a budget above the answer": (
        CLAUDE,
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
        {"thinking": THINK, "max_tokens": 3000},
        {"thinking": {"type": "enabled", "budget_tokens": 2999}, "max_tokens": 3000},
    ),
    "an effort without thinking": (
        CLAUDE,
        "output_config.effort 'xhigh' is not supported when thinking is disabled on this model. Use effort 'high' or "
        "below, or enable thinking.",
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "xhigh"}},
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
    ),
    "an effort that is none": (
        CLAUDE,
        "This model does not support the effort parameter.",
        {"output_config": {"effort": "low"}, "max_tokens": 1},
        {"max_tokens": 1},
    ),
    "a forced call": (
        CLAUDE,
        'tool_choice: type "tool" and "any" are not supported for this model.',
        {"tool_choice": {"type": "tool", "name": "f"}, "messages": [HI]},
        {
            "tool_choice": {"type": "auto"},
            "messages": [{"role": "user", "content": "hi\n\nCall the tool f now."}],
        },
    ),
    "a choice without tools": (
        RESPONSES,
        "Invalid request content: A tool_choice was set on the request but no tools were specified.",
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": False},
        {},
    ),
    "a beginning of the answer": (
        GEMINI,
        "Requests ending with a model turn are not supported.",
        {"contents": [{"role": "model", "parts": [{"text": "a"}]}]},
        {"contents": [{"role": "model", "parts": [{"text": "a"}]}, {"role": "user", "parts": [{"text": "Continue."}]}]},
    ),
    "a role after a result": (
        CHAT,
        "Unexpected role 'user' after role 'tool'",
        {"messages": [{"role": "tool", "content": "r"}, HI]},
        {"messages": [{"role": "tool", "content": "r"}, {"role": "assistant", "content": "Understood."}, HI]},
    ),
    "a role that is unknown": (
        CHAT,
        "The request is invalid: developer is not one of ['system', 'assistant', 'user', 'tool', 'function']",
        {"messages": [{"role": "developer", "content": "d"}]},
        {"messages": [{"role": "system", "content": "d"}]},
    ),
    "a missing reasoning": (
        CHAT,
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2",
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}], "reasoning_content": " "}]},
    ),
    "foreign thinking": (
        CLAUDE,
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        {"messages": [{"role": "assistant", "content": [{"type": "thinking"}, {"type": "text", "text": "t"}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "text", "text": "t"}]}]},
    ),
    "a schema for the answer": (
        CHAT,
        "This response_format type is unavailable now",
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}, "messages": []},
        {
            "response_format": {"type": "json_object"},
            "messages": [{"role": "system", "content": json_in_words({"type": "object"})}],
        },
    ),
    "a retired value": (
        RESPONSES,
        "Invalid value: 'in_memory'. Only '24h' is supported with this model.",
        {"prompt_cache_retention": "in_memory"},
        None,
    ),
    "an unknown refusal": (CHAT, "We do not like this.", {"messages": [HI], "seed": 1}, None),
    "what the request is about": (CHAT, "Unsupported parameter: 'messages'", {"messages": [HI]}, None),
    "a caller's mistake": (
        CHAT,
        "Invalid type for 'temperature': expected a number, but got a string instead.",
        {"temperature": "hot"},
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_changes_the_request(name: str) -> None:
    protocol, message, body, expected = CASES[name]
    assert healed(protocol, message, body) == expected


def test_the_parameter_at_fault_counts_where_the_words_name_none() -> None:
    message = "Invalid value: 'in_memory'. Only '24h' is supported with this model."
    assert healed(RESPONSES, message, {"prompt_cache_retention": "in_memory"}, "prompt_cache_retention") == {}


def test_another_api_is_a_remedy_too() -> None:
    message = "This model is only supported in v1/responses and not in v1/chat/completions."
    assert remedies(CHAT, message, {}, status=404)[0] == "speak (openai-responses)"
    assert remedies(RESPONSES, "Tool 'x' is not supported with this model.", {})[-1] == "rewrite"


@pytest.mark.parametrize(
    "message",
    [
        "messages.83.content.0.tool_result.content.1.image.source.base64: The image was specified using the image/jpeg "
        "media type, but the image appears to be a image/png image",
        "tools.0.custom.input_schema.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'",
        "tools: Tool names must be unique.",
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.",
    ],
)
def test_what_translation_repairs_is_written_anew(message: str) -> None:
    assert remedies(CLAUDE, message, {})[0] == "rewrite"


def test_betas_that_are_not_known_leave_the_header() -> None:
    message = "Unexpected value(s) `fast-mode-2026-02-01`, `x-1` for the `anthropic-beta` header. Please consult ..."
    assert remedies(CLAUDE, message, {}) == ["drop values anthropic-beta (fast-mode-2026-02-01, x-1)"]


def test_every_row_says_who_says_it() -> None:
    assert all(row.services for row in ROWS)


NAMED_OTHERWISE: dict[str, tuple[ProtocolName, str, Any, Any]] = {
    "too many members": (
        CHAT,
        "Invalid 'metadata': too many properties. Expected an object with at most 1 properties, but got 2.",
        {"metadata": {"a": "1", "b": "2"}},
        {"metadata": {"a": "1"}},
    ),
    "metadata that is no text": (
        CHAT,
        "Invalid type for 'metadata.turn': expected a string, but got an integer instead.",
        {"metadata": {"turn": 1, "a": "b"}},
        {"metadata": {"a": "b"}},
    ),
    "a name with a blank": (
        CHAT,
        "Invalid 'messages[0].name': string does not match pattern. Expected a string that matches the pattern '^x$'.",
        {"messages": [HI | {"name": "Jo Doe"}]},
        {"messages": [HI]},
    ),
    "a fraction": (
        CLAUDE,
        "max_tokens: Input should be a valid integer, got a number with a fractional part",
        {"max_tokens": 1000.5},
        {"max_tokens": 1000},
    ),
    "a number as Zod says it": (
        CHAT,
        "temperature: Too big: expected number to be <=2",
        {"temperature": 3},
        {"temperature": 2},
    ),
    "a list as Zod says it": (
        CHAT,
        "stop: Too big: expected array to have <=1 items",
        {"stop": ["a", "b"]},
        {"stop": ["a"]},
    ),
    "a list as OpenRouter says it": (
        CHAT,
        "'models' array must have 1 items or fewer.",
        {"models": ["a", "b"]},
        {"models": ["a"]},
    ),
    "a list as Z.AI says it": (CHAT, "stop 参数非法，最多支持1个", {"stop": ["a", "b"]}, {"stop": ["a"]}),
    "a list by Bedrock's name": (
        CHAT,
        "Value at 'inferenceConfig.stopSequences' failed to satisfy constraint: Member must have length less than or "
        "equal to 1",
        {"stop": ["a", "b"]},
        {"stop": ["a"]},
    ),
    "a member by Bedrock's name": (CHAT, "This model doesn't support the stopSequences field.", {"stop": ["a"]}, {}),
    "a range that is open above": (CHAT, "temperature 参数非法。取值范围是(0.0,1.0)", {"temperature": 1.5}, {}),
    "a number without a name of its own": (
        CHAT,
        "Requested sample logprobs of 30, which is greater than max allowed: 20",
        {"logprobs": True, "top_logprobs": 30},
        {"logprobs": True, "top_logprobs": 20},
    ),
    "a name at the head of the sentence": (CHAT, "n must be 1 when using greedy sampling, got 2.", {"n": 2}, {}),
    "a seed that is too large": (
        GEMINI,
        "Invalid value at 'generation_config.seed' (TYPE_INT32), 4294967295",
        {"generationConfig": {"seed": 4294967295, "topK": 1}},
        {"generationConfig": {"topK": 1}},
    ),
    "a long answer that has to be streamed": (
        CHAT,
        "Requests with max_tokens > 4096 must have stream=true",
        {"max_tokens": 9000},
        {"max_tokens": 9000, "stream": True},
    ),
    "an account that may not stream": (
        CHAT,
        "Your organization must be verified to stream this model.",
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": False},
    ),
    "tools that are not streamed": (
        CHAT,
        "This model doesn't support tool use in streaming mode.",
        {"stream": True},
        {"stream": False},
    ),
    "a tier that a model lacks": (CHAT, "Flex is not available for this model.", {"service_tier": "flex"}, {}),
    "a search that is gone": (CHAT, "Live search is deprecated.", {"search_parameters": {}}, {}),
    "an empty stop sequence": (CHAT, "stop cannot contain an empty string.", {"stop": ["", "a"]}, {"stop": ["a"]}),
    "an empty text": (
        CHAT,
        "Invalid request: text content is empty",
        {"messages": [HI, HI | {"content": ""}]},
        {"messages": [HI]},
    ),
    "an empty system prompt": (
        CLAUDE,
        "system: text content blocks must be non-empty",
        {"system": [{"type": "text", "text": ""}], "messages": [HI]},
        {"system": [], "messages": [HI]},
    ),
    "content that is missing": (
        CHAT,
        "Failed to deserialize the JSON body into the target type: messages[1]: missing field `content`",
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}], "content": ""}]},
    ),
    "no user (Qwen's template)": (
        CHAT,
        "No user query found in messages.",
        {"messages": [{"role": "assistant", "content": "a"}]},
        {"messages": [{"role": "user", "content": "Continue."}, {"role": "assistant", "content": "a"}]},
    ),
    "a form of the answer whose name is not taken": (
        CHAT,
        "Invalid 'response_format.json_schema.name': string does not match pattern. Expected a string that matches",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a_b", "schema": {}}}},
    ),
    "a form of the answer without a name": (
        RESPONSES,
        "Missing required parameter: 'text.format.name'.",
        {"text": {"format": {"type": "json_schema", "schema": {}}}},
        {"text": {"format": {"type": "json_schema", "schema": {}, "name": "answer"}}},
    ),
    "members that hold nothing": (
        CHAT,
        "Invalid type for 'messages[0].function_call': expected an object, but got null instead.",
        {"messages": [HI | {"function_call": None, "refusal": None}]},
        {"messages": [HI]},
    ),
    "a member that must not be null": (
        CHAT,
        "'messages.1' : for 'role:assistant' the following must be satisfied"
        "[('messages.1.function_call' : value must not be null)]",
        {"messages": [HI, {"role": "assistant", "content": "a", "function_call": None, "tool_calls": None}]},
        {"messages": [HI, {"role": "assistant", "content": "a"}]},
    ),
    "a text in place of a list": (
        CHAT,
        "json: cannot unmarshal string into Go struct field ChatCompletionRequest.stop of type []string",
        {"stop": "a"},
        {"stop": ["a"]},
    ),
    "a value that is not among those accepted": (
        CHAT,
        "Value of 'service_tier' is invalid. Accepted values: on_demand, flex, auto",
        {"service_tier": "default"},
        {},
    ),
    "a threshold that a model lacks": (
        GEMINI,
        "Invalid value at 'safety_settings[0].threshold' (type.googleapis.com/x), \"OFF\"",
        {"safetySettings": [{"category": "A", "threshold": "OFF"}]},
        {"safetySettings": [{"category": "A", "threshold": "BLOCK_NONE"}]},
    ),
    "one answer alone": (CHAT, "n > 1 not supported", {"n": 2}, {}),
    "one call alone": (CHAT, "This model does not support parallel tool calls", {"parallel_tool_calls": True}, {}),
    "a member named without quotes": (
        RESPONSES,
        "reasoning.summary is not supported",
        {"reasoning": {"summary": "auto", "effort": "low"}},
        {"reasoning": {"effort": "low"}},
    ),
    "a speed that a model lacks": (CLAUDE, "Fast mode is not supported for this model", {"speed": "fast"}, {}),
    "nothing but a system message": (
        CHAT,
        "At least one non-system message is required",
        {"messages": [{"role": "system", "content": "s"}]},
        {"messages": [{"role": "user", "content": "s"}]},
    ),
    "two system messages": (
        CHAT,
        "Only one system message is allowed",
        {"messages": [{"role": "system", "content": "s"}, {"role": "system", "content": "t"}, HI]},
        {"messages": [{"role": "system", "content": "s\n\nt"}, HI]},
    ),
    "two system messages (MiniMax)": (
        CHAT,
        "invalid params, invalid chat setting (2013)",
        {"messages": [{"role": "system", "content": "s"}, {"role": "system", "content": "t"}, HI]},
        {"messages": [{"role": "system", "content": "s\n\nt"}, HI]},
    ),
    "a kind of thinking (MiniMax)": (
        CHAT,
        'invalid params, invalid thinking.type: "enabled" (allowed: adaptive, disabled) (2013)',
        {"thinking": {"type": "enabled"}},
        {"thinking": {"type": "adaptive"}},
    ),
    "a result of nothing (Bedrock)": (
        CLAUDE,
        "The content field at messages.0.content.0.toolResult cannot be empty when status value is error.",
        {
            "messages": [
                HI | {"content": [{"type": "tool_result", "tool_use_id": "t", "content": "", "is_error": True}]}
            ]
        },
        {
            "messages": [
                HI
                | {"content": [{"type": "tool_result", "tool_use_id": "t", "content": "(no output)", "is_error": True}]}
            ]
        },
    ),
    "an empty output": (
        RESPONSES,
        "Invalid 'input[0].output': empty string. Expected a string with minimum length 1",
        {"input": [{"type": "function_call_output", "call_id": "c", "output": ""}]},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "(no output)"}]},
    ),
    "empty instructions": (
        RESPONSES,
        "instructions: should not be empty",
        {"instructions": "", "input": "x"},
        {"input": "x"},
    ),
    "roles of a template": (
        CHAT,
        "Only user and assistant roles are supported!",
        {"messages": [{"role": "system", "content": "s"}, HI]},
        {"messages": [{"role": "user", "content": "s\n\nhi"}]},
    ),
}


@pytest.mark.parametrize("case", NAMED_OTHERWISE.values(), ids=NAMED_OTHERWISE)
def test_a_refusal_that_is_said_otherwise(case: tuple[ProtocolName, str, Any, Any]) -> None:
    protocol, message, body, expected = case
    assert healed(protocol, message, body) == expected
