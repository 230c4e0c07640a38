"""Fields in both spellings, and keys that are data."""

from __future__ import annotations

from typing import Any

import pytest
from google.genai import types

from bm.simulator.gemini_fields import MESSAGES, camel_keys, snake, unknown

REQUEST = "GenerateContentRequest"


@pytest.mark.parametrize(
    ("camel", "expected"), [("functionCall", "function_call"), ("topP", "top_p"), ("text", "text")]
)
def test_snake_case(camel: str, expected: str) -> None:
    assert snake(camel) == expected


def test_both_spellings_come_to_the_same() -> None:
    one = {"system_instruction": {"parts": [{"function_call": {"name": "a", "args": {"some_key": 1}}}]}}
    other = {"systemInstruction": {"parts": [{"functionCall": {"name": "a", "args": {"some_key": 1}}}]}}
    assert camel_keys(one, REQUEST) == camel_keys(other, REQUEST) == other


def test_names_of_properties_are_data() -> None:
    schema = {"properties": {"max_items": {"max_items": 1}, "anything": {"any_of": []}}}
    assert camel_keys(schema, "Schema") == {"properties": {"max_items": {"maxItems": 1}, "anything": {"anyOf": []}}}
    assert unknown(schema, "Schema") == []


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"contents": [{"parts": [{"text": "a"}]}]}, []),
        ({"foo": 1, "contents": [{"bar": 2}]}, [("", "foo"), ("contents[0]", "bar")]),
        ({"contents": [{"parts": [{"functionCall": {"args": {"foo": 1}}}]}]}, []),
        ({"contents": [{"parts": [{"functionResponse": {"response": {"$ref": "x"}}}]}]}, []),
    ],
)
def test_unknown_fields_are_found_where_they_are(body: dict[str, Any], faults: list[tuple[str, str]]) -> None:
    assert unknown(body, REQUEST) == faults


@pytest.mark.parametrize("message", ["Content", "Part", "Tool", "FunctionDeclaration", "GenerationConfig", "Schema"])
def test_every_field_of_the_sdk_is_known(message: str) -> None:
    fields = {field for field in getattr(types, message).model_fields}
    assert fields <= {snake(name) for name in MESSAGES[message]}
