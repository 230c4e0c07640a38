"""Bytes in, events out. The table is the specification; the properties say that nothing depends on the cuts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm import sse
from bm.sse import Event, EventTooLarge, Parser, encode, is_stream

TABLE: dict[str, tuple[bytes, list[Event]]] = {
    "nothing": (b"", []),
    "one event": (b"data: a\n\n", [Event(b"a")]),
    "two events": (b"data: a\n\ndata: b\n\n", [Event(b"a"), Event(b"b")]),
    "named event": (b"event: ping\ndata: {}\n\n", [Event(b"{}", "ping")]),
    "name after data": (b"data: {}\nevent: ping\n\n", [Event(b"{}", "ping")]),
    "the last name counts": (b"event: a\nevent: b\ndata: x\n\n", [Event(b"x", "b")]),
    "a name holds for one event": (b"event: a\ndata: x\n\ndata: y\n\n", [Event(b"x", "a"), Event(b"y")]),
    "a name without data is no event": (b"event: a\n\ndata: x\n\n", [Event(b"x")]),
    "CRLF": (b"event: a\r\ndata: x\r\n\r\ndata: y\r\n\r\n", [Event(b"x", "a"), Event(b"y")]),
    "CR": (b"event: a\rdata: x\r\rdata: y\r\r", [Event(b"x", "a"), Event(b"y")]),
    "mixed endings": (b"data: a\r\n\ndata: b\r\r\ndata: c\n\r\n", [Event(b"a"), Event(b"b"), Event(b"c")]),
    "LF then CR are two ends": (b"data: a\n\rdata: b\n\r", [Event(b"a"), Event(b"b")]),
    "comments": (b": hello\ndata: a\n:\ndata: b\n\n: bye\n\n", [Event(b"a\nb")]),
    "comment only": (b": keep-alive\n\n", []),
    "several data lines": (b"data: a\ndata: b\ndata: c\n\n", [Event(b"a\nb\nc")]),
    "empty data lines": (b"data:\ndata:\n\n", [Event(b"\n")]),
    "empty data is an event": (b"data:\n\n", [Event(b"")]),
    "data without a colon": (b"data\n\n", [Event(b"")]),
    "no space after the colon": (b"event:a\ndata:x\n\n", [Event(b"x", "a")]),
    "only one space is dropped": (b"data:  x \n\n", [Event(b" x ")]),
    "a tab is kept": (b"data:\tx\n\n", [Event(b"\tx")]),
    "colons in the value": (b"data: a: b:c\n\n", [Event(b"a: b:c")]),
    "BOM": (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
    "BOM before a blank line": (b"\xef\xbb\xbf\ndata: a\n\n", [Event(b"a")]),
    "a second BOM is part of the field": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Event(b"a")]),
    "id, retry and unknown fields": (b"id: 7\nretry: 10\nfoo: bar\ndata: a\nbaz\n\n", [Event(b"a")]),
    "field names are exact": (b"Data: a\ndata : b\n data: c\n\n", []),
    "many blank lines": (b"\n\n\ndata: a\n\n\n\n", [Event(b"a")]),
    "UTF-8": ("event: größe\ndata: 日本 🙂\n\n".encode(), [Event("日本 🙂".encode(), "größe")]),
    "a line separator of Unicode ends no line": ("data: a\u2028b\x85c\n\n".encode(), [Event("a\u2028b\x85c".encode())]),
    "done marker": (b"data: {}\n\ndata: [DONE]\n\n", [Event(b"{}"), Event(b"[DONE]")]),
    "last event with one newline": (b"data: a\n\nevent: b\ndata: c\n", [Event(b"a"), Event(b"c", "b")]),
    "last event with no newline": (b"data: a\n\ndata: b", [Event(b"a"), Event(b"b")]),
    "last event with a CR": (b"data: a\r", [Event(b"a")]),
    "last line is a blank CR": (b"data: a\r\n\r", [Event(b"a")]),
    "cut inside a field name": (b"data: a\n\ndat", [Event(b"a")]),
    "JSON array, not a stream": (b'[{"a": 1},\n{"b": 2}]\n', []),
}


def parse(*chunks: bytes) -> list[Event]:
    parser = Parser()
    return [event for chunk in chunks for event in parser.feed(chunk)] + parser.close()


@pytest.mark.parametrize("case", TABLE)
def test_a_stream_gives_its_events(case: str) -> None:
    stream, events = TABLE[case]
    assert parse(stream) == events


@pytest.mark.parametrize("case", TABLE)
def test_byte_by_byte_is_the_same(case: str) -> None:
    stream, events = TABLE[case]
    assert parse(*(stream[at : at + 1] for at in range(len(stream)))) == events


@pytest.mark.parametrize("case", TABLE)
def test_empty_chunks_change_nothing(case: str) -> None:
    stream, events = TABLE[case]
    assert parse(*(piece for at in range(len(stream)) for piece in (b"", stream[at : at + 1], b""))) == events


def test_an_event_comes_with_the_chunk_that_completes_it() -> None:
    parser = Parser()
    assert parser.feed(b"data: a\n") == []
    assert parser.feed(b"\ndata: b\n\nda") == [Event(b"a"), Event(b"b")]
    assert parser.feed(b"ta: c\r\n\r") == [Event(b"c")]
    assert parser.feed(b"\ndata: d\n\n") == [Event(b"d")]
    assert parser.close() == []


def test_closing_twice_repeats_nothing() -> None:
    parser = Parser()
    parser.feed(b"data: a")
    assert parser.close() == [Event(b"a")]
    assert parser.close() == []


def test_a_name_that_is_no_utf8_is_replaced_and_data_is_kept_as_bytes() -> None:
    assert parse(b"event: \xff\ndata: \xff\n\n") == [Event(b"\xff", "\ufffd")]


LINES = [
    b"data: a",
    b"data:b",
    b"data",
    b"event: n",
    b": c",
    b"id: 1",
    "data: é🙂".encode(),
    b"\xef\xbb\xbfdata: x",
    b"",
]
STREAMS = st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from([b"\n", b"\r\n", b"\r"]))).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(stream=STREAMS | st.binary(), data=st.data())
def test_any_split_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(*chunks) == parse(stream)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")).filter(
    lambda n: not n.startswith(" ")
)
PAYLOADS = st.binary().map(lambda data: data.replace(b"\r", b""))


@given(events=st.lists(st.builds(Event, PAYLOADS, NAMES)))
def test_what_is_encoded_is_read_back(events: list[Event]) -> None:
    assert parse(b"".join(encode(event.data, event.name) for event in events)) == events


@pytest.mark.parametrize(
    ("data", "name", "framed"),
    [
        (b"{}", "", b"data: {}\n\n"),
        (b"{}", "ping", b"event: ping\ndata: {}\n\n"),
        (b"", "", b"data: \n\n"),
        (b"a\nb", "", b"data: a\ndata: b\n\n"),
        (b"a\r\nb\rc", "", b"data: a\ndata: b\ndata: c\n\n"),
    ],
)
def test_encode_frames_a_payload(data: bytes, name: str, framed: bytes) -> None:
    assert encode(data, name) == framed


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    return 100


def feed_all(chunks: list[bytes]) -> int:
    parser = Parser()
    return sum(len(parser.feed(chunk)) for chunk in chunks)


OVERSIZED = {
    "a line that never ends": [b"data: "] + [b"x" * 10] * 20,
    "data lines without a blank line": [b"data: xxxxxxxxx\n"] * 20,
    "a comment that never ends": [b":" + b"x" * 200],
    "many empty data lines": [b"data\n"] * 200,
    "a large event in one chunk": [b"data: a\n\ndata: " + b"x" * 100 + b"\n\n"],
}


@pytest.mark.parametrize("case", OVERSIZED)
def test_an_event_beyond_the_limit_is_refused(case: str, small: int) -> None:
    with pytest.raises(EventTooLarge, match="more than 100 bytes"):
        feed_all(OVERSIZED[case])


def test_the_limit_is_for_one_event_and_not_for_the_stream(small: int) -> None:
    assert feed_all([b"data: " + b"x" * 80 + b"\n\n"] * 20) == 20


def test_a_chunk_of_many_small_events_is_no_large_event(small: int) -> None:
    assert feed_all([b"data: xxxxxxxxx\n\n" * 20]) == 20


def test_an_event_at_the_limit_is_accepted(small: int) -> None:
    assert feed_all([b"data: " + b"x" * 94, b"\n\n"]) == 1


@pytest.mark.parametrize(
    "body", [b"data: 1", b"event: a", b": comment", b"\n\ndata:{}", b"\xef\xbb\xbfdata: 1", b"id: 1"]
)
def test_a_stream_is_recognized_by_its_beginning(body: bytes) -> None:
    assert is_stream(body)


@pytest.mark.parametrize("body", [b"", b'{"data": 1}', b"[1]", b"<html>", b"database: down"])
def test_other_bodies_are_no_stream(body: bytes) -> None:
    assert not is_stream(body)
