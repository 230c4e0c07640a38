"""What each model of OpenAI refuses, and open models on the services that serve them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.simulator.streams import body_of

USER: Any = {"role": "user", "content": "hello"}
TOOLS: Any = [{"type": "function", "function": {"name": "look"}}]
CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
RESULT: Any = {"role": "tool", "tool_call_id": "call_1", "content": "blue"}
FORCED: Any = {"tools": TOOLS, "tool_choice": "required"}
MIXED: Any = [
    {
        "type": "function",
        "function": {
            "name": "a",
            "parameters": {"properties": {"a": {"type": "string", "anyOf": []}}},
        },
    }
]


def loop(**change: Any) -> dict[str, Any]:
    """A call and its result."""
    return {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [CALL], **change}, RESULT]}


def long_id(length: int) -> dict[str, Any]:
    call = CALL | {"id": "c" * length}
    return {"messages": [USER, {"role": "assistant", "tool_calls": [call]}, RESULT | {"tool_call_id": call["id"]}]}


CHAT: list[tuple[str, dict[str, Any], str]] = [
    ("gpt-5.6", {"tools": TOOLS}, "Function tools with reasoning_effort are not supported for gpt-5.6"),
    ("gpt-5.4", {"tools": TOOLS, "reasoning_effort": "low"}, "Function tools with reasoning_effort"),
    ("gpt-6.1-sol", {"reasoning_effort": "none"}, "does not support 'none' with this model"),
    ("gpt-7", {"reasoning_effort": "none"}, "does not support 'none' with this model"),
    ("gpt-5-mini", {"reasoning_effort": "none"}, "does not support 'none' with this model"),
    ("gpt-5.1", {"reasoning_effort": "minimal"}, "Supported values are: 'none', 'low', 'medium', and 'high'."),
    ("gpt-5.6-sol", {"reasoning_effort": "max"}, "does not support 'max' with this model"),
    ("gpt-4.1", {"reasoning_effort": "low"}, "Unsupported parameter: 'reasoning_effort'"),
    ("gpt-5", {"max_tokens": 9}, "Use 'max_completion_tokens' instead."),
    ("gpt-5.6", {"stop": ["x"]}, "Unsupported parameter: 'stop'"),
    ("gpt-5", {"temperature": 0}, "Unsupported parameter: 'temperature'"),
    ("gpt-5.2", {"temperature": 0, "reasoning_effort": "low"}, "Unsupported parameter: 'temperature'"),
    ("gpt-5.6", {"top_p": 0.5}, "Unsupported parameter: 'top_p'"),
    ("gpt-4o", long_id(41), "string too long. Expected a string with maximum length 40"),
    ("openai/gpt-oss-120b", {"reasoning_effort": "none"}, "must be one of `low`, `medium`, or `high`"),
]


def post(http: httpx.Client, model: str, change: dict[str, Any], prefix: str = "") -> httpx.Response:
    return http.post(f"{prefix}/v1/chat/completions", json=body_of("openai-chat", model=model, stream=False) | change)


@pytest.mark.parametrize(("model", "change", "words"), CHAT)
def test_a_model_refuses_over_chat(http: httpx.Client, model: str, change: dict[str, Any], words: str) -> None:
    answer = post(http, model, change)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("gpt-5.6", {"tools": TOOLS, "reasoning_effort": "none", "temperature": 0}),
    ("gpt-5.4", {"tools": TOOLS, "temperature": 0}),
    ("gpt-5.2", {"tools": TOOLS, "reasoning_effort": "low"}),
    ("gpt-5", {"temperature": 1, "reasoning_effort": "minimal"}),
    ("gpt-4o", {"max_tokens": 9, "stop": ["x"], "temperature": 0}),
    ("gpt-5", long_id(41)),
]


@pytest.mark.parametrize(("model", "change"), TAKEN)
def test_a_model_takes_over_chat(http: httpx.Client, model: str, change: dict[str, Any]) -> None:
    answer = post(http, model, change)
    assert answer.status_code == 200, answer.text


SERVICES: list[tuple[str, str, dict[str, Any], dict[str, Any], str]] = [
    ("deepseek", "deepseek-v4-pro", FORCED, FORCED | {"thinking": {"type": "disabled"}}, "support this tool_choice"),
    ("deepseek", "deepseek-v4-flash", loop(), loop(reasoning_content=""), "`reasoning_content` in the thinking mode"),
    ("deepseek", "deepseek-flash", {"response_format": {"type": "json_schema"}}, {}, "response_format type is unav"),
    ("moonshot", "kimi-k3", {"temperature": 0}, {"temperature": 1}, "only 1 is allowed for this model"),
    ("moonshot", "kimi-k2.6", loop(), loop(reasoning_content=" "), "reasoning_content is missing in assistant tool"),
    ("moonshot", "kimi-k3", {"reasoning_effort": "medium"}, {"reasoning_effort": "max"}, "'low', 'high', and 'max'"),
    ("moonshot", "kimi-k3", {"tools": MIXED}, {}, "anyOf"),
    ("xai", "grok-4.6", {"presence_penalty": 0}, {}, "does not support parameter presence_penalty"),
    ("xai", "grok-4.5", {"stop": ["x"]}, {}, "does not support parameter stop"),
    ("xai", "grok-4.7", {"reasoning_effort": "none"}, {"reasoning_effort": "xhigh"}, "`reasoning_effort` value `none`"),
    ("zai", "glm-5.3", {"thinking": {"type": "disabled"}}, {"reasoning_effort": "low"}, "always engages in thinking"),
    ("mistral", "mistral-large-4", {"seed": 1}, {"random_seed": 1}, "Extra inputs are not permitted"),
    ("mistral", "mistral-large-4", loop(reasoning_content="Hm."), loop(), "Extra inputs are not permitted"),
    ("groq", "qwen/qwen3.8-27b", {"reasoning_effort": "max"}, {"reasoning_effort": "default"}, "`none`, `default`"),
]


@pytest.mark.parametrize(("service", "model", "refused", "taken", "words"), SERVICES)
def test_a_service_refuses(
    http: httpx.Client, service: str, model: str, refused: dict[str, Any], taken: dict[str, Any], words: str
) -> None:
    answer = post(http, model, refused, f"/{service}")
    assert answer.status_code in (400, 422) and words in answer.text
    assert post(http, model, taken, f"/{service}").status_code == 200


@pytest.mark.parametrize("model", ["gpt-5.4-pro", "gpt-5.3-codex", "o4-mini", "gpt-5.2-chat-latest"])
def test_models_that_chat_does_not_serve_are_not_found(http: httpx.Client, model: str) -> None:
    assert post(http, model, {}).status_code == 404


RESPONSES: list[tuple[str, dict[str, Any], str]] = [
    ("gpt-6.1-sol", {"reasoning": {"effort": "none"}}, "'none' is not supported with the 'gpt-6.1-sol' model"),
    ("gpt-5.4-pro", {"reasoning": {"effort": "low"}}, "Supported values are: 'medium', 'high', and 'xhigh'."),
    ("gpt-5-pro", {"reasoning": {"effort": "low"}}, "Supported values are: 'high'."),
    ("gpt-4.1", {"reasoning": {"effort": "low"}}, "Unsupported parameter: 'reasoning.effort'"),
    ("gpt-4o", {"include": ["reasoning.encrypted_content"]}, "Encrypted content is not supported"),
    ("gpt-5.6", {"temperature": 0}, "Unsupported parameter: 'temperature'"),
    ("gpt-4o", {"max_output_tokens": 5}, "Expected a value >= 16, but got 5 instead."),
    ("gpt-5.4-nano", {"tools": [{"type": "tool_search"}]}, "Tool 'tool_search' is not supported"),
]


@pytest.mark.parametrize(("model", "change", "words"), RESPONSES)
def test_a_model_refuses_over_responses(http: httpx.Client, model: str, change: dict[str, Any], words: str) -> None:
    answer = http.post("/v1/responses", json={"model": model, "input": "hello"} | change)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_responses_takes_max_and_tools_while_thinking(http: httpx.Client) -> None:
    body = {"model": "gpt-5.6-sol", "input": "hello", "tools": [{"type": "function", "name": "look"}]}
    answer = http.post("/v1/responses", json=body | {"reasoning": {"effort": "max"}})
    assert answer.status_code == 200, answer.text
