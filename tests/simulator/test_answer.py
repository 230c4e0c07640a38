"""Answers follow from requests, tokens from a fixed rule."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.simulator import Rule, Simulator, Usage
from bm.simulator.answer import count, sample, split
from tests.simulator.streams import MODELS, body_of, path_of

USER = {"role": "user", "content": "count"}
ANSWER = {"role": "assistant", "content": "One,"}


@given(st.text(), st.integers(1, 50))
def test_pieces_joined_are_the_text(text: str, pieces: int) -> None:
    parts = split(text, pieces)
    assert "".join(parts) == text
    assert len(parts) == min(pieces, len(text))


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_four_characters_are_a_token(text: str, tokens: int) -> None:
    assert count(text) == tokens


def chat(http: httpx.Client, *texts: str, **fields: Any) -> dict[str, Any]:
    roles = ["user", "assistant"] * len(texts)
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    body: dict[str, Any] = http.post(
        "/v1/chat/completions", json={"model": "gpt-5", "messages": messages, **fields}
    ).json()
    return body


def test_the_text_echoes_what_was_said_last(http: httpx.Client) -> None:
    assert chat(http, "one", "two", "three")["choices"][0]["message"]["content"] == "[simulated gpt-5] three"


@pytest.mark.parametrize("api", MODELS)
def test_a_model_whose_own_answer_was_cut_goes_on_after_its_last_words(http: httpx.Client, api: str) -> None:
    model = MODELS[api]
    turns = [
        ("user", "one two three four five six"),
        ("assistant", f"[simulated {model}] one two three fo"),
        ("user", "and?"),
    ]
    if api == "gemini":
        said = [{"role": role.replace("assistant", "model"), "parts": [{"text": text}]} for role, text in turns]
        fields: dict[str, Any] = {"contents": said}
    else:
        fields = {"input" if api == "openai-responses" else "messages": [{"role": r, "content": t} for r, t in turns]}
    answer = http.post(path_of(api, model, stream=False), json=body_of(api, model=model, stream=False) | fields)
    text = re.findall(r'"text":\s*"([^"]*)"|"content":\s*"([^"]*)"', answer.text)
    assert ["".join(each) for each in text][-1].endswith("two three four five six")
    assert "and?" not in answer.text


def test_the_same_request_has_the_same_answer(http: httpx.Client) -> None:
    assert chat(http, "hello")["choices"] == chat(http, "hello")["choices"]


def test_a_prefix_that_was_sent_before_is_cached(http: httpx.Client) -> None:
    assert chat(http, "one")["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    chat(http, "one", "two", "three")
    usage = chat(http, "one", "two", "three", "four", "five")["usage"]
    assert 0 < usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]


def test_another_account_has_a_cache_of_its_own(http: httpx.Client) -> None:
    chat(http, "one", "two", "three")
    http.headers["x-api-key"] = "key-two"
    assert chat(http, "one", "two", "three")["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_a_rule_may_set_the_usage(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(usage=Usage(input=1000, cached=800, output=50, thinking=200)))
    usage = chat(http, "hello")["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (1000, 250, 1250)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 800
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 200


def test_a_schema_is_answered_with_a_value_of_it(http: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    style = {"type": "json_schema", "json_schema": {"name": "number", "schema": schema}}
    assert chat(http, "hello", response_format=style)["choices"][0]["message"]["content"] == '{"n":1}'


def test_a_tool_that_is_insisted_on_is_called(http: httpx.Client) -> None:
    function = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
    body = chat(http, "hello", tools=[{"type": "function", "function": function}], tool_choice="required")
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert body["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": "{}"}


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("anthropic", {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [USER, ANSWER]}),
        ("openai-chat", {"model": "m", "messages": [USER, {**ANSWER, "prefix": True}]}),
        (
            "gemini",
            {"contents": [{"role": r, "parts": [{"text": t}]} for r, t in (("user", "hi"), ("model", "One, "))]},
        ),
    ],
)
def test_an_answer_that_is_begun_is_gone_on_with(sim: Simulator, http: httpx.Client, api: str, body: Any) -> None:
    sim.script(Rule(text="One, two, three."))
    answer = http.post(path_of(api, "", stream=False), json=body)
    assert answer.status_code == 200 and "two, three." in answer.text and "One" not in answer.text


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "nick": {"type": "string"}},
    "required": ["name", "age"],
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "simulated"),
        ({"type": "INTEGER"}, 1),
        ({"type": ["boolean", "null"]}, True),
        ({"enum": ["red", "blue"]}, "red"),
        ({"const": 7}, 7),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, 1.5),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        (PERSON, {"name": "simulated", "age": 1}),
        ({"$ref": "#/$defs/P", "$defs": {"P": PERSON}}, {"name": "simulated", "age": 1}),
        ({"type": "object"}, {}),
        (None, "simulated"),
    ],
)
def test_the_obvious_value_of_a_schema(schema: Any, value: Any) -> None:
    assert sample(schema) == value


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    node: dict[str, Any] = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#"}}}
    assert "next" in sample(node)
