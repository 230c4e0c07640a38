"""What an upstream's chunks tell."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm import sse
from bm.chat.events import (
    End,
    Failed,
    Finish,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Citation
from bm.protocols.gemini.codec import CODEC
from tests.protocols.gemini.ids import ids
from tests.protocols.gemini.kit import SIGNED, S, call_part, chunk, reported

HEAD = Start("r", "gemini-3")


def test_text_arrives_in_pieces() -> None:
    assert reported(chunk({"text": "He"}), chunk({"text": "llo"}), chunk({"text": ""}, finish="STOP")) == [
        HEAD,
        PartStart(0, "text"),
        PartDelta(0, "He"),
        PartDelta(0, "llo"),
        PartEnd(0),
        Finish("stop", native="STOP"),
        End(),
    ]


def test_thinking_comes_before_text() -> None:
    events = reported(chunk({"text": "hm", "thought": True}), chunk({"text": "a"}, finish="STOP"))
    assert events[1:-2] == [
        PartStart(0, "thinking"),
        PartDelta(0, "hm"),
        PartEnd(0),
        PartStart(1, "text"),
        PartDelta(1, "a"),
        PartEnd(1),
    ]


def test_a_signature_on_a_later_empty_part_belongs_to_the_text_before_it() -> None:
    events = reported(chunk({"text": "A"}), chunk({"text": "", "thoughtSignature": S}, finish="STOP"))
    assert events[1:-2] == [PartStart(0, "text"), PartDelta(0, "A"), PartSignature(0, SIGNED), PartEnd(0)]


def test_signed_text_stays_text() -> None:
    events = reported(chunk({"text": "answer", "thoughtSignature": S}, finish="STOP"))
    assert events[1:4] == [PartStart(0, "text"), PartDelta(0, "answer"), PartSignature(0, SIGNED)]


def test_text_behind_a_signature_is_a_part_of_its_own() -> None:
    events = reported(chunk({"text": "A", "thoughtSignature": S}), chunk({"text": "B"}, finish="STOP"))
    assert [e for e in events if isinstance(e, PartStart)] == [PartStart(0, "text"), PartStart(1, "text")]


def test_calls_are_whole_and_get_an_id_where_none_was_given() -> None:
    events = reported(chunk(call_part("f", S, id="given"), call_part("g")), chunk(call_part("h"), finish="STOP"))
    starts = [event for event in events if isinstance(event, PartStart)]
    assert starts == [
        PartStart(0, "tool_call", id="given", name="f", signature=SIGNED),
        PartStart(1, "tool_call", id="call_1", name="g"),
        PartStart(2, "tool_call", id="call_2", name="h"),
    ]
    assert [event.text for event in events if isinstance(event, PartDelta)] == ['{"a":1}'] * 3
    assert events[-2] == Finish("tool_calls", native="STOP")


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = reported(chunk({"functionCall": {"name": "f"}}, finish="STOP"))
    assert PartDelta(0, "{}") in events


def test_snake_case_and_numbered_enums_are_read() -> None:
    part = {"function_call": {"name": "f", "args": {}}, "thought_signature": S}
    body = {
        "candidates": [{"content": {"parts": [part]}, "finish_reason": 1}],
        "usage_metadata": {"prompt_token_count": 3},
    }
    events = reported(body)
    assert PartStart(0, "tool_call", id="call_1", name="f", signature=SIGNED) in events
    assert UsageUpdate(Usage(input=3)) in events
    assert events[-2] == Finish("tool_calls", native="STOP")


def test_several_candidates_are_choices_that_may_interleave() -> None:
    events = reported(
        chunk({"text": "a"}, index=0),
        chunk({"text": "b"}, index=1),
        chunk({"text": "c"}, index=0, finish="STOP"),
        chunk(index=1, finish="MAX_TOKENS"),
    )
    assert [event for event in events if isinstance(event, PartStart)] == [
        PartStart(0, "text"),
        PartStart(1, "text", choice=1),
    ]
    assert events[-3:-1] == [Finish("stop", native="STOP"), Finish("length", native="MAX_TOKENS", choice=1)]


def test_a_finish_reason_on_every_chunk_is_no_end() -> None:
    events = reported(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="MAX_TOKENS"))
    assert [event.text for event in events if isinstance(event, PartDelta)] == ["a", "b"]
    assert [event for event in events if isinstance(event, Finish)] == [Finish("length", native="MAX_TOKENS")]


def test_grounding_is_an_annotation_of_the_text() -> None:
    last = chunk({"text": "b"}, finish="STOP")
    last["candidates"][0]["groundingMetadata"] = {"webSearchQueries": ["q"]}
    events = reported(chunk({"text": "a"}), last)
    assert PartAnnotation(0, Citation("gemini", {"groundingMetadata": {"webSearchQueries": ["q"]}})) in events


def test_an_empty_answer_is_an_answer() -> None:
    assert reported(chunk(finish="STOP")) == [HEAD, Finish("stop", native="STOP"), End()]


@pytest.mark.parametrize(
    ("chunks", "kind"),
    [
        ([], "truncated"),
        ([chunk({"text": "a"})], "truncated"),
        ([chunk({"text": "a"}, finish="FINISH_REASON_UNSPECIFIED")], "truncated"),
        ([chunk({"text": "a"}, index=0, finish="STOP"), chunk({"text": "b"}, index=1)], "truncated"),
        ([{"usageMetadata": {}}], "malformed"),
        ([[1, 2]], "malformed"),
        ([{"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}], "overloaded"),
        ([[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "busy"}}]], "rate_limited"),
        ([chunk({"text": "a"}), {"error": {"status": "INTERNAL"}}], "server"),
    ],
)
def test_what_is_no_answer_is_a_failure(chunks: list[Any], kind: str) -> None:
    last = reported(*chunks)[-1]
    assert isinstance(last, Failed)
    assert last.failure.kind == kind


def test_a_chunk_that_is_no_json_is_a_failure() -> None:
    events = CODEC.stream_decoder(ids()).feed(sse.Event(b'{"candidates'))
    assert [type(event) for event in events] == [Failed]


PARTS = st.sampled_from(
    [
        {"text": "a"},
        {"text": ""},
        {"text": "ü😀", "thoughtSignature": S},
        {"text": "", "thoughtSignature": S},
        {"thoughtSignature": S},
        {"text": "hm", "thought": True},
        {"thought": True, "thoughtSignature": S},
        call_part("f"),
        call_part("g", S),
        {"functionCall": {}},
        {"executableCode": {"code": "x"}},
        {"inlineData": {"mimeType": "image/png", "data": "aaaa"}},
        {},
    ]
)


CHUNKS = st.lists(
    st.builds(
        lambda parts, finish, index: chunk(*parts, finish=finish, index=index),
        st.lists(PARTS, max_size=4),
        st.sampled_from([None, None, None, "STOP", "SAFETY", "OTHER", "MALFORMED_RESPONSE", 2]),
        st.sampled_from([None, 0, 1]),
    ),
    max_size=6,
)


@given(CHUNKS)
def test_any_chunks_tell_legal_events(chunks: list[Any]) -> None:
    reported(*chunks)


@given(CHUNKS, st.lists(st.integers(0, 2000), max_size=6), st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]))
def test_events_are_the_same_however_the_bytes_are_cut(chunks: list[Any], cuts: list[int], end: bytes) -> None:
    stream = b"".join(b"data: " + json.dumps(c, ensure_ascii=False).encode() + end for c in chunks)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parser, decoder = sse.Parser(), CODEC.stream_decoder(ids())
    pieces = [stream[a:b] for a, b in pairwise(places)]
    events = [e for piece in pieces for event in parser.feed(piece) for e in decoder.feed(event)]
    assert [*events, *decoder.close()] == reported(*chunks)


def test_a_whole_answer_has_the_same_events() -> None:
    body = chunk({"text": "hm", "thought": True}, {"text": "a"}, call_part("f", S, id="i"), finish="STOP")
    assert list(CODEC.decode_response(body, ids())) == reported(body)
