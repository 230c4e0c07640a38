"""Schemas of every kind, well-formed and not, for properties of what cleans them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

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
