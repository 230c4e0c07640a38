"""Schemas of structured output."""

from __future__ import annotations

from bm.protocols.anthropic.schema import closed


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {"type": "object", "properties": {"anyOf": {"type": "string"}, "properties": {"type": "string"}}}
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
