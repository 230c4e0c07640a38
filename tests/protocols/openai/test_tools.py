"""Tools and choices, in the spellings of Chat Completions and of Responses."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import CacheMark, ToolCall
from bm.chat.request import Tool, ToolChoice
from bm.errors import RequestError
from bm.names import CHAT, RESPONSES
from bm.protocols.openai.tools import arguments_text, decode_arguments, decode_choice, decode_tool, qualified


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        (None, ToolChoice()),
        ({"type": "auto"}, ToolChoice()),
        ("any", ToolChoice("required")),
        ({"type": "required"}, ToolChoice("required")),
        ({"type": "none"}, ToolChoice("none")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("required", ("f",))),
        ({"type": "custom", "custom": {"name": "f"}}, ToolChoice("required", ("f",))),
        ({"type": "function", "name": "f", "namespace": "n"}, ToolChoice("required", ("n__f",))),
        ({"type": "shell"}, ToolChoice("required", ("shell",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "f"}, {"type": "mcp"}]},
            ToolChoice(names=("f",)),
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"function": {"name": "f"}}]}},
            ToolChoice("required", ("f",)),
        ),
        ("sometimes", None),
        ({"type": "file_search"}, None),
    ],
)
def test_a_choice_is_read_in_either_spelling(choice: Any, read: ToolChoice | None) -> None:
    assert decode_choice(choice, None) == read


def test_one_call_at_most() -> None:
    assert decode_choice("auto", False) == ToolChoice(parallel=False)


def test_a_definition_keeps_what_it_has_beyond_the_canonical_form() -> None:
    definition = {"type": "function", "name": "f", "strict": True, "novelty": 1, "unset": None}
    tool = decode_tool({**definition, "cache_control": {"type": "ephemeral"}}, "tools[0]", "function", CHAT)
    assert tool == Tool("f", strict=True, cache=CacheMark(), protocol=CHAT, extra={"novelty": 1})
    inner = decode_tool(definition, "tools[0]", "function", RESPONSES, namespace="n")
    assert (inner.name, inner.extra) == (qualified("n", "f"), {"novelty": 1, "namespace": "n"})


def test_a_definition_without_a_name_is_refused_by_its_place() -> None:
    with pytest.raises(RequestError) as caught:
        decode_tool({"type": "custom"}, "tools[0].custom", "custom", CHAT)
    assert caught.value.failure.param == "tools[0].custom.name"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (ToolCall("a", "f", {"x": 1}, raw='{"x": 1}'), '{"x": 1}'),
        (ToolCall("a", "f", {}), "{}"),
        (ToolCall("a", "f", {}, raw="{bro"), "{}"),
        (ToolCall("a", "f", {}, raw="[1]"), "{}"),
        (ToolCall("a", "f", {"x": 2}, raw='{"x": 1}'), '{"x":2}'),
        (ToolCall("a", "f", {"cache_control": {"a": 1}}), '{"cache_control":{"a":1}}'),
    ],
)
def test_arguments_are_always_the_text_of_an_object(call: ToolCall, text: str) -> None:
    assert arguments_text(call) == text


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, ({}, "")),
        ('{"x": 1}', ({"x": 1}, '{"x": 1}')),
        ("{cut", ({"input": "{cut"}, "{cut")),
        ({"x": 1}, ({"x": 1}, '{"x":1}')),
    ],
)
def test_arguments_are_read_as_text_or_as_the_object_itself(given: object, read: tuple[Any, str]) -> None:
    assert decode_arguments({"arguments": given}, "tool_calls[0]") == read


def test_arguments_of_another_type_are_refused() -> None:
    with pytest.raises(RequestError, match=r"tool_calls\[0\]\.arguments: expected a string of JSON"):
        decode_arguments({"arguments": 5}, "tool_calls[0]")
