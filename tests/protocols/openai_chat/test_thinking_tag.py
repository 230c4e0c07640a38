from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.protocols.openai_chat.thinking_tag import TagSplitter


def split(*pieces: str) -> list[tuple[str, str]]:
    """What the pieces hold, neighbours of one kind put together."""
    splitter = TagSplitter("think")
    found = [given for piece in pieces for given in splitter.feed(piece)] + list(splitter.close())
    assert all(text for _, text in found)
    return [(kind, "".join(text for _, text in group)) for kind, group in groupby(found, key=lambda given: given[0])]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("answer", [("text", "answer")]),
        ("<think>hm</think>answer", [("thinking", "hm"), ("text", "answer")]),
        ("\n<think>\nhm\n</think>\n\nanswer", [("thinking", "hm\n"), ("text", "answer")]),
        ("<think></think>answer", [("text", "answer")]),
        ("<think>hm", [("thinking", "hm")]),
        ("<think>a </thin b</think>c", [("thinking", "a </thin b"), ("text", "c")]),
        ("the tag <think> is </think> text here", [("text", "the tag <think> is </think> text here")]),
        ("<think>a</think>b<think>c</think>", [("thinking", "a"), ("text", "b<think>c</think>")]),
        ("<thinker>", [("text", "<thinker>")]),
        ("<thi", [("text", "<thi")]),
        ("<think>a</thi", [("thinking", "a</thi")]),
        ("  x", [("text", "  x")]),
        ("", []),
    ],
)
def test_thinking_is_split_off_the_head(content: str, expected: list[tuple[str, str]]) -> None:
    assert split(content) == expected
    assert split(*content) == expected


PIECES = st.sampled_from(["<think>", "</think>", "\n", "<", "</thi", " ", "a"])


@given(st.lists(PIECES, max_size=8).map("".join), st.integers(0, 40), st.integers(0, 40))
def test_how_the_content_is_cut_makes_no_difference(content: str, first: int, second: int) -> None:
    low, high = sorted((first, second))
    pieces = [piece for piece in (content[:low], content[low:high], content[high:]) if piece]
    assert split(*pieces) == split(content) == split(*content)


def test_text_is_not_held_back_longer_than_it_may_be_a_tag() -> None:
    splitter = TagSplitter("think")
    assert list(splitter.feed("<th")) == []
    assert list(splitter.feed("e end")) == [("text", "<the end")]
    thinking = TagSplitter("think")
    assert list(thinking.feed("<think>so</")) == [("thinking", "so")]
    assert list(thinking.feed("b>")) == [("thinking", "</b>")]
