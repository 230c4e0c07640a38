"""The OpenAPI subset: what a schema becomes in it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given

from bm.protocols.json_schema.openapi import openapi_schema
from tests.protocols.json_schema.schemas import SCHEMAS

A = {"type": "string"}
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
    ("a reference that is no pointer says nothing", {"allOf": [{"$ref": {}}, A]}, {"type": "STRING"}),
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
def test_openapi_schema(schema: Any, expected: Any) -> None:
    before = copy.deepcopy(schema)
    assert openapi_schema(schema) == expected
    assert schema == before, "the client's schema was changed"


def test_shared_references_do_not_multiply_without_end() -> None:
    defs: dict[str, Any] = {
        f"L{n}": {"type": "object", "properties": {k: {"$ref": f"#/$defs/L{n + 1}"} for k in "abcd"}} for n in range(15)
    }
    defs["L15"] = A
    assert len(str(openapi_schema({"$ref": "#/$defs/L0", "$defs": defs}))) < 1_000_000


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

    walk(openapi_schema(schema))
