from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from bm.chat.capabilities import Dialect
from bm.chat.events import End, Event, Failed, Finish, Start, Usage
from bm.chat.parts import Citation, Json, Media, Opaque, Part, Refusal, Source, Text, Thinking, ToolCall
from bm.chat.request import ChatRequest
from bm.chat.response import ChatResponse, Choice, fold
from bm.chat.signature import Signature
from bm.protocols.openai_chat.codec import CODEC
from tests.protocols.openai_chat.generate import answers
from tests.protocols.openai_chat.kit import answer, client_request, decode, encode, failure_kind, ids, read
from tests.support.events import check, unfold

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
SPOKEN: Json = {"data": "QUJD", "transcript": "t"}
VISIBLE = client_request(reasoning={"enabled": True})


def parts(body: Json, dialect: Dialect | None = None) -> tuple[Part, ...]:
    events = read(body, dialect)
    check(events)
    return fold(events).choices[0].parts


def reason(body: Json) -> Any:
    finish = fold(read(body)).choices[0].finish
    assert finish is not None
    return finish.reason


def written(*given: Part, finish: Finish | None = None, request: ChatRequest | None = None) -> Json:
    """The choice a client gets."""
    response = ChatResponse(id="up", model="up", choices=(Choice(given, finish or Finish("stop")),))
    body = CODEC.encode_response(unfold(response), request or client_request(), ids(), model="shown")
    (choice,) = body["choices"]
    assert isinstance(choice, dict)
    return choice


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": "a"}, (Text("a"),)),
        ({"content": "a", "reasoning_content": "hm"}, (Thinking("hm"), Text("a"))),
        ({"content": "a", "reasoning": "hm", "channel": "x"}, (Thinking("hm"), Text("a"))),
        (
            {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]},
            (Thinking("hm"), Text("a")),
        ),
        ({"content": {"a": 1}}, (Text('{"a":1}'),)),
        ({"content": None, "refusal": "no"}, (Refusal("no"),)),
        ({"content": None, "tool_calls": [CALL]}, (ToolCall("a", "f", {"x": 1}, raw='{"x":1}'),)),
        ({"tool_calls": [CALL, {**CALL, "id": "b"}]}, tuple(ToolCall(i, "f", {"x": 1}, raw='{"x":1}') for i in "ab")),
        ({"function_call": {"name": "f", "arguments": "{}"}}, (ToolCall("call_0000000000000001", "f", {}, raw="{}"),)),
        ({"content": "a", "function_call": {"name": "", "arguments": ""}, "audio": {"data": ""}}, (Text("a"),)),
        (
            {"content": "a", "audio": SPOKEN},
            (Text("a"), Opaque("openai-chat", "audio", SPOKEN, "t")),
        ),
        ({"content": None}, ()),
    ],
)
def test_messages_are_read(message: Json, expected: tuple[Part, ...]) -> None:
    assert parts(answer(message)) == expected


def test_thinking_in_a_tag_is_thinking_where_the_dialect_says_so() -> None:
    body = answer({"content": "<think>\nhm</think>\n\na"})
    assert parts(body, Dialect(thinking_tag="think")) == (Thinking("hm"), Text("a"))
    assert parts(body) == (Text("<think>\nhm</think>\n\na"),)


def test_head_and_usage_are_read() -> None:
    events = read(answer({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 1}))
    assert events[0] == Start("c1", "up")
    assert fold(events).usage == Usage(input=3, output=1)


@pytest.mark.parametrize(
    ("message", "word", "expected"),
    [
        ({"content": "a"}, "stop", "stop"),
        ({"content": "a"}, "", "stop"),
        ({"content": "a"}, None, "stop"),
        ({"content": "a"}, "tool_calls", "stop"),
        ({"tool_calls": [CALL]}, "stop", "tool_calls"),
        ({"tool_calls": [CALL]}, "", "tool_calls"),
        ({"content": "a"}, "content_filter", "refusal"),
    ],
)
def test_finish_reasons_are_read(message: Json, word: str | None, expected: str) -> None:
    assert reason(answer(message, word)) == expected


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "slow", "code": 429}}, "rate_limited"),
        ({"error": "boom"}, "server"),
        ({"object": "error", "message": "no", "code": 400}, "bad_request"),
        ({"choices": []}, "malformed"),
        ({"choices": [5]}, "malformed"),
        ({}, "malformed"),
        (answer({}, "error"), "server"),
        ({"choices": [{"error": {"message": "slow", "code": 429}, "message": {}}]}, "rate_limited"),
    ],
)
def test_what_is_no_answer_is_a_failure_under_status_200(body: Json, kind: str) -> None:
    events = read(body)
    check(events)
    assert failure_kind(events) == kind


def test_a_plain_answer() -> None:
    response = ChatResponse(
        id="up", model="up", choices=(Choice((Text("Hi"),), Finish("stop")),), usage=Usage(200, 800, 0, 250, 200)
    )
    body = CODEC.encode_response(unfold(response), client_request(), ids(), model="shown")
    assert body == {
        "id": "chatcmpl-0000000000000001",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "shown",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 250,
            "total_tokens": 1250,
            "prompt_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 200,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    }


def test_calls_are_written_with_their_signatures() -> None:
    call = ToolCall("a", "f", {"x": 1}, raw='{"x":1}', signature=Signature("gemini", "c2ln"))
    choice = written(call, finish=Finish("tool_calls"))
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [{**CALL, "extra_content": {"google": {"thought_signature": "c2ln"}}}]
    assert choice["finish_reason"] == "tool_calls"


def test_a_call_without_arguments_holds_an_empty_object_and_one_cut_off_stays_cut_off() -> None:
    choice = written(ToolCall("a", "f", {}), ToolCall("b", "f", {}, raw='{"x":'), finish=Finish("length"))
    assert [call["function"]["arguments"] for call in choice["message"]["tool_calls"]] == ["{}", '{"x":']
    assert choice["finish_reason"] == "length"


def test_thoughts_are_shown_only_to_clients_that_know_them() -> None:
    thought = (Thinking("hm"), Text("a"))
    assert "reasoning_content" not in written(*thought)["message"]
    assert written(*thought, request=VISIBLE)["message"]["reasoning_content"] == "hm"


def test_the_first_form_has_room_for_one_call() -> None:
    request = client_request(functions=[{"name": "f"}])
    choice = written(ToolCall("a", "f", {"x": 1}), ToolCall("b", "f", {}), request=request)
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"x":1}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"


def test_a_custom_tools_input_is_free_text() -> None:
    request = client_request(tools=[{"type": "custom", "custom": {"name": "py"}}])
    own = ToolCall("a", "py", {"input": "1+1"}, raw="1+1", kind="custom")
    as_function = ToolCall("a", "py", {"input": "1+1"}, raw='{"input":"1+1"}')
    for call in (own, as_function):
        assert written(call, request=request)["message"]["tool_calls"] == [
            {"id": "a", "type": "custom", "custom": {"name": "py", "input": "1+1"}}
        ]


@pytest.mark.parametrize(
    ("given", "finish", "content", "refusal"),
    [
        ((), Finish("stop"), "", None),
        ((), Finish("refusal", explanation="unsafe"), None, "unsafe"),
        ((), Finish("refusal"), None, None),
        ((Refusal("no"),), Finish("stop"), None, "no"),
        ((Text("half"),), Finish("refusal", explanation="unsafe"), "half", "unsafe"),
        ((Text("a"), Text("b")), Finish("stop"), "ab", None),
    ],
)
def test_content_and_refusal(given: tuple[Part, ...], finish: Finish, content: str | None, refusal: str | None) -> None:
    message = written(*given, finish=finish)["message"]
    assert (message["content"], message["refusal"]) == (content, refusal)


def test_citations_and_images_are_shown() -> None:
    cited = Text("there", citations=(Citation("anthropic", {}, (Source("https://a", "A"),)),))
    image = Media("image", mime="image/png", data="QUJD")
    message = written(Text("See "), cited, image)["message"]
    assert message["content"] == "See there"
    assert message["annotations"][0]["url_citation"] == {
        "url": "https://a",
        "title": "A",
        "start_index": 4,
        "end_index": 9,
    }
    assert message["images"][0]["image_url"]["url"] == "data:image/png;base64,QUJD"


@given(answers())
def test_an_answer_is_the_same_streamed_or_whole(events: list[Event]) -> None:
    """Parts one after the other: of interleaved texts a whole answer tells no order."""
    if isinstance(events[-1], Failed):
        return
    events = list(unfold(fold(events)))
    whole = read(CODEC.encode_response(events, VISIBLE, ids(), model="shown"))
    streamed = decode(encode(events, VISIBLE))
    check(whole)
    check(streamed)
    assert summary(whole) == summary(streamed)
    assert isinstance(whole[-1], End)


def summary(events: Any) -> Any:
    """What a client makes of an answer, whatever its order."""

    def text(choice: Choice, kind: type[Text] | type[Thinking] | type[Refusal]) -> str:
        return "".join(part.text for part in choice.parts if isinstance(part, kind))

    return [
        (
            *(text(choice, kind) for kind in (Text, Thinking, Refusal)),
            [(part.id, part.name, part.raw) for part in choice.parts if isinstance(part, ToolCall)],
            [part for part in choice.parts if isinstance(part, Media)],
            choice.finish and choice.finish.reason,
        )
        for choice in fold(events).choices
    ]
