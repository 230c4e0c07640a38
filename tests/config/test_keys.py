"""Dotted keys, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.config.keys import dotted, split
from bm.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("server.port", ("server", "port")),
        ("pool", ("pool",)),
        ('gemini.models."gpt-4.1"', ("gemini", "models", "gpt-4.1")),
        ("aliases.'a b'", ("aliases", "a b")),
    ],
)
def test_a_key_is_split(text: str, key: tuple[str, ...]) -> None:
    assert split(text) == key


@pytest.mark.parametrize("text", ["", ".", "a.", "a b", "a = 1 #", "a\nb", "a = 1\nb", "[a]", "a = {} #", 'a."'])
def test_anything_else_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ConfigError, match="is not the name of a setting") as caught:
        split(text)
    assert caught.value.key == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=4).map(tuple))
def test_what_is_written_reads_the_same(key: tuple[str, ...]) -> None:
    assert split(dotted(key)) == key
