"""A stream as one JSON array, split and framed."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm import sse
from bm.chat.events import End, Event, Failed, Finish, PartDelta, PartEnd, PartStart, Start
from bm.chat.request import ChatRequest
from bm.errors import Failure
from bm.protocols.gemini.array import ArrayFramer, ArraySplitter
from bm.protocols.gemini.codec import CODEC
from tests.protocols.gemini.ids import ids

TRICKY = [{"a": 'br{ac]e "quoted" \\'}, {"b": [{"c": "}"}], "d": "\\"}, {"e": "é\n😀"}]


@given(st.sampled_from([None, 1, 2]), st.lists(st.integers(0, 200), max_size=8))
def test_elements_are_the_same_however_the_bytes_are_cut(indent: int | None, cuts: list[int]) -> None:
    body = json.dumps(TRICKY, indent=indent, ensure_ascii=False).encode()
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    splitter = ArraySplitter()
    found = [event for a, b in pairwise(places) for event in splitter.feed(body[a:b])]
    assert [json.loads(event.data) for event in [*found, *splitter.close()]] == TRICKY


def test_an_element_is_returned_as_soon_as_it_is_complete() -> None:
    splitter = ArraySplitter()
    assert splitter.feed(b'[{"a": 1}') == [sse.Event(b'{"a": 1}')]
    assert splitter.feed(b"\r\n,\r\n") == []
    assert splitter.feed(b'{"b": "') == []
    assert splitter.feed(b'"}]') == [sse.Event(b'{"b": ""}')]
    assert splitter.close() == []


@pytest.mark.parametrize(
    ("body", "elements"),
    [
        (b"", []),
        (b"[]", []),
        (b'{"error": {}}', [b'{"error": {}}']),
        (b'\xef\xbb\xbf[{"a":1}]', [b'{"a":1}']),
        (b'[{"a":1},{"b"', [b'{"a":1}', b'{"b"']),
        (b"<html>no</html>", [b"<html>no</html>"]),
    ],
    ids=["nothing", "an empty array", "a lone object", "a byte order mark", "a cut element", "no JSON"],
)
def test_what_is_left_is_returned_at_the_end(body: bytes, elements: list[bytes]) -> None:
    splitter = ArraySplitter()
    assert [event.data for event in [*splitter.feed(body), *splitter.close()]] == elements


def test_an_endless_element_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 10)
    with pytest.raises(sse.EventTooLarge):
        ArraySplitter().feed(b'[{"a": "0123456789')


def framer() -> ArrayFramer:
    return ArrayFramer(CODEC.stream_encoder(ChatRequest(protocol="gemini", model="m", turns=()), ids(), model="m"))


def test_a_framed_answer_is_one_array() -> None:
    encoder = framer()
    events: list[Event] = [Start(), PartStart(0, "text"), PartDelta(0, "a"), PartEnd(0), Finish("stop"), End()]
    body = b"".join(encoder.keepalive() + encoder.feed(event) for event in events)
    texts = [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in json.loads(body)]
    assert texts == ["a", ""]


def test_a_framed_failure_is_the_last_element() -> None:
    encoder = framer()
    events: list[Event] = [PartStart(0, "text"), PartDelta(0, "a"), Failed(Failure(kind="truncated", message="cut"))]
    chunks = json.loads(b"".join(encoder.feed(event) for event in events))
    assert chunks[-1]["error"]["message"] == "cut"
