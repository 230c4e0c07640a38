"""Runs of pieces are read as if each event were parsed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm import sse
from bm.chat.capabilities import Dialect
from bm.chat.events import Event, PartDelta, PartStart
from bm.protocols.codec import IdFactory, StreamDecoder
from bm.protocols.framing import last_frame
from bm.protocols.pieces import Pieces
from bm.protocols.registry import CODECS, upstream_codec

IDS = IdFactory(lambda prefix: f"{prefix}0123456789abcdef")
HEAD = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"claude"}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


def piece(text: str) -> bytes:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return f"event: content_block_delta\ndata: {json.dumps(delta)}\n\n".encode()


def chunk(text: str, **more: object) -> bytes:
    body = {"id": "c", "choices": [{"index": 0, "delta": {"content": text, **more}}]}
    return f"data: {json.dumps(body)}\n\n".encode()


class Counting(sse.Parser):
    """Counts the events."""

    count = 0

    def feed(self, chunk: bytes) -> list[sse.Event]:
        items = super().feed(chunk)
        self.count += len(items)
        return items


class Reading:
    """Reads a stream as a pipe does. `parsed` counts the events that were parsed."""

    def __init__(self, decoder: StreamDecoder) -> None:
        self._parser, self._decoder = Counting(), decoder
        self.pieces = Pieces(self._parser, decoder)
        self.passed = b""
        self.events: list[Event] = []

    def feed(self, data: bytes) -> None:
        for run, rest in self.pieces.split(data):
            if run is not None:
                self.passed += run.data
                self.events.append(run.piece)
                continue
            self.passed += rest
            events = [event for item in self._parser.feed(rest) for event in self._decoder.feed(item)]
            self.events += events
            self.pieces.learn(last_frame(rest), events[-1:])

    @property
    def parsed(self) -> int:
        return self._parser.count

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, PartDelta))


def reading(data: bytes, *cuts: int, decoder: StreamDecoder | None = None) -> Reading:
    found = Reading(decoder or CODECS["anthropic"].stream_decoder(IDS))
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        found.feed(data[start:end])
    if rest := found.pieces.rest():
        found.passed += rest
    return found


TEXTS = ["Hello", " world", ' "quoted" \\ and\nlines\t', "é😀", "text_delta", "content_block_delta", "}}\n\n", "x"]


@given(st.lists(st.sampled_from(TEXTS) | st.text(min_size=1, max_size=5), max_size=30), st.data())
def test_a_stream_is_read_alike_wherever_it_is_cut(texts: list[str], data: st.DataObject) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    frames = [PING if data.draw(st.integers(0, 9)) == 0 else b"" for _ in texts]
    stream = HEAD + b"".join(piece(text) + ping for text, ping in zip(texts, frames, strict=True))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    found = reading(stream, *cuts)
    assert found.text == "".join(texts)
    assert found.passed == stream


def test_most_of_a_stream_is_not_parsed() -> None:
    stream = HEAD + b"".join(piece(f"word {number} ") for number in range(1000))
    found = reading(stream)
    assert found.parsed < 10 and found.text.endswith("word 999 ")


@pytest.mark.parametrize(
    "odd",
    [
        piece(""),
        piece("b").replace(b"}}", b"}"),
        piece("b").replace(b'"b"', b'"b\\"'),
        piece("b").replace(b'"b"', b'"\xff"'),
        piece("b").replace(b'"index": 0', b'"index": 1'),
        PING,
    ],
    ids=["empty", "not closed", "cut escape", "no UTF-8", "another part", "another event"],
)
def test_whatever_is_unlike_the_pattern_is_parsed(odd: bytes) -> None:
    found = Reading(CODECS["anthropic"].stream_decoder(IDS))
    found.feed(HEAD + piece("a") * 4)
    split = [(run.count if run else 0, rest) for run, rest in found.pieces.split(piece("a") + odd)]
    assert split in ([(1, b""), (0, odd)], [(0, piece("a") + odd)])


def test_an_escape_does_not_go_on_in_the_next_piece() -> None:
    broken = [piece("b").replace(b'"b"', text) for text in (rb'"\ud83d"', rb'"\ude00"')]
    found = Reading(CODECS["anthropic"].stream_decoder(IDS))
    found.feed(HEAD + piece("a") * 4)
    assert [run for run, _ in found.pieces.split(b"".join(broken))] == [None]


def test_a_pattern_that_never_fits_is_given_up() -> None:
    numbered = [chunk("a").replace(b'"id": "c"', f'"id": "{number}"'.encode()) for number in range(20)]
    found = Reading(CODECS["openai-chat"].stream_decoder(IDS))
    for each in numbered:
        found.feed(each)
    parsed = found.parsed
    found.feed(b"".join(numbered))
    assert found.text == "a" * 40 and found.parsed == parsed + 20


def test_a_tag_at_the_head_begins_thinking_and_one_behind_it_does_not() -> None:
    codec = upstream_codec("openai-chat", Dialect(thinking_tag="think"))
    pieces = ["<th", "ink>", "so", " it is", "</think>", "\n\n", "Yes", ",", " <think>", " is a tag", "."]
    found = reading(b"".join(map(chunk, pieces)), decoder=codec.stream_decoder(IDS))
    assert [event.kind for event in found.events if isinstance(event, PartStart)] == ["thinking", "text"]
    assert found.text == "so it isYes, <think> is a tag."


def test_thinking_that_is_gathered_for_its_signature_is_parsed() -> None:
    detail = {"reasoning_details": [{"type": "reasoning.text", "text": "so", "signature": "s", "index": 0}]}
    found = reading(b"".join(chunk("", **detail) for _ in range(8)), decoder=CODECS["openai-chat"].stream_decoder(IDS))
    assert found.parsed == 8


def test_calls_that_only_their_arguments_tell_apart_are_parsed() -> None:
    called = [
        {"name": "f"},
        *({"arguments": text} for text in ('{"a', '":', "1", "}")),
        {"name": "f", "arguments": "{}"},
    ]
    found = Reading(CODECS["openai-chat"].stream_decoder(IDS))
    for each in called:
        found.feed(chunk("", tool_calls=[{"function": each}]))
    assert [event.name for event in found.events if isinstance(event, PartStart)] == ["f", "f"]
