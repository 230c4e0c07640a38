"""What the Messages API refuses, and what it takes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bm.simulator import signatures
from tests.simulator.streams import body_of

USE: Any = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"cache_control": "of the tool's own"}}
RESULT: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "blue"}
MARK: Any = {"cache_control": {"type": "ephemeral"}}
SIGNED: Any = {"type": "thinking", "thinking": "Hm.", "signature": signatures.issue("claude", "Hm.")}
ASKED: Any = {"role": "user", "content": "hello"}


def said(*contents: Any) -> list[Any]:
    """Turns of the assistant and the user after a first message of the user."""
    roles = ["assistant", "user"] * len(contents)
    return [ASKED, *({"role": role, "content": content} for role, content in zip(roles, contents, strict=False))]


def marks(number: int) -> list[Any]:
    return [{"type": "text", "text": str(place), **MARK} for place in range(number)]


def style(**keywords: Any) -> Any:
    """A form of structured output with one integer."""
    properties = {"a": {"type": "integer", **keywords}}
    schema = {"type": "object", "properties": properties, "required": ["a"], "additionalProperties": False}
    return {"type": "json_schema", "schema": schema}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
    ({"model": ""}, "model: Field required"),
    ({"messages": []}, "at least one message is required"),
    ({"messages": [{"role": "tool", "content": "x"}]}, 'Unexpected role "tool"'),
    ({"messages": [{"role": "user", "content": ""}]}, "all messages must have non-empty content"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "must be non-empty"),
    ({"frequency_penalty": 1}, "frequency_penalty: Extra inputs are not permitted"),
    ({"messages": said([USE], "and?")}, "`tool_use` ids were found without `tool_result` blocks immediately after"),
    ({"messages": said("hm", [RESULT])}, "unexpected `tool_use_id` found in `tool_result` blocks: toolu_1"),
    ({"messages": said([SIGNED | {"thinking": "Ah."}], "and?")}, "Invalid `signature` in `thinking` block"),
    ({"messages": said([SIGNED | {"signature": "RXFRQg=="}], "and?")}, "Invalid `signature` in `thinking` block"),
    ({"messages": said([{"type": "thinking", "thinking": "Hm."}], "and?")}, "thinking.signature: Field required"),
    ({"messages": said([SIGNED | MARK], "and?")}, "thinking.cache_control: Extra inputs are not permitted"),
    ({"messages": said([{"type": "redacted_thinking", "data": "RXFRQg=="}], "and?")}, "Invalid `data`"),
    ({"messages": [{"role": "user", "content": marks(5)}]}, "A maximum of 4 blocks with cache_control may be"),
    ({"system": marks(2), "messages": [{"role": "user", "content": marks(3)}]}, "Found 5."),
    ({**MARK, "messages": [{"role": "user", "content": marks(4)}]}, "Found 5."),
    ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "`max_tokens` must be greater than"),
    ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "greater than or equal to 1024"),
    ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.custom.name"),
    ({"tools": [{"name": "a", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
    ({"tools": [{"name": "a", "input_schema": {"type": "object"}}] * 2}, "Tool names must be unique"),
    ({"tools": [{"name": "a", "input_schema": {"type": "object", "anyOf": []}}]}, "anyOf at the top level"),
    ({"messages": said([USE | {"id": "functions.look:0"}], "and?")}, "tool_use.id: String should match pattern"),
    ({"stop_sequences": ["\n"]}, "each stop sequence must contain non-whitespace"),
    ({"output_config": {"format": style(minimum=1)}}, "For 'integer' type, properties minimum are not supported"),
    ({"output_config": {"format": {"schema": {"type": "object"}}}}, "'additionalProperties' must be explicitly"),
    ({"context_management": {"edits": []}}, "context_management: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_it_is_refused(http: httpx.Client, change: dict[str, Any], words: str) -> None:
    body = body_of("anthropic", model="claude-haiku-4-5", stream=False) | change
    answer = http.post("/v1/messages", json={name: value for name, value in body.items() if value is not None})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert words in answer.json()["error"]["message"]


TAKEN: list[dict[str, Any]] = [
    {"temperature": 0.5},
    {"max_tokens": 0},
    {"messages": said([SIGNED, USE], [RESULT])},
    {"messages": said([USE], [{"type": "text", "text": "so:"}, RESULT])},
    {"messages": [*said([USE]), {"role": "user", "content": [RESULT]}, ASKED]},
    {"messages": said("It is")},
    {"messages": [{"role": "user", "content": marks(4)}]},
    {"output_config": {"format": style(enum=[1])}},
    {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
]


def test_a_system_turn_that_only_adjusts_the_effort_may_be_empty(http: httpx.Client) -> None:
    turn = {"role": "system", "content": [], "output_config": {"effort": "medium"}}
    messages = [{"role": "user", "content": "hi"}, turn, {"role": "assistant", "content": "a"}]
    body = body_of("anthropic", model="claude-opus-5-5", stream=False)
    body |= {"messages": [*messages, {"role": "user", "content": "go on"}]}
    assert http.post("/v1/messages", json=body).status_code == 200


@pytest.mark.parametrize("change", TAKEN)
def test_it_is_taken(http: httpx.Client, change: dict[str, Any]) -> None:
    body = body_of("anthropic", model="claude-haiku-4-5", stream=False) | change
    answer = http.post("/v1/messages", json=body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 1},
        {"top_k": 5},
        {"messages": said([{"type": "document", "source": {"type": "text", "data": "x"}}], "and?")},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "citations": [{}]}]}]},
    ],
)
def test_the_new_version_refuses_what_the_old_one_takes(http: httpx.Client, change: dict[str, Any]) -> None:
    body = body_of("anthropic", model="claude-haiku-4-5", stream=False) | change
    for version, status in (("2023-06-01", 200), ("2026-10-21", 400)):
        assert http.post("/v1/messages", json=body, headers={"anthropic-version": version}).status_code == status


def test_members_of_beta_features_are_taken_with_the_header(http: httpx.Client) -> None:
    body = body_of("anthropic", stream=False) | {"context_management": {"edits": []}}
    headers = {"anthropic-beta": "context-management-2025-06-27"}
    assert http.post("/v1/messages", json=body, headers=headers).status_code == 200


def test_a_version_is_required(http: httpx.Client) -> None:
    del http.headers["anthropic-version"]
    answer = http.post("/v1/messages", json=body_of("anthropic"))
    assert answer.json()["error"]["message"] == "anthropic-version: header is required"
