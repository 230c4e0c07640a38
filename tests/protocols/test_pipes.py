"""Answers on their way: passed through byte by byte, or translated."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm import sse
from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    Ping,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.request import ChatRequest
from bm.chat.signature import Signature, text_key
from bm.errors import Failure
from bm.names import ProtocolName
from bm.protocols.codec import IdFactory
from bm.protocols.gemini.array import ArraySplitter
from bm.protocols.pipes import Filter, PassThrough, Translated, Watch
from bm.protocols.registry import CODECS

IDS = IdFactory(lambda prefix: f"{prefix}000000000000000000000001", 1_700_000_000)
CHUNK = '{"id":"c","object":"chat.completion.chunk","created":1,"model":"their-model","choices":[%s]}'
PIECES = [
    ": a comment\n\n",
    "data: " + CHUNK % '{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}' + "\n\n",
    "data: " + CHUNK % '{"index":0,"delta":{"content":"häll"},"finish_reason":null,"unheard_of":1}' + "\n\n",
    "data: " + CHUNK % '{"index":0,"delta":{"content":"o"},"finish_reason":null}' + "\r\n\r\n",
    "data: " + CHUNK % '{"index":0,"delta":{},"finish_reason":"stop"}' + "\n\n",
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"their-model","choices":[],'
    '"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n',
    "data: [DONE]\n\n",
]
STREAM = "".join(PIECES).encode()


def asked(protocol: ProtocolName) -> ChatRequest:
    return ChatRequest(protocol=protocol, model="m", turns=(), stream=True)


def passing(model: str = "") -> PassThrough:
    codec = CODECS["openai-chat"]
    encoder = codec.stream_encoder(asked("openai-chat"), IDS, model="m")
    return PassThrough(sse.Parser(), codec.stream_decoder(IDS), encoder, model=model)


def translating(client: ProtocolName = "anthropic", *, single_call: bool = False) -> Translated:
    encoder = CODECS[client].stream_encoder(asked(client), IDS, model="m")
    decoder = CODECS["openai-chat"].stream_decoder(IDS)
    return Translated(sse.Parser(), decoder, encoder, Filter({}, single_call=single_call))


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_the_bytes_pass_untouched_however_they_are_cut(cuts: list[int]) -> None:
    pipe = passing()
    ends = [0, *sorted(cuts), len(STREAM)]
    out = b"".join(pipe.feed(STREAM[a:b]) for a, b in pairwise(ends)) + pipe.close()
    assert out == STREAM
    assert pipe.watch.complete and pipe.watch.usage == Usage(input=3, output=2)


@given(st.integers(0, len(STREAM)))
def test_output_ends_with_a_whole_event_so_that_something_may_follow(cut: int) -> None:
    out = passing().feed(STREAM[:cut])
    assert STREAM.startswith(out)
    assert not out or out.endswith((b"\n\n", b"\r\n\r\n"))


def test_the_model_is_renamed_for_clients_that_insist() -> None:
    pipe = passing(model="the \\asked")
    out = pipe.feed(STREAM) + pipe.close()
    assert out == STREAM.replace(b'"model":"their-model"', b'"model":"the \\asked"')


@pytest.mark.parametrize("pipe", [passing, translating], ids=["passing", "translating"])
def test_a_stream_without_its_end_ends_in_an_error(pipe: type) -> None:
    cut = pipe()
    out = cut.feed("".join(PIECES[:4]).encode()) + cut.close()
    assert cut.watch.failure is not None and cut.watch.failure.kind == "truncated"
    assert b'"error"' in out and b"[DONE]" not in out and b"message_stop" not in out


@pytest.mark.parametrize("pipe", [passing, translating], ids=["passing", "translating"])
def test_an_abort_is_told_in_the_stream(pipe: type) -> None:
    failure = Failure(kind="timeout", message="nothing further")
    aborted = pipe()
    aborted.feed("".join(PIECES[:3]).encode())
    assert b"nothing further" in aborted.abort(failure)
    assert aborted.watch.failure == failure


def test_an_array_has_no_room_between_its_bytes() -> None:
    codec = CODECS["gemini"]
    encoder = codec.stream_encoder(asked("gemini"), IDS, model="m")
    pipe = PassThrough(ArraySplitter(), codec.stream_decoder(IDS), encoder, framed=False)
    begun = b'[{"candidates":[{"content":{"parts":[{"text":"so"}],"role":"model"},"index":0}]}'
    assert pipe.feed(begun) == begun
    assert pipe.keepalive() == b""
    assert pipe.abort(Failure(kind="connection", message="cut")) == b""


def test_the_first_content_is_when_an_answer_has_begun() -> None:
    pipe = translating()
    pipe.feed("".join(PIECES[:2]).encode())
    before = pipe.watch.begun
    pipe.feed(PIECES[2].encode())
    assert (before, pipe.watch.begun, pipe.watch.model) == (False, True, "their-model")


def test_what_the_events_tell_is_remembered() -> None:
    watch = Watch()
    late, early = Signature("gemini", "bGF0ZQ=="), Signature("gemini", "ZWFybHk=")
    events: list[Event] = [
        Start(model="m"),
        Ping(),
        PartStart(0, "tool_call", id="a", signature=early),
        PartStart(1, "tool_call", id="b"),
        PartSignature(1, late),
        PartStart(2, "text"),
        PartSignature(2, late),
        PartDelta(2, "x"),
        PartEnd(2),
        UsageUpdate(Usage(input=1)),
        Finish("stop"),
        End(),
    ]
    for event in events:
        watch.see(event)
    assert watch.signatures == {"a": early, "b": late, text_key("x"): late}
    assert (watch.model, watch.complete, watch.failure, watch.events) == ("m", True, None, len(events))


def test_names_go_back_and_surplus_calls_go_away_on_the_way() -> None:
    told = Filter({"a_b": "a/b"}, single_call=True).through(
        [PartStart(0, "tool_call", id="1", name="a_b"), PartEnd(0), PartStart(1, "tool_call", id="2", name="a_b")]
    )
    assert told == [PartStart(0, "tool_call", id="1", name="a/b"), PartEnd(0)]


def test_a_failure_is_seen_by_the_watch() -> None:
    watch = Watch()
    watch.see(Failed(Failure(kind="server", message="no")))
    assert watch.failure is not None and not watch.complete
