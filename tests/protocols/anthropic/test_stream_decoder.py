from __future__ import annotations

from collections.abc import Sequence
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
from bm.chat.parts import Citation, Json, Opaque, Search, Thinking
from bm.chat.signature import Signature
from bm.protocols.anthropic.stream_decoder import AnthropicStreamDecoder
from bm.sse import Event as Raw
from tests.protocols.anthropic.examples import IDS, events_of, wire
from tests.support.events import check

HEAD: dict[str, Any] = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 9, "output_tokens": 1}},
}
DONE = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
STOP = {"type": "message_stop"}


def start(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


TEXT = [start(0, {"type": "text", "text": ""}), delta(0, "text_delta", text="Hi"), stop(0)]
WHOLE: list[dict[str, Any]] = [
    HEAD,
    {"type": "ping"},
    start(0, {"type": "thinking", "thinking": "", "signature": ""}),
    delta(0, "thinking_delta", thinking="h\u00e4m"),
    delta(0, "signature_delta", signature="EqRk"),
    stop(0),
    start(1, {"type": "text", "text": ""}),
    delta(1, "text_delta", text="Hi \U0001f95d"),
    delta(1, "citations_delta", citation={"type": "char_location"}),
    stop(1),
    start(2, {"type": "tool_use", "id": "t1", "name": "run", "input": {}}),
    delta(2, "input_json_delta", partial_json=""),
    delta(2, "input_json_delta", partial_json='{"a"'),
    delta(2, "input_json_delta", partial_json=":1}"),
    stop(2),
    start(3, {"type": "redacted_thinking", "data": "EqRk"}),
    stop(3),
    {**DONE, "delta": {"stop_reason": "tool_use", "stop_sequence": None}},
    STOP,
]
UPSTREAM_ANSWER: list[Event] = [
    Start("msg_1", "claude"),
    UsageUpdate(Usage(input=9, output=1)),
    Ping(),
    PartStart(0, "thinking"),
    PartDelta(0, "h\u00e4m"),
    PartSignature(0, Signature("anthropic", "EqRk")),
    PartEnd(0),
    PartStart(1, "text"),
    PartDelta(1, "Hi \U0001f95d"),
    PartAnnotation(1, Citation("anthropic", {"type": "char_location"})),
    PartEnd(1),
    PartStart(2, "tool_call", "t1", "run"),
    PartDelta(2, '{"a"'),
    PartDelta(2, ":1}"),
    PartEnd(2),
    PartWhole(3, Thinking("", signature=Signature("anthropic", "EqRk"), redacted=True)),
    UsageUpdate(Usage(input=9, output=5)),
    Finish("tool_calls", native="tool_use"),
    End(),
]


def test_a_whole_stream() -> None:
    assert events_of(wire(*WHOLE)) == UPSTREAM_ANSWER


@given(st.lists(st.integers(0, 400), max_size=12))
def test_it_does_not_matter_where_the_bytes_are_cut(sizes: list[int]) -> None:
    assert events_of(wire(*WHOLE), sizes=sizes) == UPSTREAM_ANSWER


@given(st.integers(0, len(wire(*WHOLE)) - 1))
def test_wherever_the_stream_breaks_the_events_are_an_answer(at: int) -> None:
    events = events_of(wire(*WHOLE)[:at])
    check(events)
    finished = UsageUpdate(Usage(input=9, output=5)) in events
    assert isinstance(events[-1], End) is finished
    assert finished or (isinstance(events[-1], Failed) and events[-1].failure.kind == "truncated")


@pytest.mark.parametrize(
    ("payloads", "kind"),
    [
        ([], "truncated"),
        ([HEAD], "truncated"),
        ([HEAD, *TEXT], "truncated"),
        ([HEAD, *TEXT[:2]], "truncated"),
        ([HEAD, delta(0, "text_delta", text="x")], "malformed"),
        ([HEAD, *TEXT[:2], TEXT[0]], "malformed"),
        ([HEAD, *TEXT, HEAD], "malformed"),
        ([HEAD, start(0, {"type": "text", "text": ""}), delta(0, "text_delta", text=5)], "malformed"),
        ([{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}], "overloaded"),
        ([HEAD, *TEXT[:2], {"type": "error", "error": {"type": "api_error", "message": "x"}}], "server"),
        ([HEAD, {"type": "error"}], "server"),
    ],
)
def test_what_is_no_whole_answer_is_a_failure(payloads: list[dict[str, Any]], kind: str) -> None:
    events = events_of(wire(*payloads))
    check(events)
    assert isinstance(events[-1], Failed) and events[-1].failure.kind == kind


def test_garbage_is_a_failure() -> None:
    (failed,) = events_of(b"event: message_start\ndata: {nope\n\n")
    assert isinstance(failed, Failed) and failed.failure.kind == "malformed"


def test_after_its_end_a_stream_says_nothing() -> None:
    decoder = AnthropicStreamDecoder(IDS)
    decoder.close()
    assert list(decoder.feed(Raw(b'{"type":"message_start"}'))) == []
    assert list(decoder.close()) == []


def test_a_stop_reason_is_end_enough() -> None:
    assert events_of(wire(HEAD, *TEXT, DONE))[-2:] == [Finish("stop", native="end_turn"), End()]
    assert events_of(wire(HEAD, *TEXT, STOP))[-2:] == [Finish("stop"), End()]
    assert events_of(wire(HEAD, *TEXT, DONE) + b"data: [DONE]\n\n")[-1] == End()


def test_unknown_events_and_deltas_are_skipped() -> None:
    odd = [{"type": "message_note", "x": 1}, delta(0, "mood_delta", mood="good")]
    assert events_of(wire(HEAD, TEXT[0], *odd, *TEXT[1:], DONE, STOP)) == events_of(wire(HEAD, *TEXT, DONE, STOP))


def test_a_compatible_upstream_may_leave_out_the_head_and_the_type() -> None:
    events = events_of(wire(*TEXT, DONE, STOP))
    check(events)
    assert events[0] == Start()
    named = b'event: content_block_stop\ndata: {"index":0}\n\n'
    assert events_of(wire(HEAD, *TEXT[:2]) + named + wire(DONE)) == events_of(wire(HEAD, *TEXT, DONE))


@pytest.mark.parametrize(
    ("block", "deltas", "arguments"),
    [
        ({"input": {}}, [], []),
        ({"input": {"a": 1}}, [], ['{"a":1}']),
        ({}, ["{}"], ["{}"]),
        ({"input": {"a": 1}}, ['{"b":2}'], ['{"b":2}']),
    ],
)
def test_a_calls_arguments_may_come_with_its_start(
    block: dict[str, Any], deltas: list[str], arguments: list[str]
) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "run", **block}
    pieces = [delta(0, "input_json_delta", partial_json=text) for text in deltas]
    events = events_of(wire(HEAD, start(0, call), *pieces, stop(0), DONE, STOP))
    assert [event.text for event in events if isinstance(event, PartDelta)] == arguments


def test_text_may_come_with_the_start_of_its_block() -> None:
    events = events_of(wire(HEAD, start(0, {"type": "text", "text": "Hi"}), stop(0), DONE, STOP))
    assert PartDelta(0, "Hi") in events
    bare = events_of(wire(HEAD, start(0, {"type": "text"}), stop(0), DONE, STOP))
    assert [event for event in bare if isinstance(event, PartDelta)] == []


def test_a_vendors_own_block_comes_whole() -> None:
    search = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    pieces = [delta(0, "input_json_delta", partial_json=text) for text in ('{"query":', '"kiwi"}')]
    compacted = [
        start(1, {"type": "compaction", "content": None}),
        delta(1, "compaction_delta", content="so far", encrypted_content="zz"),
        stop(1),
    ]
    events = events_of(wire(HEAD, start(0, search), *pieces, stop(0), *compacted, DONE, STOP))
    raw, summary = {**search, "input": {"query": "kiwi"}}, 'Called web_search with {"query":"kiwi"}'
    compaction = {"type": "compaction", "content": "so far", "encrypted_content": "zz"}
    assert [event for event in events if isinstance(event, PartWhole)] == [
        PartWhole(0, Opaque("anthropic", "server_tool_use", raw, summary, Search(("kiwi",)))),
        PartWhole(1, Opaque("anthropic", "compaction", compaction, "so far")),
    ]


def test_a_refusal_keeps_its_reason() -> None:
    details = {"stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": "No."}}
    events = events_of(wire(HEAD, {**DONE, "delta": details}, STOP))
    assert Finish("refusal", native="refusal", explanation="No.") in events


MESSAGE: Json = {
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


def whole(body: Json) -> Sequence[Event]:
    events = AnthropicStreamDecoder(IDS).whole(body)
    check(events)
    return events


def test_a_whole_message_has_the_events_of_a_stream() -> None:
    events = whole(MESSAGE)
    assert events[0] == Start("msg_1", "claude")
    assert events[-3:] == [
        UsageUpdate(Usage(input=9, cache_read=4, output=25, thinking=20)),
        Finish("tool_calls", native="tool_use"),
        End(),
    ]
    citation = {"type": "char_location", "cited_text": "x"}
    cited = whole({"content": [{"type": "text", "text": "Hi", "citations": [citation]}]})
    assert PartAnnotation(0, Citation("anthropic", citation)) in cited and PartDelta(0, "Hi") in cited


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded"),
        ({}, "malformed"),
        ({"content": "Hi"}, "malformed"),
        ({"content": ["Hi"]}, "malformed"),
        ({"content": [{"text": "Hi"}]}, "malformed"),
        ({"content": [{"type": "tool_use", "id": "t", "name": "n", "input": "x"}]}, "malformed"),
    ],
)
def test_what_is_no_message_is_a_failure(body: Json, kind: str) -> None:
    failed = whole(body)[-1]
    assert isinstance(failed, Failed) and failed.failure.kind == kind
