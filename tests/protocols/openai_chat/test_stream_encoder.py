from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
    Ping,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Citation, Json, Media, Opaque, Part, Refusal, Source, Text, Thinking, ToolCall
from bm.chat.request import ChatRequest
from bm.chat.signature import Signature
from bm.errors import Failure
from bm.protocols.openai_chat.codec import CODEC
from tests.protocols.openai_chat.generate import answers
from tests.protocols.openai_chat.kit import client_request, decode, deltas, encode, ids, read, shown
from tests.support.events import check, unfold
from tests.support.folding import ChatResponse, Choice, fold
from tests.support.grammar_openai_chat import check_stream

HELLO: tuple[Event, ...] = (Start("up", "up"), PartStart(0, "text"), PartDelta(0, "Hi"), PartEnd(0))
DONE: tuple[Event, ...] = (Finish("stop"), End())


def call(index: int = 0, *pieces: str, name: str = "f", **members: Any) -> tuple[Event, ...]:
    start = PartStart(index, "tool_call", id=f"call_{index}", name=name, **members)
    return (start, *(PartDelta(index, piece) for piece in pieces), PartEnd(index))


def test_a_plain_answer_byte_for_byte() -> None:
    head = (
        b'data: {"id":"chatcmpl-0000000000000001","object":"chat.completion.chunk","created":1700000000,'
        b'"model":"shown","choices":['
    )
    tail = b',"logprobs":null,"finish_reason":null}]}\n\n'
    assert encode([*HELLO, *DONE]) == (
        head
        + b'{"index":0,"delta":{"role":"assistant","content":"","refusal":null}'
        + tail
        + head
        + b'{"index":0,"delta":{"content":"Hi"}'
        + tail
        + head
        + b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
        + b"data: [DONE]\n\n"
    )


def test_usage_is_sent_last_and_only_when_asked_for() -> None:
    events = [*HELLO, UsageUpdate(Usage(input=200, cache_read=800, output=250, thinking=200)), *DONE]
    assert not any("usage" in piece for piece in shown(events)[:-1])
    chunks = shown(events, client_request(stream=True, stream_options={"include_usage": True}))
    assert [piece["usage"] for piece in chunks[:-2]] == [None] * 3
    last = chunks[-2]
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 1000
    assert last["usage"]["completion_tokens"] == 250
    assert last["usage"]["total_tokens"] == 1250
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] == 800
    assert last["usage"]["completion_tokens_details"]["reasoning_tokens"] == 200


def test_unknown_usage_is_not_made_up() -> None:
    raw = encode([*HELLO, *DONE], client_request(stream_options={"include_usage": True}))
    check_stream(raw, usage=True)
    assert b"prompt_tokens" not in raw


def test_the_model_shown_is_the_one_given_else_the_upstreams() -> None:
    assert shown([*HELLO, *DONE])[0]["model"] == "shown"


def test_calls_are_counted_from_zero_whatever_their_place_among_the_parts() -> None:
    events = [*HELLO, *call(1, '{"a":', "1}"), *call(2), Finish("tool_calls"), End()]
    assert deltas(events)[1:] == [
        {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {"tool_calls": [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]


def test_interleaved_calls_are_written_one_after_the_other() -> None:
    events: list[Event] = [
        Start(),
        PartStart(0, "tool_call", id="a", name="f"),
        PartStart(1, "tool_call", id="b", name="g"),
        PartDelta(1, "{}"),
        PartDelta(0, '{"x":1}'),
        PartEnd(1),
        PartEnd(0),
        Finish("tool_calls"),
        End(),
    ]
    fragments = [delta["tool_calls"][0] for delta in deltas(events)]
    assert [(part["index"], part["function"]["arguments"]) for part in fragments] == [
        (0, ""),
        (0, '{"x":1}'),
        (1, ""),
        (1, "{}"),
    ]


def test_a_gemini_signature_travels_on_its_call_as_googles_own_endpoint_sends_it() -> None:
    signature = Signature("gemini", "c2ln")
    carried = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    at_once = deltas([Start(), *call(0, "{}", signature=signature), *DONE])[0]["tool_calls"][0]
    assert at_once.items() >= carried.items()
    events: list[Event] = [Start(), PartStart(0, "tool_call", id="a", name="f"), PartDelta(0, "{}")]
    late = deltas([*events, PartSignature(0, signature), PartEnd(0), *DONE])
    assert late[-1] == {"tool_calls": [{"index": 0, **carried}]}


def test_another_vendors_signature_is_not_shown() -> None:
    raw = encode([Start(), *call(0, "{}", signature=Signature("anthropic", "c2ln")), *DONE])
    assert b"c2ln" not in raw


@pytest.mark.parametrize(
    ("members", "visible"),
    [
        ({}, False),
        ({"reasoning_effort": "high"}, False),
        ({"reasoning": {"effort": "high"}}, True),
        ({"reasoning": {"effort": "high", "exclude": True}}, False),
        ({"include_reasoning": True}, True),
        ({"reasoning_format": "parsed"}, True),
        ({"reasoning_format": "hidden"}, False),
        ({"thinking": {"type": "enabled"}}, True),
        ({"enable_thinking": True}, True),
        ({"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}}, True),
    ],
)
def test_thoughts_are_shown_only_to_clients_that_know_them(members: dict[str, Any], visible: bool) -> None:
    thought: list[Event] = [Start(), PartStart(0, "thinking"), PartDelta(0, "hm"), PartEnd(0)]
    found = deltas([*thought, *DONE], client_request(**members))
    assert found == ([{"reasoning_content": "hm"}] if visible else [])


def test_a_client_of_the_first_form_gets_one_function_call() -> None:
    request = client_request(functions=[{"name": "f", "parameters": {}}])
    events = [Start(), *call(0, "{}"), *call(1, "{}"), Finish("tool_calls"), End()]
    assert deltas(events, request) == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
    ]
    assert shown(events, request)[-2]["choices"][0]["finish_reason"] == "function_call"


def test_a_custom_tools_input_is_free_text() -> None:
    request = client_request(tools=[{"type": "custom", "custom": {"name": "py"}}])
    own = [Start(), *call(0, "print", "(1)", name="py", tool_kind="custom"), *DONE]
    as_function = [Start(), *call(0, '{"input":"pri', 'nt(1)"}', name="py"), *DONE]
    for events in (own, as_function):
        found = deltas(events, request)
        assert found[0]["tool_calls"][0]["custom"] == {"name": "py", "input": ""}
        assert "".join(delta["tool_calls"][0]["custom"]["input"] for delta in found[1:]) == "print(1)"


def test_a_refusal_has_its_reason() -> None:
    events: list[Event] = [*HELLO, Finish("refusal", explanation="unsafe"), End()]
    assert deltas(events)[-1] == {"refusal": "unsafe"}
    assert shown(events)[-2]["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("context_window", "length"),
        ("tool_calls", "stop"),
        ("pause", "length"),
    ],
)
def test_finish_reasons_of_an_answer_without_calls(reason: Any, word: str) -> None:
    assert shown([*HELLO, Finish(reason), End()])[-2]["choices"][0]["finish_reason"] == word


def test_stop_with_a_call_tells_the_client_to_run_it() -> None:
    assert shown([Start(), *call(0, "{}"), *DONE])[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_cited_page_becomes_an_annotation_over_its_text() -> None:
    raw = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "…"}
    events: list[Event] = [
        *HELLO,
        PartStart(1, "text"),
        PartAnnotation(1, Citation("anthropic", raw, (Source("https://a.example", "A"),))),
        PartDelta(1, "there"),
        PartEnd(1),
        *DONE,
    ]
    cited = {"url": "https://a.example", "title": "A", "start_index": 2, "end_index": 7}
    assert deltas(events)[-1] == {"annotations": [{"type": "url_citation", "url_citation": cited}]}


def test_a_generated_image_is_shown_as_openrouter_does() -> None:
    events: list[Event] = [Start(), PartWhole(0, Media("image", mime="image/png", data="QUJD")), *DONE]
    url = {"url": "data:image/png;base64,QUJD"}
    assert deltas(events) == [{"images": [{"type": "image_url", "image_url": url}]}]


def test_a_vendors_own_block_is_shown_by_its_summary_or_not_at_all() -> None:
    events: list[Event] = [
        Start(),
        PartWhole(0, Opaque("gemini", "executableCode", {}, summary="```python\n1\n```")),
        PartWhole(1, Opaque("anthropic", "container_upload", {})),
        *DONE,
    ]
    assert deltas(events) == [{"content": "```python\n1\n```"}]


def test_an_empty_answer_is_a_whole_stream() -> None:
    raw = encode([Start(), Finish("refusal"), End()])
    check_stream(raw)
    assert b'"finish_reason":"content_filter"' in raw


@pytest.mark.parametrize("before", [(), HELLO[:1], HELLO[:3], HELLO, (*HELLO, Finish("stop"))])
def test_a_failed_answer_ends_in_an_error_and_never_in_done(before: tuple[Event, ...]) -> None:
    raw = encode([*before, Failed(Failure(kind="truncated", message="cut"))])
    check_stream(raw)
    assert b"[DONE]" not in raw
    assert b'"finish_reason":"' not in raw
    assert raw.endswith(
        b'data: {"error":{"message":"cut","type":"server_error","param":null,"code":"upstream_truncated"}}\n\n'
    )


def test_a_silent_upstream_is_bridged_by_comments() -> None:
    assert encode([Start(), Ping()]).endswith(b": keep-alive\n\n")


def test_choices_interleave() -> None:
    events: list[Event] = [
        Start(),
        PartStart(0, "text", choice=0),
        PartStart(1, "text", choice=1),
        PartDelta(1, "b"),
        PartDelta(0, "a"),
        PartEnd(0),
        PartEnd(1),
        Finish("stop", choice=0),
        Finish("length", choice=1),
        End(),
    ]
    raw = encode(events, client_request(n=2))
    check_stream(raw)
    finishes = {piece["choices"][0]["index"]: piece["choices"][0]["finish_reason"] for piece in shown(events)[:-1]}
    assert finishes == {0: "stop", 1: "length"}


REQUESTS = [
    client_request(),
    client_request(stream_options={"include_usage": True}, reasoning={"enabled": True}),
    client_request(functions=[{"name": "f"}]),
    client_request(tools=[{"type": "custom", "custom": {"name": "f"}}], parallel_tool_calls=False),
]


@given(answers(), st.sampled_from(REQUESTS))
def test_any_answer_is_a_legal_stream(events: list[Event], request: Any) -> None:
    check(events)
    check_stream(encode(events, request), usage=request.stream_usage)


@pytest.mark.parametrize(
    ("part", "delta"),
    [
        (Media("image", url="https://a"), {"images": [{"type": "image_url", "image_url": {"url": "https://a"}}]}),
        (Media("document", text="words"), {"content": "words"}),
        (Media("audio", mime="audio/wav", data="QUJD"), None),
        (Opaque("gemini", "k", {}), None),
        (Thinking("", redacted=True), None),
    ],
)
def test_what_a_client_sees_of_a_part_that_came_at_once(part: Part, delta: Json | None) -> None:
    assert deltas([Start(), PartWhole(0, part), *DONE]) == ([delta] if delta else [])


CALLED = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
VISIBLE = client_request(reasoning={"enabled": True})


def completion(*given: Part, finish: Finish | None = None, request: ChatRequest | None = None) -> Json:
    """The choice a client gets."""
    response = ChatResponse(id="up", model="up", choices=(Choice(given, finish or Finish("stop")),))
    body = CODEC.encode_response(unfold(response), request or client_request(), ids(), model="shown")
    (choice,) = body["choices"]
    assert isinstance(choice, dict)
    return choice


def test_a_plain_completion() -> None:
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


def test_calls_of_a_completion_have_their_signatures() -> None:
    call = ToolCall("a", "f", {"x": 1}, raw='{"x":1}', signature=Signature("gemini", "c2ln"))
    choice = completion(call, finish=Finish("tool_calls"))
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [{**CALLED, "extra_content": {"google": {"thought_signature": "c2ln"}}}]
    assert choice["finish_reason"] == "tool_calls"


def test_a_call_without_arguments_holds_an_empty_object_and_one_cut_off_stays_cut_off() -> None:
    choice = completion(ToolCall("a", "f", {}), ToolCall("b", "f", {}, raw='{"x":'), finish=Finish("length"))
    assert [call["function"]["arguments"] for call in choice["message"]["tool_calls"]] == ["{}", '{"x":']
    assert choice["finish_reason"] == "length"


def test_thoughts_of_a_completion_are_shown_to_clients_that_know_them() -> None:
    thought = (Thinking("hm"), Text("a"))
    assert "reasoning_content" not in completion(*thought)["message"]
    assert completion(*thought, request=VISIBLE)["message"]["reasoning_content"] == "hm"


def test_the_first_form_has_room_for_one_call() -> None:
    request = client_request(functions=[{"name": "f"}])
    choice = completion(ToolCall("a", "f", {"x": 1}), ToolCall("b", "f", {}), request=request)
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"x":1}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"


def test_a_custom_tools_input_is_free_text_in_a_completion() -> None:
    request = client_request(tools=[{"type": "custom", "custom": {"name": "py"}}])
    own = ToolCall("a", "py", {"input": "1+1"}, raw="1+1", kind="custom")
    as_function = ToolCall("a", "py", {"input": "1+1"}, raw='{"input":"1+1"}')
    for call in (own, as_function):
        assert completion(call, request=request)["message"]["tool_calls"] == [
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
    message = completion(*given, finish=finish)["message"]
    assert (message["content"], message["refusal"]) == (content, refusal)


def test_citations_and_images_are_shown() -> None:
    cited = Text("there", citations=(Citation("anthropic", {}, (Source("https://a", "A"),)),))
    image = Media("image", mime="image/png", data="QUJD")
    message = completion(Text("See "), cited, image)["message"]
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
    if isinstance(events[-1], Failed):
        return
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
