"""Halves of surrogate pairs in JSON."""

from __future__ import annotations

import json

import pytest

from bm.surrogates import HalfJoiner, without_halves


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r'"\ud83d"', "\ufffd"),
        (r'"bad \uD800 text \udc8d"', "bad \ufffd text \ufffd"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (r'"\ude00\ud83d"', "\ufffd\ufffd"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"C:\\ud83d"', r"C:\ud83d"),
        (r'"\\\ud83d"', "\\\ufffd"),
        (r'"\\u007f\\\\ud83d"', r"\u007f\\ud83d"),
    ],
)
def test_halves_are_replaced(text: str, read: str) -> None:
    assert json.loads(without_halves(text.encode())) == read


@pytest.mark.parametrize("data", [b'{"a": "x\xf0\x9f"}', b'{"\xff": "b"}', b'{"\xc3": 1, "a": "\xc3\xa9\x80"}'])
def test_bytes_that_are_no_utf8_are_replaced(data: bytes) -> None:
    assert json.loads(without_halves(data)) == json.loads(data.decode("utf-8", "replace"))


def test_a_text_without_halves_is_the_same_object() -> None:
    data = b'{"text": "\xf0\x9f\x98\x80 \\u00e9"}'
    assert without_halves(data) is data
    assert HalfJoiner().feed(data) is data


@pytest.mark.parametrize(
    ("events", "read"),
    [
        ([r'"x\ud83d"', r'"\ude00y"'], ["x", "😀y"]),
        ([r'"x\ud83d"', '""', r'"\ude00"'], ["x", "", "😀"]),
        ([r'"x\ud83d"', r'"y\ude00"'], ["x", "y\ufffd"]),
        ([r'"x\ud83d"', r'"\ud83d\ude00"', r'"\ude00"'], ["x", "😀", "😀"]),
        ([r'"\ud83dx"', r'"\ude00"'], ["\ufffdx", "\ufffd"]),
        ([r'"\ude00"', r'"\ud83d\ude00"'], ["\ufffd", "😀"]),
    ],
)
def test_a_pair_cut_between_two_events_is_joined(events: list[str], read: list[str]) -> None:
    joiner = HalfJoiner()
    assert [json.loads(joiner.feed(event.encode())) for event in events] == read


@pytest.mark.parametrize("at", [1, 2, 3])
def test_bytes_of_a_character_cut_between_two_events_are_joined(at: int) -> None:
    joiner, emoji = HalfJoiner(), "😀".encode()
    events = [b'"\xc3\xa9x' + emoji[:at] + b'"', b'"' + emoji[at:] + b'y"']
    assert [json.loads(joiner.feed(event)) for event in events] == ["éx", "😀y"]


@pytest.mark.parametrize("data", [b'"x\xf0\x9fy"', b'"x\x9f\x98"', b'"\xff"'])
def test_bytes_that_are_no_character_are_replaced(data: bytes) -> None:
    assert "\ufffd" in json.loads(HalfJoiner().feed(data))
