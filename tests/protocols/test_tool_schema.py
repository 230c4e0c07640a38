"""Tool schemas for Gemini: what is touched, what is left alone, and that cleaning ends and settles."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.protocols.tool_schema import light, simplified
from tests.protocols.schemas import SCHEMAS

A = {"type": "string"}
LIGHT: list[tuple[str, Any, Any]] = [
    ("the dialect is not named", {"$schema": "https://json-schema.org/x", **A}, A),
    (
        "definitions become $defs, in pointers too",
        {"properties": {"a": {"$ref": "#/definitions/A"}}, "type": "object", "definitions": {"A": A}},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "type": "object", "$defs": {"A": A}},
    ),
    (
        "a property called definitions keeps its name in pointers",
        {
            "type": "object",
            "properties": {
                "definitions": {"type": "object", "properties": {"x": A}},
                "b": {"$ref": "#/properties/definitions"},
            },
        },
        {
            "type": "object",
            "properties": {
                "definitions": {"type": "object", "properties": {"x": A}},
                "b": {"$ref": "#/properties/definitions"},
            },
        },
    ),
    (
        "neighbours of a reference move beside an anyOf",
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A", "description": "d"}}, "$defs": {"A": A}},
        {
            "type": "object",
            "properties": {"a": {"anyOf": [{"$ref": "#/$defs/A"}], "description": "d"}},
            "$defs": {"A": A},
        },
    ),
    (
        "a reference to nothing is dropped",
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/B"}}},
        {"type": "object", "properties": {"a": {}}},
    ),
    ("true is any schema", {"type": "object", "properties": {"p": True}}, {"type": "object", "properties": {"p": {}}}),
    (
        "a property that is false, and its requirement, go",
        {"type": "object", "properties": {"p": False, "q": A}, "required": ["p", "q"]},
        {"type": "object", "properties": {"q": A}, "required": ["q"]},
    ),
    (
        "additionalProperties may be false",
        {"type": "object", "properties": {"a": A}, "additionalProperties": False},
        {"type": "object", "properties": {"a": A}, "additionalProperties": False},
    ),
    ("const is an enum of one", {"const": 3}, {"enum": [3], "type": "integer"}),
    ("an empty enum value goes", {"type": "string", "enum": ["", "a"]}, {"type": "string", "enum": ["a"]}),
    (
        "allOf is merged and the parent wins",
        {
            "type": "object",
            "properties": {"a": A},
            "allOf": [{"properties": {"a": {"type": "integer"}, "b": A}, "required": ["b"]}],
        },
        {"type": "object", "properties": {"a": A, "b": A}, "required": ["b"]},
    ),
    ("an array has items", {"type": "array"}, {"type": "array", "items": {}}),
    ("nullable is a type", {"type": "string", "nullable": True}, {"type": ["string", "null"]}),
    (
        "type names are lower case",
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
        {"type": "object", "properties": {"a": A}},
    ),
    ("a bare map of properties is an object", {"city": A}, {"type": "object", "properties": {"city": A}}),
    (
        "required on a property belongs to its parent",
        {"type": "object", "properties": {"a": {"type": "string", "required": True}}},
        {"type": "object", "properties": {"a": A}, "required": ["a"]},
    ),
    (
        "an object has no items",
        {"type": "object", "items": A, "properties": {"a": A}},
        {"type": "object", "properties": {"a": A}},
    ),
    (
        "Python's names of types are understood",
        {"type": "object", "properties": {"a": {"type": "int"}}},
        {"type": "object", "properties": {"a": {"type": "integer"}}},
    ),
    (
        "an unknown required name goes",
        {"type": "object", "properties": {"a": A}, "required": ["a", "z"]},
        {"type": "object", "properties": {"a": A}, "required": ["a"]},
    ),
]


@pytest.mark.parametrize(("schema", "expected"), [row[1:] for row in LIGHT], ids=[row[0] for row in LIGHT])
def test_light(schema: Any, expected: Any) -> None:
    before = copy.deepcopy(schema)
    assert light(schema) == expected
    assert schema == before, "the client's schema was changed"


def test_light_returns_a_clean_schema_itself() -> None:
    schema = {"type": "object", "properties": {"a": A}, "required": ["a"], "additionalProperties": False}
    assert light(schema) is schema


@pytest.mark.parametrize("clean", [light, simplified])
def test_properties_may_be_called_like_keywords(clean: Any) -> None:
    names = [
        "properties",
        "title",
        "format",
        "$ref",
        "type",
        "cache_control",
        "default",
        "const",
        "definitions",
        "enum",
    ]
    schema = {"type": "object", "properties": {name: A for name in names}, "required": names}
    cleaned = clean(schema)
    assert list(cleaned["properties"]) == names
    assert cleaned["required"] == names


@pytest.mark.parametrize("clean", [light, simplified])
def test_a_schema_nested_beyond_reason_is_cut(clean: Any) -> None:
    schema: dict[str, Any] = A
    for _ in range(300):
        schema = {"type": "object", "properties": {"x": schema}}
    assert clean(clean(schema)) == clean(schema)


@given(SCHEMAS)
def test_cleaning_ends_settles_and_changes_nothing_of_the_clients(schema: Any) -> None:
    before = copy.deepcopy(schema)
    for clean in (light, simplified):
        once = clean(schema)
        assert clean(once) == once
    assert schema == before


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.sampled_from([A, {"type": "integer"}, {}])))
def test_names_of_properties_are_never_keywords(properties: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": properties}
    assert list(light(schema).get("properties", {})) == list(properties)
    assert list(simplified(schema).get("properties", {})) == list(properties)
