"""One entry of a YAML list comes, changes or goes, and no other line does."""

from __future__ import annotations

import pytest

from bm.clients.yaml_list import drop, get, is_empty, put, same, write
from bm.config.document import CannotEdit

KEY = ("model_id", "bm")
TEXT = "# mine\n- model_id: a\n  x: 1\n\n- model_id: 'bm'\n  x: 2\n# the last\n- model_id: c\n"
ENTRY = write({"model_id": "bm", "vision": True})


def test_an_entry_is_put_in_the_place_of_the_old_one_or_at_the_end() -> None:
    assert put("", KEY, ENTRY) == "- model_id: bm\n  vision: true\n"
    assert put("- model_id: a", KEY, ENTRY) == "- model_id: a\n- model_id: bm\n  vision: true\n"
    assert put("- a: b\r\n", KEY, ENTRY) == "- a: b\r\n- model_id: bm\r\n  vision: true\r\n"
    assert put(TEXT, KEY, ENTRY) == TEXT.replace("- model_id: 'bm'\n  x: 2", ENTRY)


def test_an_entry_goes_with_its_lines() -> None:
    assert drop(TEXT, KEY) == TEXT.replace("- model_id: 'bm'\n  x: 2\n", "")
    assert drop(TEXT, ("model_id", "d")) == TEXT
    assert drop("- model_id: bm # mine\n  a: 1", KEY) == ""


@pytest.mark.parametrize("text", ["[]\n", "a: 1\n", "---\n- model_id: a\n", "- model_id: bm\n- model_id: bm\n"])
def test_what_is_no_plain_list_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        put(text, KEY, ENTRY)


def test_entries_are_told_as_they_are_written() -> None:
    assert get(TEXT, KEY) == "- model_id: 'bm'\n  x: 2" and get(TEXT, ("model_id", "d")) is None
    assert same("- a: 1\r\n  b: 2", "- a: 1\n  b: 2") and not same("- a: 1", "- a: 2")
    assert is_empty("\n", ()) and not is_empty("# mine\n", ()) and not is_empty("", KEY)
