"""What a Gemini client is sent."""

from __future__ import annotations

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
from bm.chat.parts import Citation, Media, Opaque, Source, Text, Thinking, ToolCall
from bm.chat.signature import Signature, unwrap
from bm.errors import Failure
from bm.protocols.gemini.codec import CODEC
from tests.protocols.gemini.ids import ids
from tests.protocols.gemini.kit import CLAUDE, GEMINI, PART, client, parts, sent
from tests.support import grammar_gemini
from tests.support.events import unfold
from tests.support.folding import ChatResponse, Choice


def test_a_stream_byte_for_byte() -> None:
    events: list[Event] = [
        Start("upstream", "other"),
        PartStart(0, "text"),
        PartDelta(0, "Hi"),
        Ping(),
        PartEnd(0),
        UsageUpdate(Usage(input=2, cache_read=1, output=5, thinking=4)),
        Finish("stop", native="end_turn"),
        End(),
    ]
    assert sent(events) == (
        b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"}]},"index":0}],'
        b'"modelVersion":"m","responseId":"1"}\r\n\r\n'
        b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP","index":0}],'
        b'"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":1,"totalTokenCount":8,'
        b'"cachedContentTokenCount":1,"thoughtsTokenCount":4},"modelVersion":"m","responseId":"1"}\r\n\r\n'
    )


def test_interleaved_calls_are_sent_whole_in_their_order() -> None:
    events: list[Event] = [
        PartStart(0, "tool_call", id="a", name="f"),
        PartStart(1, "tool_call", id="b", name="g"),
        PartDelta(0, '{"x"'),
        PartDelta(1, "not an object"),
        PartDelta(0, ":1}"),
        PartEnd(1),
        PartEnd(0),
    ]
    assert parts(events) == [
        {"functionCall": {"name": "f", "args": {"x": 1}, "id": "a"}},
        {"functionCall": {"name": "g", "args": {"input": "not an object"}, "id": "b"}},
    ]


def test_a_custom_tools_input_is_an_argument() -> None:
    events: list[Event] = [
        PartStart(0, "tool_call", id="a", name="f", tool_kind="custom"),
        PartDelta(0, "ls"),
        PartEnd(0),
    ]
    assert parts(events)[0]["functionCall"]["args"] == {"input": "ls"}


def test_thinking_is_shown_only_to_those_who_asked() -> None:
    events: list[Event] = [PartStart(0, "thinking"), PartDelta(0, "hm"), PartEnd(0)]
    assert parts(events) == [{"text": "hm", "thought": True}]
    assert parts(events, visible=False) == []


def test_geminis_own_signature_stays_as_it_is() -> None:
    events: list[Event] = [PartStart(0, "text"), PartDelta(0, "a"), PartSignature(0, GEMINI), PartEnd(0)]
    assert parts(events) == [{"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}]


def test_a_signature_on_hidden_thinking_goes_to_the_next_part() -> None:
    events: list[Event] = [
        PartStart(0, "thinking", signature=GEMINI),
        PartDelta(0, "hm"),
        PartEnd(0),
        PartStart(1, "tool_call", id="a", name="f"),
        PartEnd(1),
    ]
    assert parts(events, visible=False) == [
        {"functionCall": {"name": "f", "args": {}, "id": "a"}, "thoughtSignature": "c2ln"}
    ]


def test_another_vendors_thinking_comes_back_with_its_signature() -> None:
    events: list[Event] = [
        PartStart(0, "thinking"),
        PartDelta(0, "h"),
        PartDelta(0, "m"),
        PartSignature(0, CLAUDE),
        PartEnd(0),
        PartWhole(1, Thinking("", Signature("anthropic", "secret"), redacted=True)),
        PartStart(2, "tool_call", id="a", name="f"),
        PartEnd(2),
    ]
    written = parts(events)
    unwrapped = unwrap(written[2]["thoughtSignature"])
    assert unwrapped is not None and unwrapped[0] == CLAUDE
    history = CODEC.decode_request({"contents": [{"role": "model", "parts": written}]})
    assert history.turns[0].parts == (
        Thinking("hm", CLAUDE),
        Thinking("", Signature("anthropic", "secret"), redacted=True),
        ToolCall("a", "f", {}),
    )


def test_whole_parts() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    events: list[Event] = [
        PartWhole(0, Media("image", mime="image/png", data="aaaa", signature=GEMINI)),
        PartWhole(1, Opaque("gemini", "executableCode", code, "…")),
        PartWhole(2, Opaque("anthropic", "server_tool_use", {}, "searched")),
        PartWhole(3, Opaque("anthropic", "unknown", {})),
    ]
    assert parts(events) == [
        {"inlineData": {"mimeType": "image/png", "data": "aaaa"}, "thoughtSignature": "c2ln"},
        code,
        {"text": "searched"},
    ]


def test_citations_become_grounding() -> None:
    grounding = {"groundingMetadata": {"webSearchQueries": ["q"]}}
    citation = {"type": "url_citation", "url_citation": {"url": "https://a.example/", "title": "A"}}
    body = b""
    for protocol, raw in (("gemini", grounding), ("openai-chat", citation)):
        pages = () if protocol == "gemini" else (Source("https://a.example/", "A"),)
        cited = PartAnnotation(0, Citation(protocol, raw, pages))
        events: list[Event] = [PartStart(0, "text"), PartDelta(0, "a"), cited, PartEnd(0)]
        body = sent([*events, Finish("stop"), End()])
        last = grammar_gemini.check(body, complete=True)[-1]["candidates"][0]
        expected = {
            "groundingChunks": [{"web": {"uri": "https://a.example/", "title": "A"}}],
            "groundingSupports": [
                {"segment": {"startIndex": 0, "endIndex": 1, "text": "a"}, "groundingChunkIndices": [0]}
            ],
        }
        assert last["groundingMetadata"] == (grounding["groundingMetadata"] if protocol == "gemini" else expected)


def test_a_failure_is_an_error_chunk_and_the_last() -> None:
    failed = Failed(Failure(kind="overloaded", message="busy", retry_after=2))
    chunks = grammar_gemini.check(sent([PartStart(0, "text"), PartDelta(0, "a"), failed, End()]), complete=False)
    assert chunks[-1]["error"]["code"] == 503
    assert grammar_gemini.check(sent([failed]), complete=False)[0]["error"]["message"] == "busy"


def test_a_blank_line_keeps_the_client_waiting() -> None:
    assert CODEC.stream_encoder(client(), ids(), model="m").keepalive() == b"\n"


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """Any events that the grammar allows, parts interleaved."""
    answer = ChatResponse(
        choices=tuple(Choice(tuple(ps)) for ps in draw(st.lists(st.lists(PART, max_size=4), max_size=2)))
    )
    queues: list[list[Event]] = []
    for event in unfold(answer)[1:-1]:
        if isinstance(event, PartStart | PartWhole):
            queues.append([])
        queues[-1].append(event)
    events: list[Event] = [Start()]
    while queues:
        queue = queues[draw(st.integers(0, min(1, len(queues) - 1)))]
        events.append(queue.pop(0))
        queues = [queue for queue in queues if queue]
        events += draw(st.sampled_from([[], [], [Ping()], [UsageUpdate(Usage(input=1, output=2))]]))
    if draw(st.booleans()):
        return [*events[: draw(st.integers(0, len(events)))], Failed(Failure(kind="truncated", message="cut"))]
    used = {event.choice for event in events if isinstance(event, PartStart | PartWhole)} or {0}
    return [*events, *(Finish("stop", choice=choice) for choice in used), End()]


@given(streams(), st.booleans())
def test_any_events_give_a_legal_stream(events: list[Event], visible: bool) -> None:
    grammar_gemini.check(sent(events, visible=visible), complete=isinstance(events[-1], End))


def test_a_whole_answer_joins_its_pieces() -> None:
    events: list[Event] = [
        PartStart(0, "thinking"),
        PartDelta(0, "h"),
        PartDelta(0, "m"),
        PartEnd(0),
        PartStart(1, "text"),
        PartDelta(1, "a"),
        PartDelta(1, "b"),
        PartSignature(1, GEMINI),
        PartEnd(1),
        Finish("stop"),
        End(),
    ]
    body = CODEC.encode_response(events, client(), ids(), model="m")
    assert body["candidates"] == [
        {
            "content": {
                "role": "model",
                "parts": [{"text": "hm", "thought": True}, {"text": "ab", "thoughtSignature": "c2ln"}],
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ]


def test_several_choices_are_candidates() -> None:
    answer = ChatResponse(
        choices=(Choice((Text("a"),), Finish("stop")), Choice((Text("b"),), Finish("length", choice=1)))
    )
    body = CODEC.encode_response(unfold(answer), client(), ids(), model="m")
    assert [(c["index"], c["finishReason"]) for c in body["candidates"]] == [(0, "STOP"), (1, "MAX_TOKENS")]
    chunks = grammar_gemini.check(sent(list(unfold(answer))), complete=True)
    assert {c["candidates"][0]["index"] for c in chunks} == {0, 1}
