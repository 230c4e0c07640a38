from __future__ import annotations

import copy
from typing import Any

import pytest

from bm.protocols.anthropic.schema import basic_schema, closed, object_schema

A = {"type": "object", "properties": {"a": {"type": "string"}, "x": {}}, "required": ["a", "x"]}
B = {"type": "object", "properties": {"b": {"type": "string"}, "x": {}}, "required": ["b", "x"]}


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object"}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"type": ["object", "null"], "properties": {}}, {"type": "object", "properties": {}}),
        (A, A),
    ],
)
def test_the_root_is_an_object(schema: Any, written: Any) -> None:
    assert object_schema(schema) == written


@pytest.mark.parametrize(("word", "required"), [("anyOf", ["x"]), ("oneOf", ["x"]), ("allOf", ["a", "x", "b"])])
def test_alternatives_at_the_root_are_merged(word: str, required: list[str]) -> None:
    schema = {word: [A, B], "description": "d"}
    before = copy.deepcopy(schema)
    written = object_schema(schema)
    assert set(written["properties"]) == {"a", "b", "x"}
    assert written["required"] == required
    assert written["type"] == "object" and written["description"] == "d"
    assert word not in written
    assert schema == before


def test_alternatives_below_the_root_stay() -> None:
    schema = {"type": "object", "properties": {"v": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    assert object_schema(schema) is schema


def test_a_reference_at_the_root_is_followed() -> None:
    schema = {"$ref": "#/$defs/A", "$defs": {"A": A}}
    assert object_schema(schema) == {**A, "$defs": {"A": A}}
    assert object_schema({"$ref": "#/$defs/none"}) == {"type": "object", "$ref": "#/$defs/none"}


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {"type": "object", "properties": {"anyOf": {"type": "string"}, "properties": {"type": "string"}}}
    assert object_schema(schema) == schema
    assert closed(schema)["properties"] == schema["properties"]


def test_structured_output_closes_every_object() -> None:
    schema = {
        "type": "object",
        "properties": {"list": {"type": "array", "items": {"type": "object", "properties": {}}}},
        "$defs": {"d": {"anyOf": [{"type": "object"}, {"type": "null"}]}},
        "enum": [{"type": "object"}],
    }
    assert closed(schema) == {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"type": "object", "properties": {}, "additionalProperties": False}}
        },
        "$defs": {"d": {"anyOf": [{"type": "object", "additionalProperties": False}, {"type": "null"}]}},
        "enum": [{"type": "object"}],
        "additionalProperties": False,
    }
    assert "additionalProperties" not in schema


def test_a_refused_schema_is_cut_down_to_what_everyone_knows() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "format": {"type": "string", "format": "uri", "pattern": "^x"},
            "list": {"type": "array", "items": {"type": "integer", "exclusiveMinimum": True}},
            "either": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]},
        },
        "required": ["format"],
    }
    written = basic_schema(schema)
    assert written["properties"]["format"] == {"type": "string"}
    assert written["properties"]["list"]["items"] == {"type": "integer"}
    assert {"type": "string"} in written["properties"]["either"]["anyOf"]
    assert (written["type"], written["required"]) == ("object", ["format"])
    assert "$schema" not in written
    assert basic_schema(None) == object_schema(None)
