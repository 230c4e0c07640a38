from __future__ import annotations

from bm.chat.events import End, Failed, Finish, Start, Usage, UsageUpdate
from bm.chat.parts import Text, Thinking, ToolCall
from bm.chat.response import fold
from bm.chat.signature import Signature
from bm.protocols.openai_responses.response import decode_response, encode_response
from tests.protocols.openai_responses.samples import answer, call_part, ids, request, text_part, wire
from tests.support.events import check


def test_an_answer_is_written_and_read_again() -> None:
    told = answer(text_part(0, "a", "b"), call_part(1, "look", '{"x"', ":1}"))
    told.insert(-2, UsageUpdate(Usage(5, 4, 3, 2, 1)))
    body = wire(encode_response(told, request(), ids(), model="shown"))
    assert (body["status"], body["model"]) == ("completed", "shown")
    again = decode_response(body)
    check(again)
    response = fold(again)
    assert response.choices[0].parts == (Text("ab"), ToolCall("call_1", "look", {"x": 1}, '{"x":1}'))
    assert response.usage == Usage(5, 4, 3, 2, 1)
    assert response.choices[0].finish == Finish("tool_calls", native="completed")


def test_thinking_keeps_its_signature() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]}
    body = {"id": "resp_1", "status": "completed", "output": [{**item, "encrypted_content": "gAAAA"}]}
    events = decode_response(body)
    assert fold(events).choices[0].parts == (Thinking("Hm", Signature("openai", "gAAAA")),)
    again = encode_response(events, request(), ids(), model="m")
    assert again["output"][0]["encrypted_content"] == "gAAAA"


def test_an_answer_that_is_not_finished_is_a_failure() -> None:
    events = decode_response({"id": "resp_1", "status": "queued", "output": []})
    check(events)
    assert isinstance(events[-1], Failed) and "queued" in events[-1].failure.message


def test_an_answer_without_items_is_still_an_answer() -> None:
    events = decode_response({"id": "resp_1", "model": "m", "status": "completed", "output": None})
    assert [type(event) for event in events] == [Start, Finish, End]
