"""Objects at the root, and what is left of a refused schema."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bm.chat.request import ChatRequest, Tool
from bm.protocols.object_schema import basic_schema, object_schema, with_basic_schemas

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


def test_the_tools_of_a_request_are_cut_down_alike() -> None:
    tool = Tool("run", schema={"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}})
    request = ChatRequest(protocol="openai-chat", model="m", turns=(), tools=(tool, Tool("bare")))
    written, bare = with_basic_schemas(request).tools
    assert (written.name, written.schema) == ("run", {"type": "object", "properties": {"a": {"type": "string"}}})
    assert bare == Tool("bare")
    assert request.tools[0] is tool
