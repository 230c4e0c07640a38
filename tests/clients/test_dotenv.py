"""One variable of a `.env` file changes, and no other line."""

from __future__ import annotations

import pytest

from bm.clients.dotenv import drop, get, is_empty, put, same, write
from bm.config.document import CannotEdit

TEXT = "# mine\nexport A = 'one'  # first\nB=two\nC=\"three\nB=no\"\n"


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("", "A", "A=9\n"),
        ("B=1", "A", "B=1\nA=9\n"),
        ("B=1\r\n", "A", "B=1\r\nA=9\r\n"),
        ("A=\n", "A", "A=9\n"),
        ("A=1 # note\r\nB=2\r\n", "A", "A=9 # note\r\nB=2\r\n"),
        ("A=1\nA=2\n", "A", "A=1\nA=9\n"),
        (TEXT, "A", TEXT.replace("'one'", "9")),
        (TEXT, "B", TEXT.replace("two", "9")),
        (TEXT, "no", TEXT + "no=9\n"),
    ],
)
def test_a_variable_is_put_in_its_line_or_at_the_end(before: str, name: str, after: str) -> None:
    assert put(before, (name,), "9") == after


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("A=1", "A", ""),
        ("A=1\nB=2\nA=3\n", "A", "B=2\n"),
        (TEXT, "A", TEXT.replace("export A = 'one'  # first\n", "")),
        (TEXT, "C", TEXT[: TEXT.index("C=")]),
        (TEXT, "D", TEXT),
    ],
)
def test_a_variable_goes_with_its_lines(before: str, name: str, after: str) -> None:
    assert drop(before, (name,)) == after


def test_values_are_told_as_they_are_written() -> None:
    assert get(TEXT, ("A",)) == "'one'" and get(TEXT, ("B",)) == "two" and get(TEXT, ("D",)) is None
    assert same("'one'", '"one"') and same("one", "one ") and not same("one", "two")
    assert write("http://127.0.0.1:8094") == "http://127.0.0.1:8094" and write("two words") == "'two words'"
    assert is_empty(" \n", ()) and not is_empty("# mine\n", ()) and not is_empty("", ("A",))


def test_a_value_that_no_quotes_hold_is_refused() -> None:
    with pytest.raises(CannotEdit, match="quotes"):
        write("it's")
