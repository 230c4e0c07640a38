"""Editing one value of a TOML text changes nothing else."""

from __future__ import annotations

import tomllib

import pytest

from bm.config.document import CannotEdit, drop, put

TEXT = """\
# what this is about
model = "gpt-5"   # mine

# the servers
[servers.one]
command = 'run'
"""


@pytest.mark.parametrize(
    ("key", "value", "after"),
    [
        (("model",), "o3", TEXT.replace('"gpt-5"', '"o3"')),
        (("servers", "one", "command"), "stop", TEXT.replace("'run'", '"stop"')),
        (("provider",), "bm", TEXT.replace("# mine\n", '# mine\nprovider = "bm"\n')),
        (("servers", "one", "args"), ["a"], TEXT + 'args = ["a"]\n'),
        (("servers", "two", "command"), "x", TEXT + '\n[servers.two]\ncommand = "x"\n'),
    ],
)
def test_a_value_is_put_in_its_table(key: tuple[str, ...], value: object, after: str) -> None:
    assert put(TEXT, key, value) == after


def test_the_first_top_level_value_goes_above_the_tables() -> None:
    text = "# about the table\n[table]\na = 1\n"
    assert put(text, ("top",), True) == f"top = true\n\n{text}"


def test_dropping_the_only_value_drops_its_table() -> None:
    text = put(TEXT, ("servers", "two", "command"), "x")
    assert drop(text, ("servers", "two")) == TEXT
    assert drop(TEXT, ("servers", "three")) == TEXT


def test_line_ends_stay_as_they_are() -> None:
    text = TEXT.replace("\n", "\r\n")
    after = put(text, ("servers", "two", "command"), "x")
    assert "\n" not in after.replace("\r\n", "")
    assert after.startswith(text)


@pytest.mark.parametrize("text", ['servers = "none"\n', "[[servers]]\na = 1\n", "servers = 1\n"])
def test_a_parent_that_is_not_a_table_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit, match="servers"):
        put(text, ("servers", "one"), 1)


def test_invalid_toml_is_an_error() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        put("a = ", ("b",), 1)
