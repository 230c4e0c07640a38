"""A sample fits its schema."""

from __future__ import annotations

from typing import Any

import pytest

from bm.simulator.sample import sample

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "nick": {"type": "string"}},
    "required": ["name", "age"],
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "simulated"),
        ({"type": "INTEGER"}, 1),
        ({"type": ["boolean", "null"]}, True),
        ({"enum": ["red", "blue"]}, "red"),
        ({"const": 7}, 7),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, 1.5),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        (PERSON, {"name": "simulated", "age": 1}),
        ({"$ref": "#/$defs/P", "$defs": {"P": PERSON}}, {"name": "simulated", "age": 1}),
        ({"type": "object"}, {}),
        (None, "simulated"),
    ],
)
def test_the_obvious_value_of_a_schema(schema: Any, value: Any) -> None:
    assert sample(schema) == value


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    node: dict[str, Any] = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#"}}}
    assert "next" in sample(node)
