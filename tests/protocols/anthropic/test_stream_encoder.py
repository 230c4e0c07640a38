from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

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
from bm.chat.parts import Citation, Media, Opaque, Part, Source, StreamedKind, Text, Thinking, ToolCall
from bm.chat.request import Reasoning
from bm.chat.signature import Signature, unwrap
from bm.errors import Failure
from bm.protocols.anthropic.stream_decoder import AnthropicStreamDecoder
from bm.protocols.anthropic.stream_encoder import PING, AnthropicStreamEncoder, encode_response
from bm.protocols.codec import written
from tests.protocols.anthropic.examples import IDS, THINKS, chat, decoded, events_of, stream
from tests.protocols.anthropic.test_stream_decoder import MESSAGE
from tests.support.events import check as check_events
from tests.support.events import part_events, unfold
from tests.support.folding import ChatResponse, Choice, fold
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
    reported = [event for event in events_of(GOLDEN.encode()) if not isinstance(event, Start | Finish)]
    assert reported == [event for event in EVENTS if not isinstance(event, Start | Finish)]


def test_a_blocked_prompt_is_still_a_whole_message() -> None:
    reader = check(stream([Start(), Finish("refusal", explanation="SAFETY"), End()]))
    assert reader.message is not None
    assert (reader.message["content"], reader.message["stop_reason"]) == ([], "refusal")
    assert reader.message["stop_details"]["explanation"] == "SAFETY"


def test_usage_after_the_finish_is_sent_once_at_the_end() -> None:
    usage = UsageUpdate(Usage(input=7, output=3))
    data = stream([Start(), *part_events(0, Text("Hi")), Finish("stop"), usage, End()])
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


SIGNED = Signature("gemini", "c2ln", "gemini-3")
OWN = Signature("anthropic", "EqRk")


def blocks(events: Iterable[Event], reasoning: Reasoning = THINKS) -> str:
    """The blocks of an answer as words: `[text`, `+Hi`, `]`."""
    encoder = AnthropicStreamEncoder(chat(protocol="anthropic", reasoning=reasoning), IDS, model="claude")
    lines = []
    for item in written(encoder, [*events, End()]):
        match item:
            case {"content_block": {"type": kind}}:
                lines.append(f"[{kind}")
            case {"delta": {"type": "signature_delta", "signature": value}}:
                found = unwrap(value)
                lines.append(f"~{found[0].vendor}:{found[0].value} {found[1]}" if found else f"~{value}")
            case {"delta": {"type": "text_delta" | "thinking_delta" | "input_json_delta" as kind, **rest}}:
                lines += [f"+{text}" for text in rest.values()]
            case {"delta": {"type": kind}}:
                lines.append(f"*{kind}")
            case {"type": "content_block_stop"}:
                lines.append("]")
    return " ".join(lines)


def parts(*items: Any) -> list[Event]:
    return [event for index, part in enumerate(items) for event in part_events(index, part)]


CALL = ToolCall("t1", "run", {"a": 1})


@pytest.mark.parametrize(
    ("events", "written"),
    [
        (parts(Text("Hi")), "[text +Hi ]"),
        (parts(Text("")), ""),
        (parts(Thinking("hm", signature=OWN), Text("Hi")), "[thinking +hm ~EqRk ] [text +Hi ]"),
        (parts(Thinking("", signature=OWN)), "[thinking ~EqRk ]"),
        (parts(Thinking("hm"), Text("Hi")), "[thinking +hm ~bm: self ] [text +Hi ]"),
        (parts(Thinking("hm")), "[thinking +hm ~bm: self ]"),
        (parts(Thinking("hm", signature=SIGNED)), "[thinking +hm ~gemini:c2ln self ]"),
        (parts(CALL), '[tool_use +{"a":1} ]'),
        (parts(ToolCall("t1", "run", {}, raw="{}")), "[tool_use +{} ]"),
        (
            parts(Media("image", mime="image/png", data="x")),
            "[text +[image/png: not shown, Anthropic's answers hold no media] ]",
        ),
        (parts(Opaque("gemini", "code", {}, "1 + 1")), "[text +1 + 1 ]"),
        (parts(Opaque("gemini", "code", {})), ""),
        (parts(Opaque("anthropic", "fallback", {"type": "fallback"})), "[fallback ]"),
        (parts(Thinking("", signature=OWN, redacted=True)), "[redacted_thinking ]"),
        (parts(Thinking("", signature=SIGNED, redacted=True)), "[thinking ~gemini:c2ln redacted ]"),
    ],
)
def test_parts_become_blocks(events: list[Event], written: str) -> None:
    assert blocks(events) == written


def test_the_signature_of_a_call_travels_in_the_thinking_before_it() -> None:
    signed = ToolCall("t1", "run", {}, raw="{}", signature=SIGNED)
    assert blocks(parts(Thinking("hm"), signed, CALL)) == (
        '[thinking +hm ~gemini:c2ln next ] [tool_use +{} ] [tool_use +{"a":1} ]'
    )
    assert blocks(parts(signed)) == "[thinking ~gemini:c2ln next ] [tool_use +{} ]"
    assert blocks(parts(Thinking("hm", signature=OWN), signed)) == (
        "[thinking +hm ~EqRk ] [thinking ~gemini:c2ln next ] [tool_use +{} ]"
    )


def test_a_signature_that_comes_while_its_call_waits_is_carried() -> None:
    events: list[Event] = [
        PartStart(0, "text"),
        PartStart(1, "tool_call", "t", "run"),
        PartDelta(0, "A"),
        PartSignature(1, SIGNED),
        PartEnd(1),
        PartEnd(0),
    ]
    assert blocks(events) == "[text +A ] [thinking ~gemini:c2ln next ] [tool_use ]"


def test_a_signature_that_comes_after_its_text_opens_nothing() -> None:
    events: list[Event] = [PartStart(0, "text"), PartDelta(0, "A"), PartSignature(0, SIGNED), PartEnd(0)]
    empty: list[Event] = [PartStart(1, "text"), PartSignature(1, SIGNED), PartEnd(1)]
    assert blocks([*events, *empty]) == "[text +A ]"


def test_signed_text_stays_text() -> None:
    assert blocks(parts(Text("answer", signature=SIGNED))) == "[thinking ~gemini:c2ln next ] [text +answer ]"


@pytest.mark.parametrize(
    ("reasoning", "written"),
    [
        (THINKS, "[thinking +hm ~EqRk ] [thinking +ha ~gemini:c2ln next ] [tool_use +{} ]"),
        (
            Reasoning(level="auto", visible=False),
            "[thinking ~EqRk ] [thinking ~gemini:c2ln next ] [tool_use +{} ]",
        ),
        (Reasoning(), "[tool_use +{} ]"),
        (Reasoning(level="off"), "[tool_use +{} ]"),
    ],
    ids=["visible", "omitted", "unsaid", "off"],
)
def test_thinking_is_shown_as_the_client_asked(reasoning: Reasoning, written: str) -> None:
    signed = ToolCall("t1", "run", {}, raw="{}", signature=SIGNED)
    assert blocks(parts(Thinking("hm", signature=OWN), Thinking("ha"), signed), reasoning) == written


def test_interleaved_calls_are_written_one_after_the_other() -> None:
    events: list[Event] = [
        PartStart(0, "tool_call", "a", "run"),
        PartStart(1, "tool_call", "b", "run"),
        PartDelta(1, '{"b"'),
        PartDelta(0, '{"a"'),
        PartDelta(1, ":1}"),
        PartDelta(0, ":1}"),
        PartEnd(1),
        PartWhole(2, Opaque("gemini", "code", {}, "Hi")),
        PartEnd(0),
    ]
    assert blocks(events) == '[tool_use +{"a" +:1} ] [tool_use +{"b" +:1} ] [text +Hi ]'


def test_what_has_not_ended_is_closed_at_the_end() -> None:
    events: list[Event] = [PartStart(0, "text"), PartDelta(0, "A"), PartStart(1, "text"), PartDelta(1, "B")]
    assert blocks(events) == "[text +A ] [text +B ]"


@pytest.mark.parametrize(
    ("pieces", "written"),
    [
        ([], ""),
        (["{}"], "+{} "),
        ([" ", '{"a"', ":1}"], '+ {"a" +:1} '),
        (["null"], ""),
        (["[1]"], '+{"input":"[1]"} '),
        (['"{\\"a\\":1}"'], '+{"a":1} '),
        (['"x"'], '+{"input":"\\"x\\""} '),
        (["oops"], '+{"input":"oops"} '),
    ],
)
def test_a_calls_input_is_an_object(pieces: list[str], written: str) -> None:
    deltas = [PartDelta(0, text) for text in pieces]
    assert blocks([PartStart(0, "tool_call", "t", "run"), *deltas, PartEnd(0)]) == f"[tool_use {written}]"


@pytest.mark.parametrize(("pieces", "written"), [([], '+{"input":""}'), (['a"', "b"], '+{"input":"a\\" +b +"}')])
def test_a_custom_tools_input_is_wrapped(pieces: list[str], written: str) -> None:
    deltas = [PartDelta(0, text) for text in pieces]
    assert blocks([PartStart(0, "tool_call", "t", "run", "custom"), *deltas, PartEnd(0)]) == f"[tool_use {written} ]"


def test_citations_of_its_own_kind_go_into_the_text() -> None:
    own = PartAnnotation(0, Citation("anthropic", {"type": "char_location"}))
    foreign = PartAnnotation(0, Citation("openai-chat", {"type": "url_citation"}, (Source("https://a.example"),)))
    text: list[Event] = [PartStart(0, "text"), own, PartDelta(0, "A"), own, foreign, PartEnd(0)]
    assert blocks(text) == "[text *citations_delta +A *citations_delta ]"
    assert blocks([PartStart(0, "text"), own, PartEnd(0)]) == ""


def test_only_the_first_choice_is_written() -> None:
    second: list[Event] = [
        PartStart(1, "text", choice=1),
        PartDelta(1, "B"),
        PartEnd(1),
        PartWhole(2, Media("image"), 1),
    ]
    assert blocks([*parts(Text("A")), *second]) == "[text +A ]"


def test_a_server_tools_input_and_a_compaction_come_as_deltas() -> None:
    search = Opaque("anthropic", "server_tool_use", {"type": "server_tool_use", "id": "s", "input": {"q": 1}})
    compaction = Opaque("anthropic", "compaction", {"type": "compaction", "content": "so far"})
    assert blocks(parts(search, compaction)) == '[server_tool_use +{"q":1} ] [compaction *compaction_delta ]'


words = st.text(min_size=1, max_size=6)
signatures = st.none() | st.builds(Signature, st.sampled_from(["anthropic", "gemini", "openai"]), words)
kinds: st.SearchStrategy[StreamedKind] = st.sampled_from(get_args(StreamedKind))
wholes: st.SearchStrategy[Part] = st.one_of(
    st.builds(Thinking, st.just(""), signature=signatures, redacted=st.just(True)),
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


ASKS = chat(protocol="anthropic", reasoning=THINKS)


def test_a_whole_message_is_written_as_it_was_read() -> None:
    assert encode_response(AnthropicStreamDecoder(IDS).whole(MESSAGE), ASKS, IDS, model="") == MESSAGE


def test_the_answer_shows_the_name_it_is_given_and_an_id_of_its_own() -> None:
    body = encode_response(EVENTS, ASKS, IDS, model="asked")
    assert (body["model"], body["id"]) == ("asked", "msg_0123456789abcdef")


def test_citations_and_compactions_are_kept_in_a_whole_message() -> None:
    citation = {"type": "char_location", "cited_text": "x"}
    content = [
        {"type": "text", "text": "Hi", "citations": [citation]},
        {"type": "compaction", "content": "so far", "encrypted_content": "zz"},
    ]
    events = AnthropicStreamDecoder(IDS).whole({"content": content})
    assert encode_response(events, ASKS, IDS, model="m")["content"] == content


def test_an_empty_message_is_one() -> None:
    body = encode_response([Start(), Finish("stop"), End()], ASKS, IDS, model="m")
    assert (body["content"], body["stop_reason"], body["usage"]["output_tokens"]) == ([], "end_turn", 0)


@given(answers())
def test_a_whole_answer_says_what_its_stream_says(events: list[Event]) -> None:
    if isinstance(events[-1], Failed):
        return
    reader = check(stream(events, ASKS))
    assert reader.message is not None
    whole = encode_response(events, ASKS, IDS, model="claude")
    reported = {**reader.message, "content": [_plain(block) for block in reader.message["content"]]}
    assert reported == {**whole, "content": [_plain(block) for block in whole["content"]]}
    assert fold(AnthropicStreamDecoder(IDS).whole(whole)).choices[0].finish is not None


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
                    ToolCall("t1", "run", {"a": 1}, signature=signature),
                    ToolCall("t2", "run", {"b": 2}),
                ),
                Finish("tool_calls"),
            ),
        )
    )
    content = encode_response(unfold(answer), ASKS, IDS, model="m")["content"]
    request = decoded({"role": "user", "content": "Hi"}, {"role": "assistant", "content": content})
    assert request.turns[1].parts == answer.choices[0].parts
