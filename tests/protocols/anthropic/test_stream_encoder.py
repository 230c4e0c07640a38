from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
    Ping,
    Start,
    StreamedKind,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Media, Opaque, Part, Text, Thinking, ToolCall
from bm.chat.request import Reasoning
from bm.chat.signature import Signature
from bm.errors import Failure
from bm.protocols.anthropic.stream_encoder import PING, AnthropicStreamEncoder
from tests.protocols.anthropic.examples import IDS, THINKS, chat, events_of, stream
from tests.support.events import check as check_events
from tests.support.grammar_anthropic import check

GOLDEN = """\
event: message_start
data: {"type":"message_start","message":{"id":"msg_0123456789abcdef","type":"message","role":"assistant",\
"model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,\
"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqRk"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"say \\"Hi\\"\\n"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t1","name":"run","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\\"a\\":1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":9,\
"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":25,\
"output_tokens_details":{"thinking_tokens":20}}}

event: message_stop
data: {"type":"message_stop"}

"""
EVENTS: list[Event] = [
    Start("upstream-1", "other"),
    UsageUpdate(Usage(input=9, cache_read=4)),
    PartStart(0, "thinking"),
    PartDelta(0, "hm"),
    PartSignature(0, Signature("anthropic", "EqRk")),
    PartEnd(0),
    PartStart(1, "text"),
    PartDelta(1, 'say "Hi"\n'),
    PartEnd(1),
    PartStart(2, "tool_call", "t1", "run"),
    PartDelta(2, '{"a":1}'),
    PartEnd(2),
    Finish("stop"),
    UsageUpdate(Usage(input=9, cache_read=4, output=25, thinking=20)),
    End(),
]


def test_a_whole_stream() -> None:
    assert stream(EVENTS).decode() == GOLDEN
    check(GOLDEN.encode())


def test_the_stream_reads_back() -> None:
    told = [event for event in events_of(GOLDEN.encode()) if not isinstance(event, Start | Finish)]
    assert told == [event for event in EVENTS if not isinstance(event, Start | Finish)]


def test_a_blocked_prompt_is_still_a_whole_message() -> None:
    reader = check(stream([Start(), Finish("refusal", explanation="SAFETY"), End()]))
    assert reader.message is not None
    assert (reader.message["content"], reader.message["stop_reason"]) == ([], "refusal")
    assert reader.message["stop_details"]["explanation"] == "SAFETY"


def test_usage_after_the_finish_is_told_once_at_the_end() -> None:
    usage = UsageUpdate(Usage(input=7, output=3))
    data = stream([Start(), PartWhole(0, Text("Hi")), Finish("stop"), usage, End()])
    assert data.count(b"event: message_delta") == data.count(b"event: message_stop") == 1
    reader = check(data)
    assert reader.message is not None and reader.message["usage"]["input_tokens"] == 7


@pytest.mark.parametrize("cut", range(len(EVENTS)))
def test_a_cut_answer_ends_in_an_error_and_nothing_else(cut: int) -> None:
    data = stream([*EVENTS[:cut], Failed(Failure(kind="truncated", message="the stream ended early")), End()])
    reader = check(data)
    assert reader.error == {"type": "overloaded_error", "message": "the stream ended early"}
    assert not reader.stopped and b"message_delta" not in data


def test_nothing_follows_the_end() -> None:
    encoder = AnthropicStreamEncoder(chat(), IDS, model="claude")
    assert encoder.feed(End())
    assert [encoder.feed(event) for event in EVENTS] == [b""] * len(EVENTS)
    assert encoder.keepalive() == b""


def test_a_keepalive_is_a_ping_after_the_head() -> None:
    encoder = AnthropicStreamEncoder(chat(), IDS, model="claude")
    assert encoder.keepalive() == PING
    encoder.feed(Start())
    first, second = encoder.keepalive(), encoder.keepalive()
    assert first.startswith(b"event: message_start") and first.endswith(PING)
    assert second == encoder.feed(Ping()) == PING
    check(first + second + encoder.feed(Finish("stop")) + encoder.feed(End()))


def test_an_upstreams_own_id_is_kept() -> None:
    reader = check(stream([Start("msg_7"), Finish("stop"), End()]))
    assert reader.message is not None and reader.message["id"] == "msg_7"


words = st.text(min_size=1, max_size=6)
signatures = st.none() | st.builds(Signature, st.sampled_from(["anthropic", "gemini", "openai"]), words)
kinds: st.SearchStrategy[StreamedKind] = st.sampled_from(get_args(StreamedKind))
wholes: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, words, signature=signatures),
    st.builds(Thinking, words, signature=signatures),
    st.builds(Thinking, st.just(""), signature=signatures, redacted=st.just(True)),
    st.builds(ToolCall, words, words, st.just({"a": 1}), signature=signatures),
    st.builds(Media, st.just("image"), signature=signatures),
    st.just(Opaque("anthropic", "server_tool_use", {"type": "server_tool_use", "input": {"q": 1}})),
    st.just(Opaque("gemini", "code", {}, "1 + 1")),
    st.just(Opaque("gemini", "code", {})),
)


@st.composite
def part(draw: st.DrawFn, index: int) -> list[Event]:
    choice = draw(st.sampled_from([0, 0, 0, 1]))
    if draw(st.booleans()):
        return [PartWhole(index, draw(wholes), choice=choice)]
    kind = draw(kinds)
    custom = draw(st.booleans())
    events: list[Event] = [
        PartStart(
            index,
            kind,
            id=draw(st.just("") | words),
            name="run",
            tool_kind="custom" if custom else "function",
            signature=draw(signatures),
            choice=choice,
        )
    ]
    texts = draw(st.lists(words, max_size=3))
    if kind == "tool_call" and not custom:
        texts = draw(st.sampled_from([[], ["{}"], ["{", '"a":1', "}"], [" ", '{"a":[]}'], ["null"], ['"{}"'], ["x"]]))
    events += [PartDelta(index, text) for text in texts]
    signature = draw(signatures)
    return [*events, *([PartSignature(index, signature)] if signature else []), PartEnd(index)]


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Any events that the canonical grammar allows: parts overlap, usage and pings stand anywhere."""
    waiting = [draw(part(index)) for index in range(draw(st.integers(0, 4)))]
    events: list[Event] = [Start()]
    while any(waiting):
        row = draw(st.sampled_from([row for row in waiting if row]))
        events.append(row.pop(0))
        events += draw(st.lists(st.sampled_from([Ping(), UsageUpdate(Usage(output=3))]), max_size=1))
    events += [Finish(draw(st.sampled_from(["stop", "length", "tool_calls", "refusal", "pause"])))]
    events += [Finish("stop", choice=1)] * draw(st.booleans())
    if draw(st.booleans()):
        return [*events, End()]
    at = draw(st.integers(0, len(events)))
    return [*events[:at], Failed(Failure(kind="connection", message="gone"))]


reasonings = st.sampled_from([Reasoning(), THINKS, Reasoning(level="auto", visible=False), Reasoning(level="off")])


@given(answers(), reasonings)
def test_any_answer_makes_a_legal_stream(events: list[Event], reasoning: Reasoning) -> None:
    check_events(events)
    reader = check(stream(events, chat(protocol="anthropic", reasoning=reasoning)))
    assert reader.stopped is isinstance(events[-1], End)
