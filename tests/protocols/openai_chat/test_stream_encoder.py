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
from bm.chat.parts import Media, Opaque, Source
from bm.chat.signature import Signature
from bm.errors import Failure
from tests.protocols.openai_chat.generate import answers
from tests.protocols.openai_chat.kit import client_request, deltas, encode, shown
from tests.support.events import check
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


def test_usage_that_nobody_knows_is_not_made_up() -> None:
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


def test_interleaved_calls_stay_apart() -> None:
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
        (1, ""),
        (1, "{}"),
        (0, '{"x":1}'),
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


def test_a_refusal_says_why() -> None:
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
        PartAnnotation(1, "anthropic", raw, (Source("https://a.example", "A"),)),
        PartDelta(1, "there"),
        PartEnd(1),
        *DONE,
    ]
    cited = {"url": "https://a.example", "title": "A", "start_index": 2, "end_index": 7}
    assert deltas(events)[-1] == {"annotations": [{"type": "url_citation", "url_citation": cited}]}


def test_a_drawn_image_is_shown_as_openrouter_does() -> None:
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
