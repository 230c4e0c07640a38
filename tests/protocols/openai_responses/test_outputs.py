from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import ToolCall
from bm.chat.request import Tool
from bm.protocols.openai_responses.outputs import (
    Call,
    ConvertedCall,
    Message,
    Reasoning,
    Writer,
    call_item,
    head,
    template,
    whole,
)
from tests.protocols.openai_responses.samples import request
from tests.support.grammar_openai_responses import events

CALL = {"type": "function_call", "call_id": "c", "name": "f"}


def test_events_are_numbered_as_they_are_written() -> None:
    writer = Writer()
    raw = writer.event("response.x", a=1) + writer.delta(template("response.y", b=2), 'z"') + writer.event("error")
    assert events(raw) == [
        {"type": "response.x", "a": 1, "sequence_number": 0},
        {"type": "response.y", "b": 2, "delta": 'z"', "sequence_number": 1},
        {"type": "error", "sequence_number": 2},
    ]


def test_text_is_a_message_with_one_part() -> None:
    message = Message(Writer(), 3, "msg_1", refusal=False)
    raw = message.start() + message.delta("a") + message.annotate({"type": "x"}) + message.delta("b") + message.end()
    part = {"type": "output_text", "text": "ab", "annotations": [{"type": "x"}], "logprobs": []}
    assert message.final == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [part],
        "status": "completed",
    }
    assert {event["output_index"] for event in events(raw)} == {3}
    assert events(raw)[0]["item"]["status"] == "in_progress"


def test_a_refusal_takes_no_citations() -> None:
    message = Message(Writer(), 0, "msg_1", refusal=True)
    raw = message.start() + message.delta("no") + message.annotate({"type": "x"}) + message.end()
    assert [event["type"] for event in events(raw)][2:4] == ["response.refusal.delta", "response.refusal.done"]


def test_reasoning_begins_with_its_first_piece() -> None:
    reasoning = Reasoning(Writer(), 0, "rs_1")
    assert reasoning.annotate({}) == b""
    assert reasoning.end() == b"" and reasoning.final is None
    first = Reasoning(Writer(), 0, "rs_1")
    assert [event["type"] for event in events(first.delta("Hm"))] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
    ]
    first.delta("!")
    first.end("gAAAA")
    summary = [{"type": "summary_text", "text": "Hm!"}]
    assert first.final == {"id": "rs_1", "type": "reasoning", "summary": summary, "encrypted_content": "gAAAA"}


def test_reasoning_that_only_carries_has_no_summary() -> None:
    reasoning = Reasoning(Writer(), 0, "rs_1")
    raw = reasoning.end("gAAAA")
    assert [event["type"] for event in events(raw)] == ["response.output_item.added", "response.output_item.done"]


@pytest.mark.parametrize(("pieces", "arguments"), [(["{", "}"], "{}"), ([], "{}")])
def test_a_call_repeats_its_arguments_at_the_end(pieces: list[str], arguments: str) -> None:
    call = Call(Writer(), 0, "fc_1", CALL, "arguments")
    raw = call.start() + b"".join(call.delta(piece) for piece in pieces) + call.annotate({}) + call.end()
    told = events(raw)
    assert told[0]["item"]["arguments"] == "" and told[-2]["arguments"] == arguments
    assert told[-1]["item"] == {"id": "fc_1", **CALL, "status": "completed", "arguments": arguments}


def test_a_converted_call_waits_for_all_of_its_arguments() -> None:
    tool = Tool("p", kind="custom")
    call = ConvertedCall(Writer(), 0, ("ctc_1", "c"), ToolCall("c", "p", {}), tool)
    assert call.delta('{"input":') + call.delta('"x"}') + call.annotate({}) == b""
    told = events(call.end())
    assert told[0]["item"]["type"] == "custom_tool_call" and told[-1]["item"]["input"] == "x"
    assert call.final == told[-1]["item"]


def test_an_empty_custom_input_stays_empty() -> None:
    call = ConvertedCall(Writer(), 0, ("ctc_1", "c"), ToolCall("c", "p", {}), Tool("p", kind="custom"))
    call.delta('{"input":""}')
    assert events(call.end())[-1]["item"]["input"] == ""


def test_the_members_of_a_call() -> None:
    assert call_item("function", "c", {"name": "f"}) == (CALL, "arguments")
    assert call_item("custom", "c", {"name": "f"})[1] == "input"


def test_an_item_that_comes_at_once_is_in_progress_first() -> None:
    item = {"type": "mcp_call", "id": "m", "status": "completed"}
    added, done = events(whole(Writer(), 1, item))
    assert added["item"]["status"] == "in_progress" and done["item"] == item


TOOL = {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}, "strict": True}


def test_the_head_of_a_plain_answer() -> None:
    told = head(request(), "resp_1", "m", 5)
    assert (told["id"], told["object"], told["model"], told["created_at"]) == ("resp_1", "response", "m", 5)
    assert (told["status"], told["output"], told["error"], told["usage"]) == ("in_progress", [], None, None)
    assert told["parallel_tool_calls"] is True and told["tool_choice"] == "auto" and told["tools"] == []


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({"tools": [TOOL]}, "tools", [TOOL]),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice", {"type": "file_search"}),
        ({"parallel_tool_calls": False}, "parallel_tool_calls", False),
        ({"temperature": 0.5}, "temperature", 0.5),
        ({"max_output_tokens": 9}, "max_output_tokens", 9),
        ({"metadata": {"a": "b"}}, "metadata", {"a": "b"}),
        ({"truncation": "auto"}, "truncation", "auto"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key", "k"),
        ({"reasoning": {"effort": "none", "summary": "auto"}}, "reasoning", {"effort": "none", "summary": "auto"}),
        ({"reasoning": {"summary": "concise"}}, "reasoning", {"effort": None, "summary": "concise"}),
        ({"text": {"verbosity": "low"}}, "text", {"format": {"type": "text"}, "verbosity": "low"}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}}},
            "text",
            {
                "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True, "description": None},
                "verbosity": "medium",
            },
        ),
    ],
)
def test_the_answer_repeats_what_was_asked(members: dict[str, Any], field: str, value: object) -> None:
    assert head(request(**members), "resp_1", "m", 5)[field] == value
