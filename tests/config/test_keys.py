"""Dotted keys, parsed and written, and their lines in every form TOML allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.config.keys import dotted, key_lines, split, table_ends
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


@pytest.mark.parametrize(
    "text", ["", ".", "a.", "a b", "a = 1 #", "a\nb", "a = 1\nb", "[a]", "a = {} #", 'a."', "a = " + "9" * 5000]
)
def test_invalid_keys_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not the name of a setting") as caught:
        split(text)
    assert caught.value.key == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=4).map(tuple))
def test_a_written_key_parses_to_itself(key: tuple[str, ...]) -> None:
    assert split(dotted(key)) == key


TEXT = '''# first line
top = 1

[server]   # [not.a.table]
port = 8094
host = "a [b] = {c}"  # x = 1

[providers.groq]
models = { opus = "a", 'b.c' = "d", deep = { er = 1 } }
protocols = [
  "anthropic",  # one
  "gemini",
]
note = """
[fake]
key = "\\""" x"""
"timeouts".idle = 1.5

[providers . "my co".timeouts]
raw = \'\'\'
a = 1\'\'\'
when = 1979-05-27 07:32:00
idle = +inf

[[list]]
x = 1
[[list]]
y = [{ z = 1 },
     { z = 2 }]
'''

LINES = {
    ("top",): 2,
    ("server",): 4,
    ("server", "port"): 5,
    ("server", "host"): 6,
    ("providers",): 8,
    ("providers", "groq"): 8,
    ("providers", "groq", "models"): 9,
    ("providers", "groq", "models", "opus"): 9,
    ("providers", "groq", "models", "b.c"): 9,
    ("providers", "groq", "models", "deep"): 9,
    ("providers", "groq", "models", "deep", "er"): 9,
    ("providers", "groq", "protocols"): 10,
    ("providers", "groq", "note"): 14,
    ("providers", "groq", "timeouts"): 17,
    ("providers", "groq", "timeouts", "idle"): 17,
    ("providers", "my co"): 19,
    ("providers", "my co", "timeouts"): 19,
    ("providers", "my co", "timeouts", "raw"): 20,
    ("providers", "my co", "timeouts", "when"): 22,
    ("providers", "my co", "timeouts", "idle"): 23,
    ("list",): 27,
    ("list", "x"): 26,
    ("list", "y"): 28,
    ("list", "y", "z"): 29,
}


def test_every_key_has_its_line() -> None:
    assert key_lines(TEXT) == LINES


def test_windows_line_ends_count_once() -> None:
    assert key_lines(TEXT.replace("\n", "\r\n")) == LINES


def test_a_table_ends_with_its_last_entry() -> None:
    text = '[a]\n\n# b is next\n[b]\nx = """\n1\n"""\ny = [\n1,\n]\n# tail\n\n[c.d]'
    assert table_ends(text) == {("a",): 1, ("b",): 10, ("c", "d"): 13}


def test_an_empty_text_has_no_keys() -> None:
    assert key_lines("") == table_ends("") == {}
