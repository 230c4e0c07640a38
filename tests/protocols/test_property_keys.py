"""Property keys that Anthropic refuses."""

from __future__ import annotations

import pytest

from bm.chat.parts import Json, ToolCall
from bm.chat.request import ChatRequest, Tool, Turn
from bm.protocols.property_keys import with_legal_keys


def request(schema: Json | None, *calls: ToolCall) -> ChatRequest:
    return ChatRequest(
        protocol="openai-chat", model="m", turns=(Turn("assistant", calls),), tools=(Tool("find", schema=schema),)
    )


def properties(*names: str) -> Json:
    return {"properties": {name: {"type": "string"} for name in names}}


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (("$filter", "top"), {"_filter": "$filter"}),
        (("filter[id]", "filter_id_"), {"filter_id__2f0f4c66": "filter[id]"}),
        (("größe",), {"gr__e": "größe"}),
        (("",), {"_": ""}),
        (("a" * 65,), None),
    ],
)
def test_each_key_becomes_a_legal_one(names: tuple[str, ...], keys: dict[str, str] | None) -> None:
    changed, made = with_legal_keys(request(properties(*names)), "anthropic")
    schema = changed.tools[0].schema
    assert schema is not None
    assert all(name.isascii() and 0 < len(name) <= 64 and "[" not in name for name in schema["properties"])
    assert len(schema["properties"]) == len(names)
    assert keys is None or [*made["find"].values()] == [*keys.values()]
    assert keys is None or {name[:7] for name in made["find"]} == {name[:7] for name in keys}


def test_required_names_and_earlier_calls_follow() -> None:
    schema = {**properties("$filter", "top"), "required": ["$filter", "top"]}
    call = ToolCall("c", "find", {"$filter": "x", "top": 1}, raw='{"$filter":"x","top":1}')
    changed, _ = with_legal_keys(request(schema, call, ToolCall("d", "other", {"$filter": 1})), "anthropic")
    assert changed.tools[0].schema == {
        "type": "object",
        "properties": {"_filter": {"type": "string"}, "top": {"type": "string"}},
        "required": ["_filter", "top"],
    }
    first, other = changed.turns[0].parts
    assert first == ToolCall("c", "find", {"_filter": "x", "top": 1}, raw='{"_filter":"x","top":1}')
    assert other == ToolCall("d", "other", {"$filter": 1})


def test_keys_in_alternatives_at_the_root_are_renamed_too() -> None:
    changed, keys = with_legal_keys(request({"anyOf": [properties("$a"), properties("b")]}), "anthropic")
    assert keys == {"find": {"_a": "$a"}}
    assert changed.tools[0].schema == {
        "type": "object",
        "properties": {"_a": {"type": "string"}, "b": {"type": "string"}},
    }


@pytest.mark.parametrize("schema", [None, {}, properties("a.b", "c-d", "E_1")])
def test_legal_keys_stay(schema: Json | None) -> None:
    given = request(schema)
    assert with_legal_keys(given, "anthropic") == (given, {})


def test_other_protocols_take_any_key() -> None:
    given = request(properties("$filter"))
    assert with_legal_keys(given, "gemini") == (given, {})
