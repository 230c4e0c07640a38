"""What is put right in one level of a schema, and where pointers lead."""

from __future__ import annotations

from typing import Any

import pytest

from bm.protocols.json_schema.repair import all_of_merged, merge, repaired, resolve

A = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (None, {}),
        (True, {}),
        ([], {}),
        ("string", A),
        ("nonsense", {}),
        ({"type": "dict", "properties": {}}, {"type": "object", "properties": {}}),
        ({"type": ["string", "STRING"]}, A),
        ({"type": "nonsense"}, {}),
        ({"properties": None, "anyOf": {}, "description": 7, "title": None}, {}),
        ({"items": [A, A]}, {"type": "array", "prefixItems": [A, A]}),
        ({"items": []}, {}),
        ({"items": A}, {"type": "array", "items": A}),
        ({"const": None}, {"enum": [None], "type": "null"}),
        ({"const": [1]}, {"enum": [[1]]}),
        ({"type": "string", "enum": "a"}, A),
        ({"type": "string", "required": True}, A),
        (
            {"type": "object", "required": ["a", 7], "properties": {"a": A}},
            {"type": "object", "properties": {"a": A}, "required": ["a"]},
        ),
        ({"a": A, "$b": {"$ref": "#"}}, {"type": "object", "properties": {"a": A, "$b": {"$ref": "#"}}}),
        ({"items": A, "b": A}, {"type": "array", "items": A, "b": A}),
    ],
    ids=str,
)
def test_a_level_is_repaired(schema: Any, expected: Any) -> None:
    assert repaired(schema) == expected


ROOT: dict[str, Any] = {"$defs": {"a/b": A, "c~d": A, "e f": A}, "definitions": {"old": A}, "anyOf": [A], "title": "t"}


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("#", ROOT),
        ("#/$defs/a~1b", A),
        ("#/$defs/c~0d", A),
        ("#/$defs/e%20f", A),
        ("#/definitions/old", A),
        ("#/anyOf/0", A),
        ("#/anyOf/1", None),
        ("#/anyOf/x", None),
        ("#/title", None),
        ("#/title/x", None),
        ("#anchor", None),
        ("https://a.example/schema.json", None),
        (7, None),
    ],
)
def test_a_pointer_leads_to_a_schema_or_nowhere(pointer: Any, found: Any) -> None:
    assert resolve(ROOT, pointer) == found


def test_the_first_of_two_schemas_wins_and_names_are_united() -> None:
    first = {"title": "one", "properties": {"a": A}, "required": ["a"]}
    second = {"title": "two", "type": "object", "properties": {"a": {}, "b": A}, "required": ["b", "a"]}
    assert merge(first, second) == {
        "title": "one",
        "type": "object",
        "properties": {"a": A, "b": A},
        "required": ["a", "b"],
    }


def test_branches_that_refer_to_themselves_are_merged_once() -> None:
    root: dict[str, Any] = {"$defs": {"N": {"title": "n", "allOf": [{"$ref": "#/$defs/N"}, {"type": "object"}]}}}
    merged, followed = all_of_merged({"allOf": [{"$ref": "#/$defs/N"}]}, root, frozenset())
    assert merged == {"title": "n", "type": "object"}
    assert followed == {"#/$defs/N"}
