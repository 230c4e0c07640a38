"""Whole events of a stream, however its bytes are cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm import sse
from bm.protocols.framing import EventBuffer, JoiningParser, frames_of, length_of
from tests.protocols.test_passthrough import BLANK_LINE, PIECES, STREAM


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_the_buffer_gives_out_whole_events_however_they_are_cut(cuts: list[int]) -> None:
    buffer, ends = EventBuffer(), [0, *sorted(cuts), len(STREAM)]
    given_out = b""
    for a, b in pairwise(ends):
        given_out += buffer.feed(STREAM[a:b])
        assert given_out == STREAM[: max([found.end() for found in BLANK_LINE.finditer(STREAM, 0, b)], default=0)]
        assert buffer.size == b - len(given_out)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_character_cut_between_two_events_is_joined(size: int) -> None:
    cut = rb'data: {"text":"x\ud83d"}' + b"\n\n" + rb'data: {"text":"\ude00y"}'
    parser = JoiningParser(sse.Parser())
    found = [event for at in range(0, len(cut), size) for event in parser.feed(cut[at : at + size])]
    assert [json.loads(event.data)["text"] for event in [*found, *parser.close()]] == ["x", "😀y"]


def test_the_first_events_of_a_stream_end_behind_the_comments_before_them() -> None:
    assert [frame.decode() for frame in frames_of(STREAM)] == PIECES
    first, second = len("".join(PIECES[:2]).encode()), len("".join(PIECES[:3]).encode())
    assert [length_of(STREAM, count) for count in range(3)] == [0, first, second]
