"""Streams that are passed through byte by byte while a decoder reads along."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
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
from bm.protocols.framing import JoiningParser
from bm.protocols.gemini.array import ArraySplitter
from bm.protocols.passthrough import PassThrough, Watch
from bm.protocols.registry import CODECS
from bm.protocols.splice import rename_in_events

BLANK_LINE = re.compile(rb"\n\n|\r\n\r\n|\r\r")
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


def passing(rename: Callable[[bytes], bytes] | None = None) -> PassThrough:
    codec = CODECS["openai-chat"]
    encoder = codec.stream_encoder(asked("openai-chat"), IDS, model="m")
    return PassThrough(sse.Parser(), codec.stream_decoder(IDS), encoder, rename=rename)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_the_bytes_pass_untouched_however_they_are_cut(cuts: list[int]) -> None:
    pipe = passing()
    ends = [0, *sorted(cuts), len(STREAM)]
    out = b"".join(pipe.feed(STREAM[a:b]) for a, b in pairwise(ends)) + pipe.close()
    assert out == STREAM
    assert pipe.watch.complete and pipe.watch.usage == Usage(input=3, output=2)


@given(st.integers(0, len(STREAM)))
def test_output_ends_at_an_event_boundary(cut: int) -> None:
    out = passing().feed(STREAM[:cut])
    assert STREAM.startswith(out)
    assert not out or out.endswith((b"\n\n", b"\r\n\r\n"))


def test_the_model_is_renamed() -> None:
    pipe = passing(rename_in_events("openai-chat", "the asked"))
    out = pipe.feed(STREAM) + pipe.close()
    assert out == STREAM.replace(b"their-model", b"the asked")


def test_a_stream_without_its_end_ends_in_an_error() -> None:
    cut = passing()
    out = cut.feed("".join(PIECES[:4]).encode()) + cut.close()
    assert cut.watch.failure is not None and cut.watch.failure.kind == "truncated"
    assert b'"error"' in out and b"[DONE]" not in out and b"message_stop" not in out


def test_an_abort_is_reported_in_the_stream() -> None:
    failure = Failure(kind="timeout", message="nothing further")
    aborted = passing()
    aborted.feed("".join(PIECES[:3]).encode())
    assert b"nothing further" in aborted.abort(failure)
    assert aborted.watch.failure == failure


def written(protocol: ProtocolName) -> list[bytes]:
    """The events of a complete stream."""
    said: list[Event] = [Start("id", "m"), PartStart(0, "text"), PartDelta(0, "one "), PartDelta(0, "two"), PartEnd(0)]
    encoder = CODECS[protocol].stream_encoder(asked(protocol), IDS, model="m")
    stream = b"".join(map(encoder.feed, [*said, UsageUpdate(Usage(input=3, output=2)), Finish("stop"), End()]))
    ends = [0, *(found.end() for found in BLANK_LINE.finditer(stream))]
    return [stream[a:b] for a, b in pairwise(ends)]


def passed(protocol: ProtocolName, stream: bytes) -> tuple[bytes, PassThrough]:
    """What goes to the client of a stream that ends there."""
    codec = CODECS[protocol]
    encoder = codec.stream_encoder(asked(protocol), IDS, model="m")
    pipe = PassThrough(sse.Parser(), codec.stream_decoder(IDS), encoder)
    return pipe.feed(stream) + pipe.close(), pipe


GARBAGE = b"data: {half\n\n"
ERRORS = {
    "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n',
    "openai-chat": b'data: {"error":{"message":"busy","code":503}}\n\n',
    "gemini": b'data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}\n\n',
    "openai-responses": b'event: error\ndata: {"type":"error","code":"busy","message":"busy","param":null}\n\n',
}
BEGUN_BY: dict[ProtocolName, int] = {"anthropic": 4, "openai-chat": 2, "openai-responses": 5, "gemini": 1}
"""How many events of a stream begin its text."""
EVERY = pytest.mark.parametrize("protocol", ERRORS)
TERMINATED = pytest.mark.parametrize("protocol", ["anthropic", "openai-chat"])


@EVERY
def test_nothing_passes_after_the_end(protocol: ProtocolName) -> None:
    if protocol != "gemini":
        out, pipe = passed(protocol, b"".join([*written(protocol), *written(protocol)]))
        assert out == b"".join(written(protocol)) and pipe.watch.complete


@TERMINATED
@pytest.mark.parametrize("rest", [b"", b": a comment\n\n", b"event: message", b"data: [DO", b"data: [DONE]"])
def test_an_end_that_the_upstream_leaves_out_is_written(protocol: ProtocolName, rest: bytes) -> None:
    *most, last = written(protocol)
    out, pipe = passed(protocol, b"".join(most) + rest)
    assert out.replace(b": a comment\n\n", b"").rstrip() == b"".join([*most, last]).rstrip() and pipe.watch.complete


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_a_last_event_that_is_no_mark_gets_the_blank_line_that_it_lacks(lost: int) -> None:
    whole = b"".join(written("gemini"))
    out, pipe = passed("gemini", whole[:-lost])
    assert out == whole.rstrip() + b"\n\n" and pipe.watch.complete


@pytest.mark.parametrize("words", ["[DONE]", "message_stop"])
def test_a_last_event_whose_text_speaks_of_a_mark_is_none(words: str) -> None:
    piece = {"content": {"role": "model", "parts": [{"text": words}]}, "finishReason": "STOP"}
    whole = sse.encode(json.dumps({"candidates": [piece]}).encode())
    out, pipe = passed("gemini", whole.rstrip())
    assert out == whole and pipe.watch.complete


@EVERY
@pytest.mark.parametrize("how", ["garbage", "error"])
def test_what_goes_wrong_after_the_finish_reason_does_not_count(protocol: ProtocolName, how: str) -> None:
    whole = written(protocol)
    most = whole[:-1] if protocol in ("anthropic", "openai-chat") else whole
    out, pipe = passed(protocol, b"".join(most) + (GARBAGE if how == "garbage" else ERRORS[protocol]))
    assert out == b"".join(whole) and pipe.watch.complete and pipe.watch.failure is None


@EVERY
def test_nothing_passes_after_a_failure(protocol: ProtocolName) -> None:
    stream = written(protocol)
    begun, rest = b"".join(stream[: BEGUN_BY[protocol]]), b"".join(stream[BEGUN_BY[protocol] :])
    out, pipe = passed(protocol, begun + ERRORS[protocol] + rest)
    assert out == begun + ERRORS[protocol] and pipe.watch.failure is not None
    out, pipe = passed(protocol, begun + GARBAGE + rest)
    assert out.startswith(begun) and GARBAGE not in out and not out.endswith(rest) and pipe.watch.failure is not None


UNFINISHED = {
    "no finish reason": ("openai-chat", "".join(PIECES[:4]) + "data: [DONE]\n\n", b"[DONE]"),
    "a second answer": (
        "anthropic",
        b"".join(written("anthropic")[:3] + written("anthropic")).decode(),
        b"message_stop",
    ),
}


@pytest.mark.parametrize(("protocol", "stream", "end"), UNFINISHED.values(), ids=UNFINISHED)
def test_an_answer_that_is_not_finished_does_not_look_complete(protocol: ProtocolName, stream: str, end: bytes) -> None:
    out, pipe = passed(protocol, stream.encode())
    assert pipe.watch.failure is not None and b'"error"' in out and end not in out


def array(rename: Callable[[bytes], bytes] | None = None) -> PassThrough:
    codec = CODECS["gemini"]
    encoder = codec.stream_encoder(asked("gemini"), IDS, model="m")
    return PassThrough(ArraySplitter(), codec.stream_decoder(IDS), encoder, rename=rename, framed=False)


BEGUN = b'[{"candidates":[{"content":{"parts":[{"text":"so"}],"role":"model"},"index":0}],"modelVersion":"theirs"}'
REST = b',\r\n{"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP","index":0}]}'


def test_nothing_can_be_put_between_the_bytes_of_an_array() -> None:
    pipe = array()
    assert pipe.feed(BEGUN) == BEGUN
    assert pipe.keepalive() == b""
    assert pipe.abort(Failure(kind="connection", message="cut")) == b""


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_the_model_is_renamed_in_an_array(size: int) -> None:
    pipe, whole = array(rename_in_events("gemini", "asked")), BEGUN + REST + b"]"
    out = b"".join(pipe.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + pipe.close()
    assert out == whole.replace(b"theirs", b"asked")


def test_a_renamed_array_that_was_cut_has_no_end() -> None:
    pipe = array(rename_in_events("gemini", "asked"))
    assert pipe.feed(BEGUN + REST[:20]) + pipe.close() == BEGUN.replace(b"theirs", b"asked")


def test_arguments_called_model_pass_untouched() -> None:
    call = b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"model":"x"}}}]}}]}'
    codec = CODECS["gemini"]
    encoder = codec.stream_encoder(asked("gemini"), IDS, model="m")
    pipe = PassThrough(sse.Parser(), codec.stream_decoder(IDS), encoder, rename=rename_in_events("gemini", "asked"))
    stream = b"data: " + call + b"\r\n\r\n"
    assert pipe.feed(stream) == stream


def seconds(make: Callable[[], PassThrough], size: int) -> float:
    """The least CPU time that one event of that many bytes takes, in chunks as a socket gives them."""
    data = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"' + b"x" * size + b'"}}]}\n\n'
    taken = []
    for _ in range(3):
        pipe, began = make(), time.process_time()
        out = [pipe.feed(data[at : at + 4096]) for at in range(0, len(data), 4096)]
        taken.append(time.process_time() - began)
        assert b"".join(out) == data
    return min(taken)


def test_the_work_for_one_event_is_linear_in_its_size() -> None:
    larger, smaller = seconds(passing, 8_000_000), seconds(passing, 1_000_000)
    assert larger < 20 * smaller, "eight times the bytes, 64 times the work if it is quadratic"


def test_the_watch_keeps_what_the_events_say() -> None:
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


def test_a_failure_is_seen_by_the_watch() -> None:
    watch = Watch()
    watch.see(Failed(Failure(kind="server", message="no")))
    assert watch.failure is not None and not watch.complete


def test_a_character_cut_between_two_events_passes_as_it_came() -> None:
    pieces = [piece.replace("häll", "\\ud83d").replace('"o"', '"\\ude00"') for piece in PIECES]
    codec = CODECS["openai-chat"]
    encoder = codec.stream_encoder(asked("openai-chat"), IDS, model="m")
    pipe = PassThrough(JoiningParser(sse.Parser()), codec.stream_decoder(IDS), encoder)
    stream = "".join(pieces).encode()
    assert pipe.feed(stream) + pipe.close() == stream and pipe.watch.complete
