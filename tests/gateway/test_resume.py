"""Bytes pass through untouched, and an encoder continues where they are cut: one stream under one id."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm import sse
from bm.chat.events import End, Event, Failed, Finish, PartDelta, PartEnd, PartStart, Start, Usage, UsageUpdate
from bm.chat.request import ChatRequest, Reasoning
from bm.errors import Failure
from bm.gateway.continuation import Delivered, Splice, Way, last_words
from bm.gateway.resume import ResumablePassThrough
from bm.names import ProtocolName
from bm.protocols.codec import IdFactory, StreamEncoder
from bm.protocols.framing import length_of
from bm.protocols.registry import CODECS
from bm.protocols.splice import rename_in_events
from tests.protocols.test_passthrough import seconds
from tests.support import grammar_anthropic, grammar_gemini, grammar_openai_chat, grammar_openai_responses

IDS = IdFactory(lambda prefix: f"{prefix}{'0' * 24}", 1)
CUT = Failure(kind="truncated", message="cut")
REST: tuple[Event, ...] = (
    Start(),
    PartStart(0, "text"),
    PartDelta(0, "three"),
    PartEnd(0),
    Finish("stop"),
    End(),
)


def resumable(protocol: ProtocolName, *, model: str = "") -> tuple[ResumablePassThrough, Delivered]:
    codec, delivered = CODECS[protocol], Delivered()
    request = ChatRequest(
        protocol=protocol, model="m", turns=(), stream=True, reasoning=Reasoning(visible=True), stream_usage=True
    )

    def make(ids: IdFactory, name: str) -> StreamEncoder:
        return codec.stream_encoder(request, ids, model=name)

    spare = codec.stream_encoder(request, IDS, model="m")
    rename = rename_in_events(protocol, model) if model else None
    decoder = codec.stream_decoder(IDS)
    pipe = ResumablePassThrough(sse.Parser(), decoder, spare, delivered, make, IDS, model=model, rename=rename)
    return pipe, delivered


def stream(*events: dict[str, Any] | tuple[str, dict[str, Any]]) -> bytes:
    """Events as an upstream writes them, with blanks that an encoder of bm's would not write."""
    framed = [event if isinstance(event, tuple) else ("", event) for event in events]
    return b"".join(sse.encode(json.dumps(data).encode(), name) for name, data in framed)


def typed(kind: str, **members: Any) -> tuple[str, dict[str, Any]]:
    return kind, {"type": kind, **members}


def text(words: str) -> tuple[str, dict[str, Any]]:
    return typed("content_block_delta", index=1, delta={"type": "text_delta", "text": words}, beta=True)


MESSAGE: dict[str, Any] = {
    "id": "msg_up",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [],
    "stop_reason": None,
}
CLAUDE = stream(
    typed("message_start", message=MESSAGE | {"usage": {"input_tokens": 3, "output_tokens": 0}}),
    typed("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
    typed("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}),
    typed("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "EqRk"}),
    typed("content_block_stop", index=0),
    typed("unheard_of", what=1),
    typed("content_block_start", index=1, content_block={"type": "text", "text": ""}),
    text("one "),
    text("two "),
)
HEAD = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 77, "model": "gpt-x", "new_field": 1}


def chunk(**delta: Any) -> dict[str, Any]:
    return HEAD | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


CHAT = stream(chunk(role="assistant", content=""), chunk(content="one "), chunk(content="two "))
RESPONSE = {"id": "resp_up", "object": "response", "created_at": 77, "status": "in_progress", "model": "gpt-x"}
PLACE = {"item_id": "msg_up", "output_index": 0, "content_index": 0}
MESSAGE_ITEM = {"id": "msg_up", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
RESPONSES = stream(
    typed("response.created", response=RESPONSE | {"output": []}, sequence_number=0),
    typed("response.in_progress", response=RESPONSE | {"output": []}, sequence_number=1),
    typed("response.unheard_of", sequence_number=2),
    typed("response.output_item.added", output_index=0, item=MESSAGE_ITEM, sequence_number=3),
    typed(
        "response.content_part.added",
        **PLACE,
        part={"type": "output_text", "text": "", "annotations": []},
        sequence_number=4,
    ),
    typed("response.output_text.delta", **PLACE, delta="one ", logprobs=[], sequence_number=5),
    typed("response.output_text.delta", **PLACE, delta="two ", logprobs=[], sequence_number=6),
)


def piece(words: str) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": words}]}
    return {"candidates": [{"content": content, "index": 0}], "responseId": "up", "modelVersion": "gemini-x", "new": 1}


GEMINI = stream(piece("one "), piece("two "))
STREAMS: dict[ProtocolName, bytes] = {
    "anthropic": CLAUDE,
    "openai-chat": CHAT,
    "openai-responses": RESPONSES,
    "gemini": GEMINI,
}
EVERY = pytest.mark.parametrize("protocol", STREAMS)


def continuation(pipe: ResumablePassThrough, delivered: Delivered, events: Sequence[Event] = REST) -> bytes:
    """What another target's events make of the rest."""
    delivered.reopen()
    splice, encoder = Splice(delivered, "prefill"), pipe.continuing_encoder()
    assert encoder is not None
    spliced = [kept for event in events for kept in splice.through(event)]
    return b"".join(encoder.feed(out) for kept in spliced for out in delivered.through(kept))


@EVERY
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_bytes_pass_untouched(protocol: ProtocolName, size: int) -> None:
    pipe, delivered = resumable(protocol)
    raw = STREAMS[protocol]
    assert b"".join(pipe.feed(raw[at : at + size]) for at in range(0, len(raw), size)) == raw
    assert delivered.text == "one two " and pipe.watch.begun


@EVERY
def test_the_encoder_continues_under_the_upstreams_ids(protocol: ProtocolName) -> None:
    pipe, delivered = resumable(protocol)
    out = pipe.feed(STREAMS[protocol]) + pipe.close()
    assert out == STREAMS[protocol] and pipe.watch.failure is not None and pipe.resumable
    rest = continuation(pipe, delivered)
    decoder, parser = CODECS[protocol].stream_decoder(IDS), sse.Parser()
    events = [event for item in parser.feed(out + rest) for event in decoder.feed(item)]
    events += decoder.close()
    assert "".join(event.text for event in events if isinstance(event, PartDelta)).endswith("one two three")
    assert sum(isinstance(event, Start) for event in events) == 1 and isinstance(events[-1], End)
    known = {"anthropic": b'"index":1', "openai-chat": b"chatcmpl-up", "openai-responses": b"resp_up"}
    assert known.get(protocol, b'"responseId":"up"') in rest and b"0000" not in rest


WORDS = ["On ", "and on\n", "the né \U0001f600 ", "goes, ", "it", " ends."]
GRAMMARS: dict[ProtocolName, Callable[[bytes], object]] = {
    "anthropic": grammar_anthropic.check,
    "openai-chat": lambda raw: grammar_openai_chat.check_stream(raw, usage=True, sparing=True),
    "openai-responses": grammar_openai_responses.check,
    "gemini": lambda raw: grammar_gemini.check(raw, complete=True),
}
HEADED: dict[ProtocolName, int] = {"anthropic": 1, "openai-chat": 1, "openai-responses": 2, "gemini": 1}
"""How many events of a stream it takes to begin."""


def read(protocol: ProtocolName, raw: bytes) -> tuple[str, Event]:
    """The text that a client reads, and the last event."""
    decoder, parser = CODECS[protocol].stream_decoder(IDS), sse.Parser()
    events = [event for item in [*parser.feed(raw), *parser.close()] for event in decoder.feed(item)]
    events += decoder.close()
    return "".join(event.text for event in events if isinstance(event, PartDelta) and event.text != "hm"), events[-1]


MARKS = (b"[DONE]", b'"message_stop"}')


@EVERY
@given(thinks=st.booleans(), at=st.floats(0, 1), size=st.sampled_from([1, 7, 90, 9_000]), closes=st.booleans())
def test_wherever_a_stream_is_cut_the_client_reads_it_once(
    protocol: ProtocolName, thinks: bool, at: float, size: int, closes: bool
) -> None:
    """Finished by another target, complete as it is, or an error: never a short text that looks complete."""
    thought: list[Event] = [PartStart(0, "thinking"), PartDelta(0, "hm"), PartEnd(0)] if thinks else []
    deltas = [PartDelta(int(thinks), word) for word in WORDS]
    said: list[Event] = [Start("msg_up", "m"), *thought, PartStart(int(thinks), "text"), *deltas, PartEnd(int(thinks))]
    visible = Reasoning(visible=True)
    request = ChatRequest(protocol=protocol, model="m", turns=(), stream=True, stream_usage=True, reasoning=visible)
    encoder = CODECS[protocol].stream_encoder(request, IDS, model="m")
    raw = b"".join(map(encoder.feed, [*said, UsageUpdate(Usage(input=3, output=9)), Finish("stop"), End()]))
    head = length_of(raw, HEADED[protocol])
    cut, (pipe, delivered) = head + round(at * (len(raw) - head)), resumable(protocol)
    out = b"".join(pipe.feed(raw[start : min(start + size, cut)]) for start in range(0, cut, size))
    if closes or pipe.finished:
        out += pipe.close()
    elif not pipe.resumable:
        out += pipe.abort(CUT)
    if not pipe.watch.complete and pipe.resumable:
        had = read(protocol, out)[0]
        assert had == delivered.text
        way: Way = "ask" if had.strip() else "restart"
        rest = last_words(had) + had[len(had.rstrip()) :] + "".join(WORDS)[len(had) :]
        delivered.reopen()
        splice, continuing = Splice(delivered, way), pipe.continuing_encoder()
        assert continuing is not None
        events: list[Event] = [Start(), PartStart(0, "text"), PartDelta(0, rest), PartEnd(0), Finish("stop"), End()]
        spliced = [kept for event in events for kept in splice.through(event)]
        out += b"".join(continuing.feed(event) for kept in spliced for event in delivered.through(kept))
    text, last = read(protocol, out)
    if isinstance(last, End):
        assert text == "".join(WORDS)
        # A mark of the end passes as it came, also without its blank line.
        GRAMMARS[protocol](out.rstrip() + b"\n\n" if out.rstrip().endswith(MARKS) else out)
    else:
        assert isinstance(last, Failed) and "".join(WORDS).startswith(text)


def test_what_follows_the_cut_keeps_the_grammar_with_what_came_before() -> None:
    pipe, delivered = resumable("anthropic")
    known = CLAUDE.replace(stream(typed("unheard_of", what=1)), b"")
    grammar_anthropic.check(pipe.feed(known) + pipe.close() + continuation(pipe, delivered))


def test_event_numbers_continue_after_those_that_passed() -> None:
    pipe, delivered = resumable("openai-responses")
    out = pipe.feed(RESPONSES) + pipe.close() + continuation(pipe, delivered)
    events = [json.loads(line.removeprefix(b"data: ")) for line in out.split(b"\n") if line.startswith(b"data: ")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    done = events[-1]["response"]
    assert (done["id"], done["created_at"], done["output"][0]["id"]) == ("resp_up", 77, "msg_up")
    assert done["output"][0]["content"][0]["text"] == "one two three"


def test_the_end_of_a_text_is_held_back_until_something_follows() -> None:
    pipe, _ = resumable("anthropic")
    stop, ping = stream(typed("content_block_stop", index=1)), stream(typed("ping"))
    assert pipe.feed(CLAUDE + stop + ping) == CLAUDE
    pipe.close()
    assert pipe.resumable
    whole, _ = resumable("anthropic")
    end = stream(typed("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5}))
    assert whole.feed(CLAUDE + stop + ping + end) == CLAUDE + stop + ping + end
    assert not whole.resumable, "the client has read the end of the text"


def test_the_end_of_a_call_is_not_held_back() -> None:
    pipe, _ = resumable("anthropic")
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    called = stream(
        typed("content_block_stop", index=1),
        typed("content_block_start", index=2, content_block=call),
        typed("content_block_stop", index=2),
    )
    assert pipe.feed(CLAUDE) + pipe.feed(called) == CLAUDE + called


@pytest.mark.parametrize("size", [1, 10_000])
def test_a_text_that_the_client_saw_end_is_not_continued(size: int) -> None:
    """Not even where what follows is unknown."""
    pipe, _ = resumable("anthropic")
    raw = CLAUDE + stream(typed("content_block_stop", index=1), typed("unheard_of", what=2))
    assert b"".join(pipe.feed(raw[at : at + size]) for at in range(0, len(raw), size)) == raw
    assert b"event: error" in pipe.close()


def test_an_error_of_the_upstream_passes_only_where_no_other_target_may_continue() -> None:
    error = stream(typed("error", error={"type": "overloaded_error", "message": "busy"}))
    pipe, _ = resumable("anthropic")
    assert pipe.feed(CLAUDE + error) == CLAUDE and pipe.resumable
    other, _ = resumable("anthropic")
    wrong = CLAUDE.replace(b'"index": 1', b'"index": 2')
    assert other.feed(wrong + error) == wrong + error and not other.resumable


def test_text_beside_a_failure_was_not_delivered() -> None:
    pipe, delivered = resumable("openai-chat")
    failed = stream(HEAD | {"choices": [{"index": 0, "delta": {"content": "three"}, "finish_reason": "error"}]})
    assert pipe.feed(CHAT + failed) == CHAT and pipe.resumable
    assert delivered.text == "one two "


def test_nothing_follows_a_failure_that_another_target_may_recover() -> None:
    pipe, delivered = resumable("anthropic")
    assert pipe.feed(CLAUDE + b"event: content_block_delta\ndata: {half\n\n" + stream(text("three"))) == CLAUDE
    assert delivered.text == "one two " and pipe.resumable and pipe.close() == b""


def test_an_encoder_at_another_place_does_not_continue() -> None:
    """An upstream whose numbers leave one out: the client receives the cut."""
    pipe, _ = resumable("anthropic")
    out = pipe.feed(CLAUDE.replace(b'"index": 1', b'"index": 2')) + pipe.close()
    assert not pipe.resumable and b"event: error" in out


def test_a_part_that_began_without_text_is_not_begun_twice() -> None:
    pipe, _ = resumable("anthropic")
    begun = stream(
        typed("message_start", message=MESSAGE),
        typed("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    )
    assert pipe.feed(begun) == begun and b"event: error" in pipe.close()
    fresh, _ = resumable("anthropic")
    assert fresh.feed(stream(typed("message_start", message=MESSAGE))) and fresh.close() == b"" and fresh.resumable


def test_an_end_marker_that_the_upstream_leaves_out_is_written() -> None:
    pipe, _ = resumable("openai-chat")
    finish = stream(HEAD | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    assert pipe.feed(CHAT + finish) + pipe.close() == CHAT + finish + b"data: [DONE]\n\n"
    own, _ = resumable("openai-chat")
    assert own.feed(CHAT + finish + b"data: [DONE]\n\n") + own.close() == CHAT + finish + b"data: [DONE]\n\n"


def test_the_model_is_renamed() -> None:
    pipe, delivered = resumable("openai-chat", model="asked")
    assert pipe.feed(CHAT).count(b'"model":"asked"') == 3
    pipe.close()
    assert b'"model":"asked"' in continuation(pipe, delivered)


def test_the_work_for_one_event_is_linear_in_its_size() -> None:
    larger, smaller = (seconds(lambda: resumable("openai-chat")[0], size) for size in (8_000_000, 1_000_000))
    assert larger < 20 * smaller


def test_an_event_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    pipe, _ = resumable("anthropic")
    with pytest.raises(sse.EventTooLarge):
        pipe.feed(b"x" * 101)


def test_an_abort_is_reported_once() -> None:
    pipe, _ = resumable("anthropic")
    pipe.feed(CLAUDE)
    assert b"event: error" in pipe.abort(CUT) and pipe.ended
    assert pipe.feed(stream(text("three"))) == b"" and pipe.close() == b""
