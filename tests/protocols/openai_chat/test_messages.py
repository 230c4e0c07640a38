from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Json, Media, Opaque, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import Extra, Turn
from bm.chat.signature import Signature, wrap
from bm.errors import RequestError
from bm.protocols.openai_chat.messages import decode_messages

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


def turns(*messages: Json) -> tuple[Turn, ...]:
    return decode_messages({"messages": list(messages)}).turns


def assistant(**members: Any) -> tuple[Any, ...]:
    """The parts of an assistant message."""
    (turn,) = turns({"role": "assistant", **members})
    assert turn.role == "assistant"
    return turn.parts


def test_leading_instructions_are_the_system_prompt_and_later_ones_stay_in_place() -> None:
    read = decode_messages(
        {
            "messages": [
                {"role": "system", "content": "one"},
                {"role": "developer", "content": [{"type": "text", "text": "two"}]},
                USER,
                {"role": "developer", "content": "three"},
            ]
        }
    )
    assert read.system == (Text("one"), Text("two"))
    assert read.turns == (Turn("user", (Text("Hi"),)), Turn("system", (Text("three"),)))


def test_only_instructions_are_a_request_all_the_same() -> None:
    read = decode_messages({"messages": [{"role": "system", "content": "S"}]})
    assert (read.system, read.turns) == ((Text("S"),), ())


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "a"}, (Text("a"),)),
        ({"content": None, "tool_calls": [CALL]}, (ToolCall("a", "f", {"x": 1}, raw='{"x": 1}'),)),
        (
            {"content": "", "tool_calls": [{k: CALL[k] for k in ("id", "function")}]},
            (ToolCall("a", "f", {"x": 1}, raw='{"x": 1}'),),
        ),
        ({"content": "a", "refusal": "no"}, (Text("a"), Refusal("no"))),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, (Refusal("no"),)),
        ({"content": "a", "reasoning_content": "hm"}, (Thinking("hm"), Text("a"))),
        ({"content": "a", "reasoning": "hm"}, (Thinking("hm"), Text("a"))),
        ({"audio": {"id": "audio_1"}}, (Opaque("openai-chat", "audio", {"id": "audio_1"}),)),
    ],
)
def test_assistant_messages_are_read(message: Json, parts: tuple[Any, ...]) -> None:
    assert assistant(**message) == parts


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"x":1}', ({"x": 1}, '{"x":1}')),
        ({"x": 1}, ({"x": 1}, '{"x":1}')),
        ("", ({}, "")),
        (None, ({}, "")),
        ("[1]", ({}, "[1]")),
        ("{bro", ({}, "{bro")),
    ],
)
def test_arguments_are_an_object_however_they_came(arguments: Any, expected: tuple[Any, str]) -> None:
    (call,) = assistant(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": arguments}}])
    assert (call.arguments, call.raw) == expected


def test_a_call_of_a_custom_tool_holds_free_text() -> None:
    (call,) = assistant(tool_calls=[{"id": "a", "type": "custom", "custom": {"name": "py", "input": "1+1"}}])
    assert call == ToolCall("a", "py", {"input": "1+1"}, raw="1+1", kind="custom")


def test_signatures_are_read_where_google_puts_them() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    signed = Signature("gemini", "c2ln")
    assert assistant(tool_calls=[{**CALL, **extra}])[0].signature == signed
    assert [part.signature for part in assistant(tool_calls=[CALL, {**CALL, "id": "b"}], **extra)] == [signed, None]
    assert assistant(content="x", **extra)[0].signature == signed
    assert assistant(content="x", reasoning_content="hm", **extra)[1].signature == signed


def test_another_vendors_signature_is_taken_out_of_its_wrapping() -> None:
    wrapped = wrap(Signature("anthropic", "c2ln", "claude"), "self")
    extra = {"extra_content": {"google": {"thought_signature": wrapped}}}
    assert assistant(tool_calls=[{**CALL, **extra}])[0].signature == Signature("anthropic", "c2ln", "claude")


def test_results_in_a_row_are_one_turn() -> None:
    read = turns(
        {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "b"}]},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "name": "f", "content": [{"type": "text", "text": "1"}]},
        USER,
    )
    assert read[1:] == (
        Turn("user", (ToolResult("b", (Text("2"),)), ToolResult("a", (Text("1"),), name="f"))),
        Turn("user", (Text("Hi"),)),
    )


def test_a_result_may_hold_an_image_an_object_or_nothing() -> None:
    def result(content: Any) -> Any:
        return turns({"role": "tool", "tool_call_id": "a", "content": content})[0].parts[0]

    image = {"type": "image_url", "image_url": {"url": "https://a.example"}}
    assert result([image]).parts == (Media("image", url="https://a.example"),)
    assert result({"x": 1}).parts == (Text('{"x":1}'),)
    assert result("").parts == ()


def test_results_of_the_first_form_find_their_call_by_name() -> None:
    read = turns(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    )
    assert read[1].parts == (ToolCall("call_legacy_1", "f", {}, raw="{}"),)
    assert read[2].parts == (ToolResult("call_legacy_1", (Text("1"),), name="f"),)


def test_members_without_a_place_are_kept_and_echoes_of_an_answer_are_not() -> None:
    read = decode_messages(
        {
            "messages": [
                {**USER, "name": "ann"},
                {"role": "assistant", "content": "a", "annotations": [], "audio": None, "parsed": {}, "prefix": True},
                {"role": "assistant", "content": "a", "function_call": None, "tool_calls": None, "prefix": False},
            ]
        }
    )
    assert read.extras == (
        Extra("openai-chat", "messages[0].name", "ann"),
        Extra("openai-chat", "messages[1].prefix", True),
    )


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (None, "messages: expected an array, got null"),
        ([], "messages: expected at least one element, got an empty array"),
        (["Hi"], "messages[0]: expected an object, got a string"),
        ([{"content": "Hi"}], "messages[0].role: expected a string, got null"),
        ([{"role": "narrator"}], "messages[0].role: unknown role 'narrator'"),
        (
            [{"role": "tool", "content": "x"}],
            "messages[0].tool_call_id: expected the id of the call that this answers, got nothing",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": [5]}],
            "messages[1].tool_calls[0]: expected an object, got a number",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a"}]}],
            "messages[0].tool_calls[0].function: expected an object, got null",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}],
            "messages[0].tool_calls[0].function.name: expected the tool's name, got nothing",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": 5}}]}],
            "messages[0].tool_calls[0].function.arguments: expected a string of JSON, got a number",
        ),
        (
            [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://a"}}]}],
            "messages[0].content: expected only text in a system message",
        ),
    ],
)
def test_a_fault_names_the_place_and_what_was_expected(messages: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_messages({"messages": messages})
    assert caught.value.failure.message == message
    assert message.startswith(caught.value.failure.param)
