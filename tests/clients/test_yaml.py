"""One setting of a flat YAML text changes; what is not flat is left alone."""

from __future__ import annotations

import pytest

from bm.clients.yaml import drop, get, is_empty, put, same, write
from bm.config.document import CannotEdit

TEXT = "# mine\nmodel: sonnet  # the best\nread: ['a # b', c] # both\nlint-cmd:\n  - python: x\nlast: ''\n"


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("", "a", "a: 9\n"),
        ("b: 1", "a", "b: 1\na: 9\n"),
        ("b: 1\r\n", "a", "b: 1\r\na: 9\r\n"),
        ("a:\nb: 1\n", "a", "a: 9\nb: 1\n"),
        (TEXT, "model", TEXT.replace("sonnet", "9")),
        (TEXT, "read", TEXT.replace("['a # b', c]", "9")),
        (TEXT, "last", TEXT.replace("''", "9")),
        (TEXT, "new", TEXT + "new: 9\n"),
    ],
)
def test_a_setting_is_put_in_its_line_or_at_the_end(before: str, name: str, after: str) -> None:
    assert put(before, (name,), "9") == after


def test_a_setting_goes_with_its_line() -> None:
    assert drop(TEXT, ("model",)) == TEXT.replace("model: sonnet  # the best\n", "")
    assert drop("a: 1", ("a",)) == ""
    assert drop(TEXT, ("none",)) == TEXT


@pytest.mark.parametrize(
    "text",
    ["a:\n- 1\n", "a:\n  - 1\n", "a: |\n  x\n", "a: &x 1\n", "a: x\n  y\n", "a: {b: 1}\n", "---\na: 1\n", "{a: 1}\n"],
)
def test_what_is_not_flat_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        put(text, ("a",), "9")


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(CannotEdit, match="twice"):
        get("a: 1\na: 2\n", ("a",))


def test_values_are_told_as_they_are_written() -> None:
    assert get(TEXT, ("model",)) == "sonnet" and get(TEXT, ("read",)) == "['a # b', c]"
    assert get(TEXT, ("none",)) is None
    assert same('"a"', "'a'") and same('["a"]', '[ "a" ]') and not same("a", "b")
    assert same('"a', '"a') and not same('["a', "a")
    assert write("http://127.0.0.1:8094/v1") == "http://127.0.0.1:8094/v1"
    assert write("a: b") == '"a: b"' and write(["a=b", "c"]) == '["a=b", "c"]'
    assert is_empty("\n", ()) and not is_empty("# mine\n", ()) and not is_empty("", ("a",))
