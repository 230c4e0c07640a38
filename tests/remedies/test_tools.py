from __future__ import annotations

from typing import Any

import pytest

from bm.names import ProtocolName
from bm.protocols.tools import legal_call_id
from bm.remedies.tools import digests, functions
from tests.remedies.heal import CHAT, CLAUDE, GEMINI, RESPONSES, done


def chat_tool(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def test_functions_are_found_in_every_protocol() -> None:
    declared = {"functionDeclarations": [{"name": "a"}, {"name": "b"}]}
    assert [each["name"] for each in functions({"tools": [declared, chat_tool("c"), {"name": "d"}]})] == list("abcd")


@pytest.mark.parametrize(
    ("protocol", "choice", "free"),
    [
        (CLAUDE, {"type": "any"}, {"type": "auto"}),
        (CHAT, "required", "auto"),
        (CHAT, {"type": "function", "function": {"name": "f"}}, "auto"),
        (RESPONSES, {"type": "function", "name": "f"}, "auto"),
        (CHAT, "auto", None),
        (CLAUDE, {"type": "none"}, None),
    ],
)
def test_the_choice_is_left_to_the_model(protocol: ProtocolName, choice: Any, free: Any) -> None:
    body = {"tool_choice": choice, "messages": [{"role": "user", "content": "hi"}]}
    changed = done("choose_freely", body, protocol=protocol)
    assert (changed["tool_choice"] if changed else None) == free


def test_geminis_choice_is_left_to_the_model() -> None:
    config = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}
    body = {"toolConfig": config, "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    changed = done("choose_freely", body, protocol=GEMINI)
    assert changed["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}
    assert "Call the tool f" in changed["contents"][0]["parts"][1]["text"]


def test_a_named_tool_is_offered_alone() -> None:
    body = {"tools": [chat_tool("f"), chat_tool("g")], "tool_choice": {"type": "function", "function": {"name": "g"}}}
    assert done("choose_by_word", body) == {"tools": [chat_tool("g")], "tool_choice": "required"}


def test_a_choice_goes_only_where_there_are_no_tools() -> None:
    assert done("drop_choice", {"tool_choice": "auto"}) == {}
    assert done("drop_choice", {"tool_choice": "auto", "tools": [chat_tool("f")]}) is None


def test_no_tool_is_strict() -> None:
    body = {"tools": [chat_tool("f", strict=True), chat_tool("g")]}
    assert done("not_strict", body) == {"tools": [chat_tool("f", strict=False), chat_tool("g")]}


def test_tools_that_were_called_are_kept() -> None:
    called = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "c"}}]}
    body = {"tools": [chat_tool(name) for name in "abc"], "messages": [called]}
    assert [each["name"] for each in functions(done("fewer_tools", body, 2))] == ["a", "c"]
    assert done("fewer_tools", body, 3) is None


def test_only_the_refused_schemas_are_simplified() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": "["}}}
    body = {"tools": [chat_tool("f", parameters=schema), chat_tool("g", parameters=schema)]}
    refused = digests(body)["f"]
    changed = done("simplify_schemas", body, refused)
    assert changed["tools"][1] == body["tools"][1]
    assert "pattern" not in changed["tools"][0]["function"]["parameters"]["properties"]["x"]
    assert done("simplify_schemas", {"tools": [chat_tool("g", parameters=schema)]}, refused) is None


def test_gemini_gets_its_own_kind_of_schema() -> None:
    body = {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}]}
    changed = done("simplify_schemas", body, *digests(body).values(), protocol=GEMINI)
    assert changed["tools"][0]["functionDeclarations"][0].keys() == {"name", "parameters"}


def test_geminis_schemas_become_json_schema() -> None:
    both = {"name": "f", "parameters": {"type": "OBJECT"}}
    body = {"tools": [{"functionDeclarations": [both, both | {"parametersJsonSchema": {"type": "object"}}]}]}
    declared = done("as_json_schema", body, protocol=GEMINI)["tools"][0]["functionDeclarations"]
    assert declared == [{"name": "f", "parametersJsonSchema": {"type": "object"}}] * 2


def test_objects_get_their_properties() -> None:
    body = {"tools": [chat_tool("f", parameters={"type": "object", "properties": {"x": {"type": "object"}}})]}
    parameters = done("add_properties", body)["tools"][0]["function"]["parameters"]
    assert parameters["properties"]["x"] == {"type": "object", "properties": {}}
    bare = done("add_properties", {"tools": [chat_tool("f")]})
    assert bare["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


def test_a_type_beside_branches_moves_into_them() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "anyOf": [{"enum": ["a"]}, {"type": "null"}]}}}
    changed = done("type_into_branches", {"tools": [chat_tool("f", parameters=schema)]})
    branches = {"anyOf": [{"enum": ["a"], "type": "string"}, {"type": "null"}]}
    assert changed["tools"][0]["function"]["parameters"]["properties"]["x"] == branches


@pytest.mark.parametrize(("exact", "most"), [(9, None), (None, 40)])
def test_calls_and_results_keep_one_id(exact: int | None, most: int | None) -> None:
    name = "call:" + "x" * 60
    calls = {"role": "assistant", "tool_calls": [{"id": name, "function": {"name": "f"}}]}
    body = {"messages": [calls, {"role": "tool", "tool_call_id": name, "content": "r"}]}
    asked, answered = done("shorten_call_ids", body, exact, most)["messages"]
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"]
    assert len(answered["tool_call_id"]) == exact or len(answered["tool_call_id"]) <= (most or 0)


def test_the_ids_of_items_are_not_those_of_calls() -> None:
    body = {"input": [{"type": "function_call", "id": "fc:1", "call_id": "a:b"}]}
    changed = done("shorten_call_ids", body, None, 64, protocol=RESPONSES)
    assert changed == {"input": [{"type": "function_call", "id": "fc:1", "call_id": legal_call_id("a:b")}]}


def test_arguments_as_objects_and_as_text() -> None:
    def calling(arguments: Any) -> dict[str, Any]:
        call = {"id": "1", "function": {"name": "f", "arguments": arguments}}
        return {"messages": [{"role": "assistant", "tool_calls": [call]}]}

    assert done("arguments_as_objects", calling('{"a":1}')) == calling({"a": 1})
    assert done("arguments_as_objects", calling("oh")) == calling({"input": "oh"})
    assert done("arguments_as_objects", calling({"a": 1}), "text") == calling('{"a":1}')
    assert done("arguments_as_objects", calling({"a": 1})) is None


def test_a_hosted_tool_is_left_out() -> None:
    body = {"tools": [{"type": "web_search"}], "tool_choice": "auto"}
    assert done("drop_tool", body, "web_search", protocol=RESPONSES) == {}
    assert done("drop_tool", {"tools": [{"type": "custom"}]}, "custom", protocol=RESPONSES) is None
