"""Every word that something asks for is found, and only as JSON writes it."""

from __future__ import annotations

import json

import pytest

from bm.chat.signature import Signature, wrap
from bm.protocols import words
from bm.protocols.words import words_of

NAMES = sorted(
    words.MEDIA
    | words.ENCODED
    | words.CHOICES
    | words.DOMAINS
    | {words.THINKING, words.MARK, words.EXTRA_CONTENT, words.AGENT_MESSAGE, words.OWN_SEARCH, words.OWN_SIGNATURE}
)


@pytest.mark.parametrize("word", NAMES, ids=bytes.decode)
def test_each_word_is_found(word: bytes) -> None:
    body = b'{"a": [' + word + (b"" if word.endswith(b'"') else b'x"') + b', "b"]}'
    assert words_of(body) == {word}


@pytest.mark.parametrize("word", NAMES, ids=bytes.decode)
def test_a_word_in_a_text_is_none(word: bytes) -> None:
    text = word.decode().strip('"')
    assert words_of(json.dumps({"text": f"say {text}, and {text}"}).encode()) == frozenset()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"tools":[{"name":"f"}]}', True),
        (b'{"tools" : [\n  {}]}', True),
        (b'{"tools":[]}', False),
        (b'{"tools":null}', False),
    ],
)
def test_tools_are_a_list_that_is_not_empty(body: bytes, found: bool) -> None:
    assert (words.TOOLS in words_of(body)) == found


def test_all_words_of_a_body_are_found() -> None:
    body = {"thinking": {}, "messages": [{"type": "image", "cache_control": None}, wrap(Signature("gemini", "x"))]}
    found = {words.THINKING, b'"image"', words.MARK, words.OWN_SIGNATURE}
    assert words_of(json.dumps(body).encode()) == found
