"""One member of a JSON text changes; comments, order, indentation and line ends stay."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from bm.clients.jsonc import drop, get, is_empty, put, same, write
from bm.config.document import CannotEdit
from tests.clients.texts import json_texts, pretty_json_texts

COMMENTED = """\
{
    // which colours
    "theme": "dark", /* mine */
    "env": {
        "A": "1" // the first
    },
}
"""


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ("", ("a", "b"), '{\n  "a": {\n    "b": 9\n  }\n}\n'),
        ("{}", ("a",), '{"a": 9}'),
        ("{}\n", ("a", "b"), '{\n  "a": {\n    "b": 9\n  }\n}\n'),
        ('{"x":1}', ("a", "b"), '{"x":1,"a":{"b":9}}'),
        ('{"x": 1, "y": {}}', ("y", "b"), '{"x": 1, "y": {"b": 9}}'),
        ('{"x": 1,}', ("a",), '{"x": 1, "a": 9,}'),
        ('{\n\t"x": 1\n}', ("a",), '{\n\t"x": 1,\n\t"a": 9\n}'),
        ('{\r\n  "x": 1\r\n}', ("a", "b"), '{\r\n  "x": 1,\r\n  "a": {\r\n    "b": 9\r\n  }\r\n}'),
        ('{"x": 1 // last\n}', ("a",), '{"x": 1, // last\n  "a": 9\n}'),
        ("{\n  // nothing yet\n}", ("a",), '{\n  // nothing yet\n  "a": 9\n}'),
        ('{"a": [1, 2], "b": 3}', ("a",), '{"a": 9, "b": 3}'),
        (COMMENTED, ("theme",), COMMENTED.replace('"dark"', "9")),
        (COMMENTED, ("env", "B"), COMMENTED.replace('"1" // the first', '"1", // the first\n        "B": 9')),
        (COMMENTED, ("b",), COMMENTED.replace("    },\n}", '    },\n    "b": 9,\n}')),
    ],
)
def test_a_member_is_put_in_the_style_of_its_neighbours(before: str, key: tuple[str, ...], after: str) -> None:
    assert put(before, key, "9") == after


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ('{"a": 1}', ("a",), "{}"),
        ('{"a": 1, "b": 2}', ("a",), '{"b": 2}'),
        ('{"a": 1, "b": 2}', ("b",), '{"a": 1}'),
        ('{"a": 1, "b": 2,}', ("b",), '{"a": 1, }'),
        ('{\n  "a": 1,\n  "b": 2\n}', ("b",), '{\n  "a": 1\n}'),
        ('{\n  "a": 1,\n  "b": 2\n}', ("a",), '{\n  "b": 2\n}'),
        ('{\n  "a": 1, // one\n  "b": 2\n}', ("b",), '{\n  "a": 1 // one\n}'),
        ('{\n  // of a\n  "a": 1\n}', ("a",), "{\n  // of a\n}"),
        ('{"a": {"b": 1}}', ("a", "b"), '{"a": {}}'),
        ('{"a": 1}', ("b",), '{"a": 1}'),
        ("", ("b",), ""),
    ],
)
def test_a_member_is_dropped_with_its_comma_and_line(before: str, key: tuple[str, ...], after: str) -> None:
    assert drop(before, key) == after


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{a: 1}", "line 1"),
        ("{'a': 1}", "line 1"),
        ('{"a": NaN}', "line 1"),
        ('{\n  "a": 1\n  "b": 2\n}', "line 3"),
        ('{"a": 1', "line 1"),
        ('{"a": 1} x', "line 1"),
        ("// only a note", "line 1"),
        ("[" * 300 + "]" * 300, "line 1"),
        ("[]", "not an object"),
        ('{"env": "none"}', "not an object"),
        ('{"env": {"A": 1}, "env": {}}', "twice"),
    ],
)
def test_an_uneditable_text_is_refused(text: str, why: str) -> None:
    with pytest.raises(CannotEdit, match=why):
        put(text, ("env", "A"), "9")


def test_values_are_returned_as_written() -> None:
    assert get('{"a": {"b": 1.50}}', ("a", "b")) == "1.50"
    assert get('{"a": {"b": 1.50}}', ("a", "c")) is None
    assert same("1.50", "1.5") and same('"\\u00e9"', '"é"') and not same("1", '"1"')
    assert write("é") == '"é"'
    assert is_empty("", ()) and is_empty('{"a": {}}', ("a",)) and not is_empty('{"a": {}}', ())


def comments(text: str) -> list[str]:
    return re.findall(r"// a note|/\* a, \"note\": \{\} \*/|// \{", text)


@given(json_texts() | pretty_json_texts())
def test_putting_and_dropping_a_member_is_no_change_of_the_others(text: str) -> None:
    try:
        after = put(text, ("bm", "added"), '"new"')
    except CannotEdit as error:
        assert "not an object" in str(error)
        return
    assert get(after, ("bm", "added")) == '"new"'
    assert sorted(comments(after)) == sorted(comments(text))
    again = drop(after, ("bm", "added"))
    assert get(again, ("bm", "added")) is None
    assert sorted(comments(again)) == sorted(comments(text))
    assert again.count("\r\n") == again.count("\n") or "\n" in text.replace("\r\n", "") or "\n" not in text
