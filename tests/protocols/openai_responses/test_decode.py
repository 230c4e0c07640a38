from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bm.chat.parts import Text, ToolResult
from bm.chat.request import Extra, OutputFormat, Reasoning, Sampling, ToolChoice, Turn
from bm.errors import RequestError
from bm.protocols.openai.parameters import LEVELS
from bm.protocols.openai_responses.codec import CODEC
from tests.protocols.openai_responses.samples import request
from tests.support.shared import SHARED, needs_corpus

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}


def test_the_smallest_request() -> None:
    asked = CODEC.decode_request({"model": "gpt-5", "input": "Hi"})
    assert asked.protocol == "openai-responses" and asked.model == "gpt-5" and not asked.stream
    assert asked.turns == (Turn("user", (Text("Hi"),)),)
    assert asked.tool_choice == ToolChoice() and asked.max_tokens is None and asked.extras == ()


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({"instructions": "Be brief."}, "system", (Text("Be brief."),)),
        ({"max_output_tokens": 9}, "max_tokens", 9),
        ({"temperature": 1, "top_p": 0.5}, "sampling", Sampling(temperature=1, top_p=0.5)),
        ({"top_logprobs": 3}, "sampling", Sampling(top_logprobs=3)),
        ({"include": ["message.output_text.logprobs"]}, "sampling", Sampling(logprobs=True)),
        ({"stream": True}, "stream", True),
        ({"prompt_cache_key": "c"}, "cache_key", "c"),
        ({"user": "u"}, "user", "u"),
        ({"safety_identifier": "s", "user": "u"}, "user", "s"),
        ({"parallel_tool_calls": False}, "tool_choice", ToolChoice(parallel=False)),
        ({"tool_choice": "required"}, "tool_choice", ToolChoice("required")),
        ({"reasoning": {"effort": "high"}}, "reasoning", Reasoning("high")),
        ({"reasoning": {"effort": None, "summary": "auto"}}, "reasoning", Reasoning(visible=True)),
        ({"reasoning": {"summary": "none"}}, "reasoning", Reasoning()),
        ({"text": {"format": {"type": "text"}}}, "output", OutputFormat()),
        ({"text": {"format": {"type": "json_object"}}}, "output", OutputFormat("json")),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}}},
            "output",
            OutputFormat("schema", SCHEMA, "n", "", True),
        ),
    ],
)
def test_a_member_has_its_place(members: dict[str, Any], field: str, value: object) -> None:
    assert getattr(request(**members), field) == value


@pytest.mark.parametrize(("word", "level"), LEVELS.items())
def test_every_effort_is_a_level(word: str, level: str) -> None:
    assert request(reasoning={"effort": word}).reasoning.level == level


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({"store": False}, "store", False),
        ({"metadata": {"a": "b"}}, "metadata", {"a": "b"}),
        ({"truncation": "auto"}, "truncation", "auto"),
        ({"client_metadata": {"turn": "1"}}, "client_metadata", {"turn": "1"}),
        ({"from_next_year": 1}, "from_next_year", 1),
        ({"text": {"verbosity": "low"}}, "text.verbosity", "low"),
        ({"reasoning": {"summary": "detailed"}}, "reasoning.summary", "detailed"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice", {"type": "file_search"}),
    ],
)
def test_what_has_no_place_is_kept_for_openai(members: dict[str, Any], field: str, value: object) -> None:
    assert Extra("openai-responses", field, value) in request(**members).extras


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
        ({"conversation": "conv_1"}, "conversation", ""),
        ({"background": True}, "background", ""),
    ],
)
def test_state_that_only_openai_keeps_is_refused_by_name(members: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        request(**members)
    assert (caught.value.failure.param, caught.value.failure.code) == (param, code)
    assert caught.value.failure.http_status == 400


@pytest.mark.parametrize("members", [{"previous_response_id": None}, {"conversation": None}, {"background": False}])
def test_state_that_is_not_asked_for_is_no_fault(members: dict[str, Any]) -> None:
    assert request(**members).extras == ()


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"input": None}, "input"),
        ({"input": {"role": "user"}}, "input"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content"),
        ({"instructions": 5}, "instructions"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"prompt_cache_key": 5}, "prompt_cache_key"),
        ({"reasoning": "high"}, "reasoning"),
        ({"text": "json"}, "text"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.json_schema"),
        ({"tools": [5]}, "tools[0]"),
        ({"reasoning": {"effort": ["medium"]}}, "reasoning.effort"),
        ({"include": {}}, "include"),
        ({"text": {"format": {"type": "json_schema", "name": 5, "schema": {}}}}, "text.format.name"),
        ({"tools": [{"type": "function", "name": {}}]}, "tools[0].name"),
    ],
)
def test_a_fault_is_named_with_its_place(members: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        request(**members)
    assert caught.value.failure.param == param
    assert caught.value.failure.message.startswith(f"{param}: expected")


def test_a_prompt_template_needs_no_input() -> None:
    asked = request(input=None, prompt={"id": "pmpt_1"})
    assert asked.turns == () and asked.extras == (Extra("openai-responses", "prompt", {"id": "pmpt_1"}),)


def test_instructions_may_be_items() -> None:
    assert request(instructions=[{"role": "developer", "content": "a"}]).system == (Text("a"),)


def test_the_path_may_name_model_and_stream() -> None:
    asked = CODEC.decode_request({"input": "Hi"}, model="m", stream=True)
    assert (asked.model, asked.stream) == ("m", True)


def test_tools_that_the_conversation_brings_do_not_replace_the_requests_own() -> None:
    tool = {"type": "function", "name": "look", "parameters": SCHEMA}
    brought = {"type": "additional_tools", "role": "developer", "tools": [{**tool, "description": "new"}]}
    asked = request(tools=[tool], input=[brought, {"role": "user", "content": "Hi"}])
    assert [(t.name, t.description) for t in asked.tools] == [("look", "")]


def test_the_body_is_left_as_it_is() -> None:
    body = {"model": "m", "input": [{"role": "user", "content": "a"}], "tools": [{"type": "function", "name": "f"}]}
    before = json.dumps(body)
    CODEC.decode_request(body)
    assert json.dumps(body) == before


def captures() -> list[Path]:
    """Requests as Codex, opencode and the SDKs sent them."""
    folder = SHARED / "clients" / "captures" if SHARED is not None else None
    return [f for f in sorted(folder.glob("*/*.json")) if _path(f).endswith("/responses")] if folder else []


def _path(file: Path) -> str:
    path: str = json.loads(file.read_bytes())["path"]
    return path


@pytest.mark.corpus
@needs_corpus
@pytest.mark.parametrize("file", captures(), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_what_real_tools_send_is_read_without_a_remainder(file: Path) -> None:
    asked = CODEC.decode_request(json.loads(file.read_bytes())["body"])
    assert {extra.field for extra in asked.extras} <= {"store", "include", "client_metadata"}
    assert [turn.role for turn in asked.turns[:1]] == ["user"]
    calls = {part.id for turn in asked.turns for part in turn.parts if hasattr(part, "raw") and hasattr(part, "id")}
    answered = {part.call_id for turn in asked.turns for part in turn.parts if isinstance(part, ToolResult)}
    assert answered == calls
    if file.parent.name.startswith("codex"):
        assert "multi_agent_v1__spawn_agent" in {tool.name for tool in asked.tools}
        assert [tool.kind for tool in asked.hosted_tools] == ["web_search"]
