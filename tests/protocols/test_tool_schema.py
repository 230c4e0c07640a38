"""Tool schemas for Gemini: what is touched, what is left alone, and that cleaning ends and settles."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bm.protocols.tool_schema import light, simplified

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


SIMPLE: list[tuple[str, Any, Any]] = [
    ("a type or null is nullable", {"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
    (
        "several types are branches",
        {"type": ["string", "integer"]},
        {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
    ),
    (
        "numbers are not enumerated as strings",
        {"type": ["integer", "null"], "enum": [1, 2, None]},
        {"type": "INTEGER", "nullable": True, "description": "(one of: [1,2])"},
    ),
    (
        "references are opened",
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": A}},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
    ),
    (
        "a cycle is cut",
        {
            "$ref": "#/$defs/N",
            "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}, "required": ["n"]}},
        },
        {
            "type": "OBJECT",
            "properties": {"n": {"description": "(any value, nested too deeply to describe)"}},
            "required": ["n"],
        },
    ),
    ("oneOf is anyOf", {"oneOf": [A, {"type": "integer"}]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
    (
        "a branch or null is nullable",
        {"anyOf": [A, {"type": "null"}], "description": "d"},
        {"type": "STRING", "nullable": True, "description": "d"},
    ),
    (
        "anyOf has no neighbours",
        {"anyOf": [A, {"type": "integer", "description": "n"}], "description": "d"},
        {"anyOf": [{"type": "STRING", "description": "d"}, {"type": "INTEGER", "description": "n"}]},
    ),
    (
        "a root of several objects is one object",
        {
            "anyOf": [
                {"type": "object", "properties": {"a": A, "b": A}, "required": ["a", "b"]},
                {"type": "object", "properties": {"a": A}, "required": ["a"]},
            ]
        },
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}}, "required": ["a"]},
    ),
    (
        "a tuple is an array of either",
        {"type": "array", "prefixItems": [A, {"type": "integer"}]},
        {"type": "ARRAY", "items": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}, "minItems": 2, "maxItems": 2},
    ),
    (
        "more than 0 is at least 1 for integers",
        {"type": "integer", "exclusiveMinimum": 0},
        {"type": "INTEGER", "minimum": 1},
    ),
    (
        "and a hint for numbers",
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "NUMBER", "description": "(exclusiveMinimum: 0)"},
    ),
    (
        "an unknown format is a hint",
        {"type": "string", "format": "email", "description": "d"},
        {"type": "STRING", "description": "d (format: email)"},
    ),
    ("a known one stays", {"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
    ("an array has items", {"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
    (
        "an object without properties has no type",
        {"type": "object", "properties": {"o": {"type": "object"}}},
        {"type": "OBJECT", "properties": {"o": {"description": "(any JSON object)"}}},
    ),
    (
        "additionalProperties go",
        {"type": "object", "properties": {"a": A}, "additionalProperties": False},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
    ),
    ("the same enum value is named once", {"enum": ["a", "a", ""]}, {"type": "STRING", "enum": ["a"]}),
    (
        "items that are false describe nothing",
        {"type": "array", "items": False},
        {"type": "ARRAY", "items": {"type": "STRING"}},
    ),
    (
        "branches that only require something go",
        {"type": "object", "properties": {"a": A}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
    ),
]


@pytest.mark.parametrize(("schema", "expected"), [row[1:] for row in SIMPLE], ids=[row[0] for row in SIMPLE])
def test_simplified(schema: Any, expected: Any) -> None:
    before = copy.deepcopy(schema)
    assert simplified(schema) == expected
    assert schema == before, "the client's schema was changed"


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


def test_shared_references_do_not_multiply_without_end() -> None:
    defs: dict[str, Any] = {
        f"L{n}": {"type": "object", "properties": {k: {"$ref": f"#/$defs/L{n + 1}"} for k in "abcd"}} for n in range(15)
    }
    defs["L15"] = A
    assert len(str(simplified({"$ref": "#/$defs/L0", "$defs": defs}))) < 1_000_000


@pytest.mark.parametrize("clean", [light, simplified])
def test_a_schema_nested_beyond_reason_is_cut(clean: Any) -> None:
    schema: dict[str, Any] = A
    for _ in range(300):
        schema = {"type": "object", "properties": {"x": schema}}
    assert clean(clean(schema)) == clean(schema)


NAMES = st.sampled_from(["a", "b", "type", "properties", "$ref", "items", "title", "anyOf", "required"])
POINTERS = st.sampled_from(
    ["#", "#/$defs/a", "#/$defs/b", "#/definitions/a", "#/properties/a", "#/nowhere", "other.json"]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "x", "y"]))
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null", "STRING", "int", "wrong"])


def schemas_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    children = st.one_of(inner, st.booleans())
    named = st.dictionaries(NAMES, children, max_size=3)
    listed = st.lists(children, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(TYPES, st.lists(TYPES, max_size=3)),
            "properties": named,
            "$defs": named,
            "definitions": named,
            "items": st.one_of(children, listed),
            "prefixItems": listed,
            "anyOf": listed,
            "oneOf": listed,
            "allOf": listed,
            "$ref": POINTERS,
            "required": st.one_of(st.lists(NAMES, max_size=3), st.booleans()),
            "enum": st.lists(SCALARS, max_size=3),
            "const": SCALARS,
            "nullable": st.booleans(),
            "description": st.sampled_from(["", "d"]),
            "title": st.just("t"),
            "default": SCALARS,
            "format": st.sampled_from(["email", "date-time", "int32"]),
            "exclusiveMinimum": st.one_of(st.integers(-2, 2), st.booleans()),
            "minimum": st.integers(-2, 2),
            "minItems": st.integers(0, 2),
            "uniqueItems": st.booleans(),
            "not": children,
            "additionalProperties": children,
        },
    )


SCHEMAS = st.recursive(schemas_of(st.just({"type": "string"})), schemas_of, max_leaves=4)


@settings(max_examples=120, deadline=None)
@given(SCHEMAS)
def test_cleaning_ends_settles_and_changes_nothing_of_the_clients(schema: Any) -> None:
    before = copy.deepcopy(schema)
    for clean in (light, simplified):
        once = clean(schema)
        assert clean(once) == once
    assert schema == before


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=5), st.sampled_from([A, {"type": "integer"}, {}])))
def test_names_of_properties_are_never_keywords(properties: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": properties}
    assert list(light(schema).get("properties", {})) == list(properties)
    assert list(simplified(schema).get("properties", {})) == list(properties)


@settings(max_examples=60, deadline=None)
@given(SCHEMAS)
def test_the_subset_holds_only_what_it_may(schema: Any) -> None:
    def walk(node: Any) -> None:
        assert "$ref" not in node and "allOf" not in node and "oneOf" not in node
        assert isinstance(node.get("type", ""), str)
        assert all(isinstance(value, str) for value in node.get("enum", []))
        if "anyOf" in node:
            assert node.keys() == {"anyOf"}
        for child in [
            *node.get("properties", {}).values(),
            *node.get("anyOf", []),
            *([node["items"]] if "items" in node else []),
        ]:
            walk(child)

    walk(simplified(schema))
