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
    Event,
    Failed,
    Finish,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Media, Opaque
from bm.chat.signature import Signature
from bm.protocols.gemini.codec import CODEC
from tests.protocols.gemini.mint import mint
from tests.support.events import check

S = "c2lnbmF0dXJl"
SIGNED = Signature("gemini", S)


def chunk(*parts: dict[str, Any], finish: Any = None, index: int | None = None, **members: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if finish is not None:
        candidate["finishReason"] = finish
    if index is not None:
        candidate["index"] = index
    return {"candidates": [candidate], "modelVersion": "gemini-3", "responseId": "r", **members}


def call(name: str, signature: str = "", **members: Any) -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"name": name, "args": {"a": 1}, **members}}
    return {**part, "thoughtSignature": signature} if signature else part


def told(*chunks: Any) -> list[Event]:
    decoder = CODEC.stream_decoder(mint())
    events = [event for c in chunks for event in decoder.feed(sse.Event(json.dumps(c).encode()))]
    events += decoder.close()
    check(events)
    assert not decoder.feed(sse.Event(b"{}")) and not decoder.close(), "the decoder speaks after the end"
    return events


HEAD = Start("r", "gemini-3")


def test_text_arrives_in_pieces() -> None:
    assert told(chunk({"text": "He"}), chunk({"text": "llo"}), chunk({"text": ""}, finish="STOP")) == [
        HEAD,
        PartStart(0, "text"),
        PartDelta(0, "He"),
        PartDelta(0, "llo"),
        PartEnd(0),
        Finish("stop", native="STOP"),
        End(),
    ]


def test_thinking_comes_before_text() -> None:
    events = told(chunk({"text": "hm", "thought": True}), chunk({"text": "a"}, finish="STOP"))
    assert events[1:-2] == [
        PartStart(0, "thinking"),
        PartDelta(0, "hm"),
        PartEnd(0),
        PartStart(1, "text"),
        PartDelta(1, "a"),
        PartEnd(1),
    ]


def test_a_signature_on_a_later_empty_part_belongs_to_the_text_before_it() -> None:
    events = told(chunk({"text": "A"}), chunk({"text": "", "thoughtSignature": S}, finish="STOP"))
    assert events[1:-2] == [PartStart(0, "text"), PartDelta(0, "A"), PartSignature(0, SIGNED), PartEnd(0)]


def test_signed_text_stays_text() -> None:
    events = told(chunk({"text": "answer", "thoughtSignature": S}, finish="STOP"))
    assert events[1:4] == [PartStart(0, "text"), PartDelta(0, "answer"), PartSignature(0, SIGNED)]


def test_text_behind_a_signature_is_a_part_of_its_own() -> None:
    events = told(chunk({"text": "A", "thoughtSignature": S}), chunk({"text": "B"}, finish="STOP"))
    assert [e for e in events if isinstance(e, PartStart)] == [PartStart(0, "text"), PartStart(1, "text")]


def test_calls_are_whole_and_get_an_id_where_none_was_given() -> None:
    events = told(chunk(call("f", S, id="given"), call("g")), chunk(call("h"), finish="STOP"))
    starts = [event for event in events if isinstance(event, PartStart)]
    assert starts == [
        PartStart(0, "tool_call", id="given", name="f", signature=SIGNED),
        PartStart(1, "tool_call", id="call_1", name="g"),
        PartStart(2, "tool_call", id="call_2", name="h"),
    ]
    assert [event.text for event in events if isinstance(event, PartDelta)] == ['{"a":1}'] * 3
    assert events[-2] == Finish("tool_calls", native="STOP")


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = told(chunk({"functionCall": {"name": "f"}}, finish="STOP"))
    assert PartDelta(0, "{}") in events


def test_snake_case_and_numbered_enums_are_read() -> None:
    part = {"function_call": {"name": "f", "args": {}}, "thought_signature": S}
    body = {
        "candidates": [{"content": {"parts": [part]}, "finish_reason": 1}],
        "usage_metadata": {"prompt_token_count": 3},
    }
    events = told(body)
    assert PartStart(0, "tool_call", id="call_1", name="f", signature=SIGNED) in events
    assert UsageUpdate(Usage(input=3)) in events
    assert events[-2] == Finish("tool_calls", native="STOP")


def test_several_candidates_are_choices_that_may_interleave() -> None:
    events = told(
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
    events = told(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="MAX_TOKENS"))
    assert [event.text for event in events if isinstance(event, PartDelta)] == ["a", "b"]
    assert [event for event in events if isinstance(event, Finish)] == [Finish("length", native="MAX_TOKENS")]


def test_media_and_code_are_whole_parts() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    output = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}
    image = {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}
    events = told(chunk(code, output, image, {"novelty": {}}, finish="STOP"))
    assert [event.part for event in events if isinstance(event, PartWhole)] == [
        Opaque("gemini", "executableCode", code, "```python\n1+1\n```"),
        Opaque("gemini", "codeExecutionResult", output, "```\n2\n```"),
        Media("image", mime="image/png", data="aaaa"),
        Opaque("gemini", "novelty", {"novelty": {}}),
    ]


def test_grounding_is_an_annotation_of_the_text() -> None:
    last = chunk({"text": "b"}, finish="STOP")
    last["candidates"][0]["groundingMetadata"] = {"webSearchQueries": ["q"]}
    events = told(chunk({"text": "a"}), last)
    assert PartAnnotation(0, "gemini", {"groundingMetadata": {"webSearchQueries": ["q"]}}) in events


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "refusal"),
        ("RECITATION", "refusal"),
        ("IMAGE_SAFETY", "refusal"),
        ("OTHER", "stop"),
        ("LANGUAGE", "stop"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_a_finish_reason_with_content(native: str, reason: str) -> None:
    finish = told(chunk({"text": "a"}, finish=native))[-2]
    assert isinstance(finish, Finish)
    assert (finish.reason, finish.native) == (reason, native)
    assert bool(finish.explanation) == (reason == "refusal")


def test_a_cut_answer_with_a_call_is_cut() -> None:
    assert told(chunk(call("f"), finish="MAX_TOKENS"))[-2] == Finish("length", native="MAX_TOKENS")


@pytest.mark.parametrize(
    ("native", "kind", "should_retry"),
    [
        ("MALFORMED_FUNCTION_CALL", "malformed", True),
        ("UNEXPECTED_TOOL_CALL", "malformed", True),
        ("MALFORMED_RESPONSE", "malformed", True),
        ("TOO_MANY_TOOL_CALLS", "malformed", True),
        ("MISSING_THOUGHT_SIGNATURE", "malformed", True),
        ("PUP_LIMITED_DISABLED", "permission", None),
        ("OTHER", "server", True),
    ],
)
def test_an_upstreams_fault_is_a_failure_at_once(native: str, kind: str, should_retry: bool | None) -> None:
    decoder = CODEC.stream_decoder(mint())
    events = decoder.feed(sse.Event(json.dumps(chunk(finish=native)).encode()))
    assert isinstance(events[-1], Failed)
    failure = events[-1].failure
    assert (failure.kind, failure.should_retry, failure.code) == (kind, should_retry, native)


def test_an_empty_answer_is_an_answer() -> None:
    assert told(chunk(finish="STOP")) == [HEAD, Finish("stop", native="STOP"), End()]


@pytest.mark.parametrize("candidates", [{}, {"candidates": []}])
def test_a_blocked_prompt_is_a_refusal(candidates: dict[str, Any]) -> None:
    usage = {"promptTokenCount": 5, "totalTokenCount": 5}
    events = told({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage, **candidates})
    assert events == [
        Start(),
        UsageUpdate(Usage(input=5)),
        Finish("refusal", native="PROHIBITED_CONTENT", explanation="Gemini blocked the prompt: PROHIBITED_CONTENT"),
        End(),
    ]


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
    last = told(*chunks)[-1]
    assert isinstance(last, Failed)
    assert last.failure.kind == kind


def test_a_chunk_that_is_no_json_is_a_failure() -> None:
    events = CODEC.stream_decoder(mint()).feed(sse.Event(b'{"candidates'))
    assert [type(event) for event in events] == [Failed]


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ((1000, 800, 50, 200, 0, 1250), Usage(input=200, cache_read=800, output=250, thinking=200)),
        ((1000, 0, 250, 200, 0, 1250), Usage(input=1000, output=250, thinking=200)),
        ((10, 0, 5, 0, 7, 22), Usage(input=17, output=5)),
        ((10, 0, 0, 0, 0, 10), Usage(input=10)),
    ],
    ids=["thinking beside", "thinking included", "tools' own tokens", "nothing yet"],
)
def test_usage(metadata: tuple[int, ...], usage: Usage) -> None:
    names = (
        "promptTokenCount",
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "toolUsePromptTokenCount",
        "totalTokenCount",
    )
    body = chunk({"text": "a"}, finish="STOP", usageMetadata=dict(zip(names, metadata, strict=True)))
    assert UsageUpdate(usage) in told(body)


def test_the_last_usage_counts_and_an_unchanged_one_is_told_once() -> None:
    one, two = {"promptTokenCount": 1}, {"promptTokenCount": 1, "candidatesTokenCount": 2}
    events = told(
        chunk({"text": "a"}, usageMetadata=one),
        chunk({"text": "b"}, usageMetadata=one),
        chunk(finish="STOP", usageMetadata=two),
    )
    assert [event for event in events if isinstance(event, UsageUpdate)] == [
        UsageUpdate(Usage(input=1)),
        UsageUpdate(Usage(input=1, output=2)),
    ]


def test_a_whole_answer_tells_the_same_events() -> None:
    body = chunk({"text": "hm", "thought": True}, {"text": "a"}, call("f", S, id="i"), finish="STOP")
    assert list(CODEC.decode_response(body, mint())) == told(body)


PARTS = st.sampled_from(
    [
        {"text": "a"},
        {"text": ""},
        {"text": "ü😀", "thoughtSignature": S},
        {"text": "", "thoughtSignature": S},
        {"thoughtSignature": S},
        {"text": "hm", "thought": True},
        {"thought": True, "thoughtSignature": S},
        call("f"),
        call("g", S),
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
    told(*chunks)


@given(CHUNKS, st.lists(st.integers(0, 2000), max_size=6), st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]))
def test_events_are_the_same_however_the_bytes_are_cut(chunks: list[Any], cuts: list[int], end: bytes) -> None:
    stream = b"".join(b"data: " + json.dumps(c, ensure_ascii=False).encode() + end for c in chunks)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parser, decoder = sse.Parser(), CODEC.stream_decoder(mint())
    pieces = [stream[a:b] for a, b in pairwise(places)]
    events = [e for piece in pieces for event in parser.feed(piece) for e in decoder.feed(event)]
    assert [*events, *decoder.close()] == told(*chunks)
