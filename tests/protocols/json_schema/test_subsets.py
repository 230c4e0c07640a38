"""JSON Schemas as far as each upstream takes them: what changes, what stays, and that cleaning ends and settles."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.protocols.json_schema.openapi import openapi_schema
from bm.protocols.json_schema.subsets import (
    basic_schema,
    closed_schema,
    gemini_schema,
    is_closable,
    is_strict,
    object_schema,
    openai_schema,
)
from bm.providers.families import families
from tests.protocols.json_schema.schemas import SCHEMAS

A = {"type": "string"}
GEMINI: list[tuple[str, Any, Any]] = [
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
    (
        "a not that would exclude more than was said goes, and so does an if that would always hold",
        {
            "type": "object",
            "properties": {"a": A, "b": {"not": {"type": "null"}}},
            "not": {"type": "object", "required": ["x"]},
            "if": {"required": ["x"]},
            "then": {"properties": {"a": A}},
        },
        {
            "type": "object",
            "properties": {"a": A, "b": {"not": {"type": "null"}}},
            "then": {"type": "object", "properties": {"a": A}},
        },
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


@pytest.mark.parametrize(("schema", "expected"), [row[1:] for row in GEMINI], ids=[row[0] for row in GEMINI])
def test_gemini_schema(schema: Any, expected: Any) -> None:
    before = copy.deepcopy(schema)
    assert gemini_schema(schema) == expected
    assert schema == before, "the client's schema was changed"


def test_gemini_schema_returns_a_clean_schema_itself() -> None:
    schema = {"type": "object", "properties": {"a": A}, "required": ["a"], "additionalProperties": False}
    assert gemini_schema(schema) is schema


@pytest.mark.parametrize("clean", [gemini_schema, openapi_schema])
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


@pytest.mark.parametrize("clean", [gemini_schema, openapi_schema])
def test_a_schema_nested_beyond_reason_is_cut(clean: Any) -> None:
    schema: dict[str, Any] = A
    for _ in range(300):
        schema = {"type": "object", "properties": {"x": schema}}
    assert clean(clean(schema)) == clean(schema)


@given(SCHEMAS)
def test_cleaning_ends_settles_and_changes_nothing_of_the_clients(schema: Any) -> None:
    before = copy.deepcopy(schema)
    for clean in (gemini_schema, openapi_schema):
        once = clean(schema)
        assert clean(once) == once
    assert schema == before


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.sampled_from([A, {"type": "integer"}, {}])))
def test_names_of_properties_are_never_keywords(properties: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": properties}
    assert list(gemini_schema(schema).get("properties", {})) == list(properties)
    assert list(openapi_schema(schema).get("properties", {})) == list(properties)


WITH_A = {"type": "object", "properties": {"a": {"type": "string"}, "x": {}}, "required": ["a", "x"]}
WITH_B = {"type": "object", "properties": {"b": {"type": "string"}, "x": {}}, "required": ["b", "x"]}


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object"}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"type": ["object", "null"], "properties": {}}, {"type": "object", "properties": {}}),
        (WITH_A, WITH_A),
    ],
)
def test_the_root_is_an_object(schema: Any, written: Any) -> None:
    assert object_schema(schema) == written


@pytest.mark.parametrize(("word", "required"), [("anyOf", ["x"]), ("oneOf", ["x"]), ("allOf", ["a", "x", "b"])])
def test_alternatives_at_the_root_are_merged(word: str, required: list[str]) -> None:
    schema = {word: [WITH_A, WITH_B], "description": "d"}
    before = copy.deepcopy(schema)
    written = object_schema(schema)
    assert set(written["properties"]) == {"a", "b", "x"}
    assert written["required"] == required
    said = "" if word == "allOf" else f'\n\n{{{word}: [{{"required":["a","x"]}},{{"required":["b","x"]}}]}}'
    assert written["type"] == "object" and written["description"] == "d" + said
    assert word not in written
    assert schema == before


def test_alternatives_that_gemini_takes_nowhere_stand_in_the_description() -> None:
    schema = {**WITH_A, "anyOf": [{"required": ["y"]}, {"required": ["z"]}]}
    written = gemini_schema(schema)
    assert "anyOf" not in written and '"required":["z"]' in written["description"]


def test_alternatives_below_the_root_stay() -> None:
    schema = {"type": "object", "properties": {"v": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    assert object_schema(schema) is schema


def test_a_reference_at_the_root_is_followed() -> None:
    schema = {"$ref": "#/$defs/A", "$defs": {"A": WITH_A}}
    assert object_schema(schema) == {**WITH_A, "$defs": {"A": WITH_A}}
    assert object_schema({"$ref": "#/$defs/none"}) == {"type": "object", "$ref": "#/$defs/none"}


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {"type": "object", "properties": {"anyOf": {"type": "string"}, "properties": {"type": "string"}}}
    assert object_schema(schema) == schema


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


def test_closing_leaves_properties_that_are_called_like_keywords() -> None:
    schema = {"type": "object", "properties": {"anyOf": {"type": "string"}, "properties": {"type": "string"}}}
    assert closed_schema(schema)["properties"] == schema["properties"]


KEYWORDS = frozenset(families()["claude-opus-5-5"].takes["output_keywords"])


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        (
            {"type": "integer", "description": "A number", "minimum": 1, "maximum": 10},
            {"type": "integer", "description": "A number\n\n{minimum: 1, maximum: 10}"},
        ),
        (
            {"type": "string", "minLength": 2, "format": "email"},
            {"type": "string", "format": "email", "description": "{minLength: 2}"},
        ),
        ({"type": "string", "format": "iban"}, {"type": "string", "description": "{format: iban}"}),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
        ),
        ({"type": "array", "minItems": 3}, {"type": "array", "description": "{minItems: 3}"}),
        ({"$schema": "x", "oneOf": [{"type": "null"}]}, {"anyOf": [{"type": "null"}]}),
        (
            {"type": "object", "properties": {"minimum": {"type": "number", "minimum": 0}}},
            {
                "type": "object",
                "properties": {"minimum": {"type": "number", "description": "{minimum: 0}"}},
                "additionalProperties": False,
            },
        ),
    ],
)
def test_keywords_that_claude_does_not_take_move_into_the_description(schema: Any, closed: Any) -> None:
    assert closed_schema(schema, KEYWORDS) == closed


@pytest.mark.parametrize(
    ("schema", "closable"),
    [
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"type": "string"}}}, True),
        ({"type": "object", "additionalProperties": {"type": "number"}}, False),
        ({"$ref": "#/$defs/d", "$defs": {"d": {"properties": {"next": {"$ref": "#/$defs/d"}}}}}, False),
        ({"type": "object", "properties": {"next": {"$ref": "#"}}}, False),
        (None, True),
    ],
)
def test_what_can_be_closed(schema: Any, closable: bool) -> None:
    assert is_closable(schema) is closable


def test_structured_output_closes_every_object() -> None:
    schema = {
        "type": "object",
        "properties": {"list": {"type": "array", "items": {"type": "object", "properties": {}}}},
        "$defs": {"d": {"anyOf": [{"type": "object"}, {"type": "null"}]}},
        "enum": [{"type": "object"}],
    }
    assert closed_schema(schema) == {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"type": "object", "properties": {}, "additionalProperties": False}}
        },
        "$defs": {"d": {"anyOf": [{"type": "object", "additionalProperties": False}, {"type": "null"}]}},
        "enum": [{"type": "object"}],
        "additionalProperties": False,
    }
    assert "additionalProperties" not in schema


@pytest.mark.parametrize(
    ("schema", "taken"),
    [
        (None, {"type": "object", "properties": {}}),
        ({"type": "object"}, {"type": "object", "properties": {}}),
        ({"properties": {"q": {"type": "string"}}}, {"type": "object", "properties": {"q": {"type": "string"}}}),
        ({"type": "object", "anyOf": [{"required": ["id"]}]}, {"type": "object", "properties": {}, "required": ["id"]}),
        (
            {"properties": {"a": {"type": "array"}}},
            {"type": "object", "properties": {"a": {"type": "array", "items": {}}}},
        ),
        (
            {"properties": {"x": {"type": "string", "anyOf": [{"minLength": 1}, {"enum": [""]}]}}},
            {
                "type": "object",
                "properties": {"x": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "string", "enum": [""]}]}},
            },
        ),
    ],
)
def test_what_openai_takes_as_arguments(schema: Any, taken: Any) -> None:
    assert openai_schema(schema) == taken


def test_a_schema_that_openai_takes_stays_itself() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert openai_schema(schema) is schema


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {}}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
    ],
)
def test_which_schema_strict_mode_takes(schema: Any, strict: bool) -> None:
    assert is_strict(schema) is strict
