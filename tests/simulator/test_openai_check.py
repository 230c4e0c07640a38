"""What OpenAI and compatible services refuse of any model."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.simulator.streams import body_of

USER: Any = {"role": "user", "content": "hello"}
CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
BITMAP: Any = {"type": "image_url", "image_url": {"url": "data:image/bmp;base64,aGk="}}


def function(**change: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", **change}}


def holding(schema: Any) -> dict[str, Any]:
    """A closed object schema with one optional property."""
    return {"type": "object", "properties": {"a": schema}, "additionalProperties": False}


def style(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}}


GROQ: list[tuple[dict[str, Any], str]] = [
    ({"thinking": {"type": "enabled"}}, "property 'thinking' is unsupported"),
    ({"n": 2}, "'n' : number must be at most 1"),
    ({"tools": [function()] * 129}, "maximum number of items is 128"),
    ({"tools": [function()], "response_format": {"type": "json_object"}}, "json mode cannot be combined"),
    ({"messages": [USER | {"cache_control": {}}]}, "property 'cache_control' is unsupported"),
    ({"messages": [USER, {"role": "assistant", "content": "a", "function_call": None}]}, "function_call' : value must"),
    ({"messages": [USER, {"role": "assistant", "content": "a", "reasoning_content": "b"}]}, "'reasoning_content'"),
]


@pytest.mark.parametrize(("change", "words"), GROQ)
def test_groq_refuses_what_others_take(http: httpx.Client, change: dict[str, Any], words: str) -> None:
    body = body_of("openai-chat", stream=False) | change
    answer = http.post("/groq/openai/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert http.post("/together/v1/chat/completions", json=body).status_code == 200


CHAT: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "you must provide a model parameter"),
    ({"messages": None}, "Missing required parameter: 'messages'"),
    ({"messages": []}, "empty array"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    ({"messages": [USER, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]}, "must be a response to"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, USER]}, "did not have response messages: call_1"),
    ({"tools": [function(name="a.b")]}, "tools[0].function.name"),
    ({"tools": [function()] * 129}, "array too long. Expected an array with maximum length 128"),
    ({"tools": [function(parameters={"type": "object"})]}, "object schema missing properties"),
    ({"tools": [function(parameters={"type": "object", "properties": {}, "anyOf": []})]}, "at the top level"),
    ({"tools": [function(parameters=holding({"type": "array"}))]}, "array schema missing items"),
    ({"tools": [function(strict=True, parameters=holding({"type": "string"}))]}, "Missing 'a'"),
    ({"response_format": {"type": "json_object"}}, "must contain the word 'json'"),
    ({"response_format": style({"type": "array", "items": {"type": "string"}})}, "got 'type: \"array\"'"),
    ({"response_format": style(holding({"type": "string"}), strict=True)}, "Missing 'a'"),
    ({"messages": [{"role": "user", "content": [BITMAP]}]}, "You uploaded an unsupported image"),
]


@pytest.mark.parametrize(("change", "words"), CHAT)
def test_chat_refuses(http: httpx.Client, change: dict[str, Any], words: str) -> None:
    answer = http.post("/v1/chat/completions", json=body_of("openai-chat") | change)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


RESPONSES: list[tuple[dict[str, Any], str]] = [
    ({"model": ""}, "'model'"),
    ({"input": None}, "'input'"),
    ({"previous_response_id": "resp_of_another"}, "not found"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": ""}]}, "No tool call found"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "a", "arguments": ""}]}, "No tool output found"),
    ({"input": [{"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}]}, "not be verified"),
    ({"input": [{"type": "reasoning", "id": "rs", "summary": []}]}, "without its required following item"),
    ({"input": [{"type": "function_call", "id": "c", "call_id": "c", "name": "a"}]}, "an ID that begins with 'fc'"),
    ({"tools": [{"type": "function", "name": "a", "parameters": {"type": "object"}}]}, "missing properties"),
    ({"text": {"format": {"type": "json_schema", "schema": {"type": "string"}}}}, "got 'type: \"string\"'"),
]


@pytest.mark.parametrize(("change", "words"), RESPONSES)
def test_responses_refuses(http: httpx.Client, change: dict[str, Any], words: str) -> None:
    answer = http.post("/v1/responses", json={"model": "gpt-5", "input": "hello"} | change)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_2048_texts_are_embedded_at_once(http: httpx.Client) -> None:
    for number, status in ((2048, 200), (2049, 400)):
        body = {"model": "text-embedding-3-small", "input": ["x"] * number}
        assert http.post("/v1/embeddings", json=body).status_code == status
