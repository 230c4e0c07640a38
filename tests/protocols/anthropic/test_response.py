from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from bm.chat.events import End, Event, Failed, Finish, PartAnnotation, PartDelta, Start, Usage, UsageUpdate
from bm.chat.parts import Thinking, ToolCall
from bm.chat.response import ChatResponse, Choice, fold
from bm.chat.signature import Signature
from bm.protocols.anthropic.response import decode_response, encode_response
from tests.protocols.anthropic.examples import IDS, THINKS, chat, decoded, stream
from tests.protocols.anthropic.test_stream_encoder import EVENTS, answers
from tests.support.events import check as check_events
from tests.support.events import unfold
from tests.support.grammar_anthropic import check

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "EqRk"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t1", "name": "run", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 9,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 25,
        "output_tokens_details": {"thinking_tokens": 20},
    },
}
ASKS = chat(protocol="anthropic", reasoning=THINKS)


def test_a_message_is_read_and_written_again() -> None:
    events = decode_response(MESSAGE)
    check_events(events)
    assert events[0] == Start("msg_1", "claude")
    assert events[-3:] == (
        UsageUpdate(Usage(input=9, cache_read=4, output=25, thinking=20)),
        Finish("tool_calls", native="tool_use"),
        End(),
    )
    assert encode_response(events, ASKS, IDS, model="") == MESSAGE


def test_the_answer_shows_the_name_it_is_given_and_an_id_of_its_own() -> None:
    body = encode_response(EVENTS, ASKS, IDS, model="asked")
    assert (body["model"], body["id"]) == ("asked", "msg_0123456789abcdef")


def test_citations_are_kept() -> None:
    citation = {"type": "char_location", "cited_text": "x"}
    events = decode_response({"content": [{"type": "text", "text": "Hi", "citations": [citation]}]})
    assert PartAnnotation(0, "anthropic", citation) in events and PartDelta(0, "Hi") in events
    assert encode_response(events, ASKS, IDS, model="m")["content"][0]["citations"] == [citation]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded"),
        ({}, "malformed"),
        ({"content": "Hi"}, "malformed"),
        ({"content": [{"text": "Hi"}]}, "malformed"),
        ({"content": [{"type": "tool_use", "id": "t", "name": "n", "input": "x"}]}, "malformed"),
    ],
)
def test_what_is_no_message_is_a_failure(body: dict[str, Any], kind: str) -> None:
    (failed,) = decode_response(body)
    assert isinstance(failed, Failed) and failed.failure.kind == kind


def test_an_empty_answer_is_one() -> None:
    events = decode_response({"content": [], "stop_reason": "end_turn"})
    check_events(events)
    body = encode_response(events, ASKS, IDS, model="m")
    assert (body["content"], body["stop_reason"], body["usage"]["output_tokens"]) == ([], "end_turn", 0)


@given(answers())
def test_a_whole_answer_says_what_its_stream_says(events: list[Event]) -> None:
    if isinstance(events[-1], Failed):
        return
    reader = check(stream(events, ASKS))
    assert reader.message is not None
    whole = encode_response(events, ASKS, IDS, model="claude")
    told = {**reader.message, "content": [_plain(block) for block in reader.message["content"]]}
    assert told == {**whole, "content": [_plain(block) for block in whole["content"]]}
    assert fold(decode_response(whole)).choices[0].finish is not None


def _plain(block: dict[str, Any]) -> dict[str, Any]:
    """A block without what only one of the two forms says."""
    return {name: value for name, value in block.items() if value != ""}


def test_a_foreign_signature_comes_back_to_the_call_it_belongs_to() -> None:
    signature = Signature("gemini", "c2ln", "gemini-3")
    answer = ChatResponse(
        choices=(
            Choice(
                (
                    Thinking("hm"),
                    ToolCall("t1", "run", {"a": 1}, raw='{"a":1}', signature=signature),
                    ToolCall("t2", "run", {"b": 2}, raw='{"b":2}'),
                ),
                Finish("tool_calls"),
            ),
        )
    )
    content = encode_response(unfold(answer), ASKS, IDS, model="m")["content"]
    request = decoded({"role": "user", "content": "Hi"}, {"role": "assistant", "content": content})
    assert request.turns[1].parts == answer.choices[0].parts
