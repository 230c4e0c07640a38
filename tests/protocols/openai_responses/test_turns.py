"""Items of a conversation as turns."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Opaque, Part, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import Turn
from bm.chat.signature import wrap
from bm.errors import RequestError
from bm.protocols.openai_responses.turns import TurnReader
from tests.protocols.openai_responses.samples import GEMINI, reasoning, request

CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "seen"}


def read(*items: dict[str, Any]) -> TurnReader:
    conversation = TurnReader({})
    for i, item in enumerate(items):
        conversation.add(item, f"input[{i}]")
    return conversation


def said(role: str, content: Any = "x") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def test_neighbours_of_one_role_are_one_turn() -> None:
    conversation = read(said("user"), said("assistant", "a"), CALL, RESULT, said("user", "b"))
    assert conversation.turns == (
        Turn("user", (Text("x"),)),
        Turn("assistant", (Text("a"), ToolCall("c", "look", {}, "{}"))),
        Turn("user", (ToolResult("c", (Text("seen"),)), Text("b"))),
    )


def test_instructions_before_the_conversation_are_the_systems_and_later_ones_stay_in_their_place() -> None:
    conversation = read(said("developer", "a"), said("system", "b"), said("user"), said("developer", "c"))
    assert conversation.system == [Text("a"), Text("b")]
    assert conversation.turns == (Turn("user", (Text("x"),)), Turn("system", (Text("c"),)))


def test_a_message_needs_no_type_and_may_have_an_id_and_a_status() -> None:
    conversation = read({"role": "assistant", "content": "a", "id": "msg_1", "status": "completed"})
    assert conversation.turns == (Turn("assistant", (Text("a"),)),)


def test_results_with_an_empty_call_id_answer_the_calls_in_their_order() -> None:
    calls = [{**CALL, "call_id": "", "id": f"fc_{number}"} for number in (1, 2)]
    results = [{**RESULT, "call_id": "", "output": text} for text in "ab"]
    turns = read(
        said("user"), *calls, *results, {**CALL, "call_id": ""}, {**RESULT, "call_id": "", "output": "c"}
    ).turns
    asked = [part.id for turn in turns for part in turn.parts if isinstance(part, ToolCall)]
    answered = [part for turn in turns for part in turn.parts if isinstance(part, ToolResult)]
    assert [(part.call_id, part.texts) for part in answered] == [(i, [t]) for i, t in zip(asked, "abc", strict=True)]
    assert len({"", *asked}) == 4


def test_a_result_with_an_empty_call_id_that_answers_no_call_is_refused() -> None:
    with pytest.raises(RequestError, match="call_id"):
        read(said("user"), {**RESULT, "call_id": ""})


def test_an_empty_text_of_the_assistant_is_left_out() -> None:
    assert read(said("assistant", ""), said("assistant", [{"type": "output_text", "text": ""}])).turns == ()


@pytest.mark.parametrize(
    ("item", "part"),
    [(CALL, ToolCall("c", "look", {}, "{}", signature=GEMINI)), (said("assistant", "a"), Text("a", signature=GEMINI))],
)
def test_a_carried_signature_goes_back_to_the_part_after_it(item: dict[str, Any], part: Part) -> None:
    turns = read(reasoning(wrap(GEMINI, "next"), "Hm"), item, {**CALL, "call_id": "d"}).turns
    assert turns[0].parts == (Thinking("Hm"), part, ToolCall("d", "look", {}, "{}"))


def test_a_carried_signature_that_came_late_goes_to_the_part_before_it() -> None:
    turns = read(CALL, reasoning(wrap(GEMINI, "previous"))).turns
    assert turns == (Turn("assistant", (ToolCall("c", "look", {}, "{}", signature=GEMINI),)),)


def test_a_carried_signature_never_reaches_another_turn() -> None:
    turns = read(said("user"), reasoning(wrap(GEMINI, "next")), said("user"), CALL).turns
    assert turns[1].parts == (ToolCall("c", "look", {}, "{}"),)
    assert read(said("user"), reasoning(wrap(GEMINI, "previous"))).turns == (Turn("user", (Text("x"),)),)


@pytest.mark.parametrize(
    "item", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"type": None, "id": "x"}]
)
def test_a_reference_to_what_openai_keeps_is_refused(item: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="not found") as caught:
        read(said("user"), item)
    assert caught.value.failure.param == "input[1]"


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({}, "input[0]"),
        (5, "input[0]"),
        (said("tool"), "input[0].role"),
        (said("user", 5), "input[0].content"),
    ],
)
def test_a_fault_is_named_with_its_place(item: Any, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(item)
    assert caught.value.failure.param == place


def test_what_a_search_for_tools_has_found_is_its_result() -> None:
    look = {"type": "function", "name": "look", "description": "Looks.", "parameters": {}}
    call = {"type": "tool_search_call", "call_id": "t", "execution": "client", "arguments": {"query": "q"}}
    found = {"type": "tool_search_output", "call_id": "t", "execution": "client", "tools": [look]}
    asked = request(input=[call, found])
    assert [tool.name for tool in asked.tools] == ["look"]
    listed = Opaque("openai-responses", "found_tools", found, summary="These tools can be called now:\n- look: Looks.")
    assert asked.turns == (
        Turn("assistant", (ToolCall("t", "tool_search", {"query": "q"}, '{"query":"q"}'),)),
        Turn("user", (ToolResult("t", (listed,), name="tool_search"),)),
    )


@pytest.mark.parametrize(
    ("kind", "role"),
    [("image_generation_call", "assistant"), ("new_item", "assistant"), ("computer_call_output", "user")],
)
def test_items_of_openais_own_stay_as_they_are(kind: str, role: Any) -> None:
    item = {"type": kind, "id": "x_1"}
    assert read(item).turns == (Turn(role, (Opaque("openai-responses", kind, item),)),)


def test_the_output_of_a_shell_that_openai_ran_stays_with_its_call() -> None:
    call = {"type": "shell_call", "call_id": "c", "environment": {"type": "container_reference"}, "action": {}}
    output = {"type": "shell_call_output", "call_id": "c", "output": []}
    kinds = [type(part) for turn in read(call, output).turns for part in turn.parts]
    assert kinds == [Opaque, Opaque]
