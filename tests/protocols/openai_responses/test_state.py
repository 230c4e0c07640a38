from __future__ import annotations

from typing import Any

import pytest

from bm.protocols.openai_responses.codec import CODEC
from bm.protocols.openai_responses.state import continued, input_items, output_items
from tests.protocols.openai_responses.samples import answer, call_part, ids, request, wire

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "seen"}


def test_a_plain_string_is_one_message_of_the_user() -> None:
    assert input_items({"input": "Hi"}) == [{"type": "message", "role": "user", "content": "Hi"}]
    assert input_items({"input": [CALL]}) == [CALL]
    assert input_items({}) == []


def test_what_came_before_stands_first_and_the_reference_is_gone() -> None:
    body = {"model": "m", "previous_response_id": "resp_1", "input": [RESULT]}
    earlier = [{"role": "user", "content": "Look."}, CALL]
    assert continued(body, earlier) == {"model": "m", "input": [*earlier, RESULT]}
    assert "previous_response_id" in body


def test_a_reference_to_an_earlier_item_is_resolved() -> None:
    for reference in ({"type": "item_reference", "id": "fc_1"}, {"id": "fc_1"}):
        assert continued({"input": [reference, RESULT]}, [CALL])["input"] == [CALL, CALL, RESULT]


@pytest.mark.parametrize("named", ["fc_2", "", None, 1, [1], {"id": "fc_1"}])
def test_a_reference_to_nothing_known_stays_as_it_is(named: Any) -> None:
    for unknown in ({"type": "item_reference", "id": named}, {"id": named}):
        assert continued({"input": [unknown]}, [CALL])["input"] == [CALL, unknown]


def test_an_answer_can_be_continued_from() -> None:
    asked = {"model": "m", "input": "Look."}
    first = CODEC.encode_response(answer(call_part(0, "look", '{"at":1}')), request(), ids(), model="m")
    earlier = input_items(asked) + output_items(wire(first))
    again = CODEC.decode_request(continued({"model": "m", "previous_response_id": "r", "input": [RESULT]}, earlier))
    assert [turn.role for turn in again.turns] == ["user", "assistant", "user"]


def test_an_answer_without_output_has_no_items() -> None:
    assert output_items({"output": None}) == []
