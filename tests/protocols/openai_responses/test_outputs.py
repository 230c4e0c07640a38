from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Citation, Json
from bm.chat.request import Tool
from bm.chat.signature import NEXT, PREVIOUS, Signature, wrap
from bm.protocols.codec import IdFactory
from bm.protocols.openai_responses.outputs import (
    Call,
    ConvertedCall,
    Message,
    Output,
    Reasoning,
    response_head,
    template,
)
from tests.protocols.openai_responses.samples import request
from tests.support.grammar_openai_responses import events

CALL = {"type": "function_call", "call_id": "c", "name": "f"}
GEMINI = Signature("gemini", "c2ln")


def output(*, carries: bool = False) -> Output:
    return Output(IdFactory(lambda prefix: f"{prefix}0"), carries=carries)


def test_events_are_numbered_as_they_are_written() -> None:
    out = output()
    raw = out.event("response.x", a=1) + out.delta(template("response.y", b=2), 'z"') + out.event("error")
    assert events(raw) == [
        {"type": "response.x", "a": 1, "sequence_number": 0},
        {"type": "response.y", "b": 2, "delta": 'z"', "sequence_number": 1},
        {"type": "error", "sequence_number": 2},
    ]


def test_text_is_a_message_with_one_part() -> None:
    out, note = output(), {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    out.items.append({})
    message = Message(out, "msg_1")
    raw = message.begin() + message.text("a") + message.cite(Citation("openai-responses", note)) + message.text("b")
    raw += message.end()
    part = {"type": "output_text", "text": "ab", "annotations": [note], "logprobs": []}
    assert out.items[1:] == [
        {"id": "msg_1", "type": "message", "role": "assistant", "content": [part], "status": "completed"}
    ]
    assert {event["output_index"] for event in events(raw)} == {1}
    assert events(raw)[0]["item"]["status"] == "in_progress"


def test_a_refusal_takes_no_citations() -> None:
    message = Message(output(), "msg_1", refusal=True)
    raw = message.begin() + message.text("no") + message.cite(Citation("openai-responses", {})) + message.end()
    assert [event["type"] for event in events(raw)][2:4] == ["response.refusal.delta", "response.refusal.done"]


def test_reasoning_begins_with_its_first_piece() -> None:
    out = output()
    assert Reasoning(out, "rs_1").end() == b"" and out.items == []
    first = Reasoning(out, "rs_1")
    assert [event["type"] for event in events(first.text("Hm"))] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
    ]
    first.text("!")
    first.sign(Signature("openai", "gAAAA"))
    first.end()
    summary = [{"type": "summary_text", "text": "Hm!"}]
    assert out.items == [{"id": "rs_1", "type": "reasoning", "summary": summary, "encrypted_content": "gAAAA"}]


def test_reasoning_that_only_carries_has_no_summary() -> None:
    raw = Reasoning(output(), "rs_1", Signature("openai", "gAAAA")).end()
    assert [event["type"] for event in events(raw)] == ["response.output_item.added", "response.output_item.done"]


@pytest.mark.parametrize(("pieces", "arguments"), [(["{", "}"], "{}"), ([], "{}")])
def test_a_call_repeats_its_arguments_at_the_end(pieces: list[str], arguments: str) -> None:
    call = Call(output(), "fc_1", CALL, "arguments")
    reported = events(call.begin() + b"".join(call.text(piece) for piece in pieces) + call.end())
    assert reported[0]["item"]["arguments"] == "" and reported[-2]["arguments"] == arguments
    assert reported[-1]["item"] == {"id": "fc_1", **CALL, "status": "completed", "arguments": arguments}


@pytest.mark.parametrize(("pieces", "text"), [(['{"input":', '"x"}'], "x"), (['{"input":""}'], "")])
def test_a_converted_call_waits_for_all_of_its_arguments(pieces: list[str], text: str) -> None:
    out = output()
    call = ConvertedCall(out, "ctc_1", "c", "function", Tool("p", kind="custom"))
    assert [call.text(piece) for piece in pieces] == [b""] * len(pieces)
    reported = events(call.end())
    assert reported[0]["item"]["type"] == "custom_tool_call" and reported[-1]["item"]["input"] == text
    assert out.items == [reported[-1]["item"]]


def test_an_item_that_comes_at_once_is_in_progress_first() -> None:
    item = {"type": "mcp_call", "id": "m", "status": "completed"}
    added, done = events(output().whole(item))
    assert added["item"]["status"] == "in_progress" and done["item"] == item


def test_a_late_signature_is_carried_behind_its_item_once() -> None:
    out = output(carries=True)
    assert out.carry(GEMINI, NEXT) and not out.carry(GEMINI, NEXT)
    assert not output().carry(GEMINI, NEXT)
    later = Signature("gemini", "bGF0ZXI=")
    call = Call(out, "fc_1", CALL, "arguments")
    call.begin()
    call.sign(later)
    call.end()
    carrier: Json = {"id": "rs_0", "type": "reasoning", "summary": [], "encrypted_content": wrap(later, PREVIOUS)}
    assert out.items[-1] == carrier


TOOL = {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}, "strict": True}


def test_the_head_of_a_plain_answer() -> None:
    reported = response_head(request(), "resp_1", "m", 5)
    assert (reported["id"], reported["object"], reported["model"], reported["created_at"]) == (
        "resp_1",
        "response",
        "m",
        5,
    )
    assert (reported["status"], reported["output"], reported["error"], reported["usage"]) == (
        "in_progress",
        [],
        None,
        None,
    )
    assert reported["parallel_tool_calls"] is True and reported["tool_choice"] == "auto" and reported["tools"] == []


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
    assert response_head(request(**members), "resp_1", "m", 5)[field] == value
