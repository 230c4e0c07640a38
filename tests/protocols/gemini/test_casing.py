"""Two spellings of one name."""

from __future__ import annotations

import pytest

from bm.protocols.gemini.casing import camel, member, snake


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("inlineData", "inline_data"),
        ("text", "text"),
        ("topK", "top_k"),
        ("parametersJsonSchema", "parameters_json_schema"),
    ],
)
def test_names_in_both_spellings(one: str, other: str) -> None:
    assert (snake(one), camel(other), camel(one), snake(other)) == (other, one, one, other)


def test_a_member_is_found_in_either_spelling_and_null_is_none() -> None:
    assert member({"topK": 1}, "topK") == member({"top_k": 1}, "topK") == 1
    assert member({"topK": None, "top_k": 0}, "topK") == 0
    assert member({}, "topK") is None
