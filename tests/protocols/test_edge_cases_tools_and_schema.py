"""Tools, their names and their schemas: what holds for every pair of protocols."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from bm.chat.events import Event, Finish
from bm.chat.parts import Json
from bm.chat.response import fold
from bm.gateway.call import new_id
from bm.names import ProtocolName
from bm.protocols.codec import IdFactory
from bm.protocols.registry import CODECS
from bm.protocols.sanitize import sanitize
from bm.protocols.tools import RULES, restore, with_legal_names
from bm.protocols.translate import EventFilter
from bm.providers.capabilities import capabilities_of
from tests.protocols.pair import CLIENTS, GROQ, OPENAI, hello, reported, sent, streamed, whole

GEMINI_3 = "gemini-3.8-flash"
MODELS: dict[ProtocolName, str] = {
    "anthropic": "claude-opus-5",
    "openai-chat": "gpt-5.4",
    "openai-responses": "gpt-5.4",
    "gemini": GEMINI_3,
}
LONG = "mcp__server.with.dots/and spaces__" + "very_" * 11 + "x"


def offering(*names: str, schema: Json | None = None) -> list[Json]:
    return [{"name": name, "input_schema": schema or {"type": "object", "properties": {}}} for name in names]


def declared(protocol: ProtocolName, body: Json) -> list[str]:
    """The names of the tools in an upstream's request."""
    match protocol:
        case "gemini":
            return [each["name"] for each in body["tools"][0]["functionDeclarations"]]
        case "openai-chat":
            return [tool["function"]["name"] for tool in body["tools"]]
        case _:
            return [tool["name"] for tool in body["tools"]]


def parameters(schema: Json, model: str = GEMINI_3, *, simple: bool = False) -> Json:
    """The schema Gemini receives for a tool; `simple` is the second try."""
    request = hello("anthropic", tools=offering("f", schema=schema))
    capabilities = capabilities_of("gemini", OPENAI, model)
    if simple:
        capabilities = msgspec.structs.replace(capabilities, json_schema=False)
    body = CODECS["gemini"].encode_request(request, capabilities, model=model).body
    [declaration] = body["tools"][0]["functionDeclarations"]
    found: Json = declaration.get("parametersJsonSchema") or declaration.get("parameters") or {}
    return found


@pytest.mark.parametrize("target", ["gemini", "openai-chat", "openai-responses"])
def test_36_any_name_becomes_one_that_the_upstream_takes_and_comes_back(target: ProtocolName) -> None:
    history: list[Json] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": LONG, "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]},
    ]
    choice = {"type": "tool", "name": LONG}
    request = hello("anthropic", messages=history, tools=offering(LONG, "plain"), tool_choice=choice)
    renamed, back = with_legal_names(request, target)
    encoded = json.dumps(sent(request, target, MODELS[target]).body)
    [given, plain] = declared(target, json.loads(encoded))
    assert RULES[target].legal.fullmatch(given) and plain == "plain"
    assert LONG not in encoded and encoded.count(f'"{given}"') >= 3
    assert back == {given: LONG} and renamed.tools[0].name == given
    events = reported("openai-chat", [_chat_call(0, "c", given, "{}"), _chat_end("tool_calls")])
    shown = whole(request, [restore(event, back) for event in events])
    assert shown["content"][0]["name"] == LONG


def _chat_call(index: int, call_id: str, name: str, arguments: str) -> Json:
    call: Json = {"index": index, "function": {"arguments": arguments}}
    if call_id:
        call |= {"id": call_id, "type": "function"}
    if name:
        call["function"]["name"] = name
    return {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


def _chat_end(reason: str) -> Json:
    return {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses"])
def test_37_names_that_would_become_one_stay_two(target: ProtocolName) -> None:
    request = hello("anthropic", tools=offering("a.b", "a_b", "a/b"))
    renamed, back = with_legal_names(request, target)
    names = [tool.name for tool in renamed.tools]
    assert len(set(names)) == 3 and [back.get(name, name) for name in names] == ["a.b", "a_b", "a/b"]


def test_38_calls_that_gemini_does_not_name_get_ids_of_their_own() -> None:
    seen: set[str] = set()
    for _ in range(3):
        call = {"functionCall": {"name": "read-file", "args": {}}}
        chunk = {"candidates": [{"content": {"parts": [call, call]}, "finishReason": "STOP"}]}
        request = hello("anthropic")
        shown = whole(request, decoded_fresh(chunk))
        seen |= {block["id"] for block in shown["content"]}
    assert len(seen) == 6 and all(re.fullmatch(r"[a-zA-Z0-9_-]{17,64}", each) for each in seen)


def decoded_fresh(chunk: Json) -> list[Event]:
    """The events, with ids as the gateway makes them."""
    return list(CODECS["gemini"].decode_response(chunk, IdFactory(new_id)))


def test_39_a_result_is_named_by_its_call_and_not_by_the_calls_id() -> None:
    history: list[Json] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_01ABC", "name": "look-up", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01ABC", "content": "ok"}]},
    ]
    body = sent(hello("anthropic", messages=history), "gemini", "gemini-2.5-flash").body
    assert body["contents"][-1]["parts"][0]["functionResponse"]["name"] == "look-up"


@pytest.mark.parametrize("model", [GEMINI_3, "gemini-2.0-flash"])
def test_40_a_tool_without_arguments_is_declared_without_parameters(model: str) -> None:
    [declaration] = sent(hello("anthropic", tools=offering("f")), "gemini", model).body["tools"][0][
        "functionDeclarations"
    ]
    assert declaration == {"name": "f"}


@pytest.mark.parametrize("client", CLIENTS)
def test_40_a_call_without_arguments_has_an_empty_object(client: ProtocolName) -> None:
    events = reported("openai-chat", [_chat_call(0, "c", "f", ""), _chat_end("tool_calls")])
    shown = json.dumps(whole(hello(client), events))
    assert '"input": {}' in shown or '"arguments": "{}"' in shown or '"args": {}' in shown
    assert streamed(hello(client), events)


NODE: Json = {
    "type": "object",
    "properties": {"next": {"$ref": "#/$defs/node"}, "value": {"type": "string"}},
    "required": ["next"],
}


@pytest.mark.parametrize("simple", [False, True])
def test_41_a_schema_within_itself_ends(simple: bool) -> None:
    schema = {"type": "object", "properties": {"root": {"$ref": "#/$defs/node"}}, "$defs": {"node": NODE}}
    assert len(json.dumps(parameters(schema, simple=simple))) < 20_000


@pytest.mark.parametrize("simple", [False, True])
def test_42_properties_named_like_keywords_are_properties(simple: bool) -> None:
    names = ("properties", "title", "format", "$ref", "type", "default", "const", "cache_control")
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}
    assert set(parameters(schema, simple=simple)["properties"]) == set(names)


def test_43_a_nullable_integer_with_values_keeps_its_type() -> None:
    schema = {"type": "object", "properties": {"n": {"type": ["integer", "null"], "enum": [1, 2, None]}}}
    written = parameters(schema, simple=True)["properties"]["n"]
    assert written["type"].lower() == "integer" and written["nullable"] is True
    assert all(isinstance(value, str) for value in written.get("enum", []))
    assert parameters(schema)["properties"]["n"]["type"] == ["integer", "null"]


@pytest.mark.parametrize("simple", [False, True])
def test_44_schemas_that_are_only_true_or_false_are_written_as_objects(simple: bool) -> None:
    properties = {"any": True, "none": False, "list": {"type": "array", "items": False}, "open": {"items": True}}
    written = json.dumps(parameters({"type": "object", "properties": properties, "required": ["none"]}, simple=simple))
    assert "none" not in written and '"items": false' not in written and '"any": true' not in written


def test_45_an_open_lower_bound_becomes_a_closed_one_or_words() -> None:
    properties = {"n": {"type": "integer", "exclusiveMinimum": 0}, "x": {"type": "number", "exclusiveMinimum": 0}}
    written = parameters({"type": "object", "properties": properties}, simple=True)["properties"]
    assert written["n"]["minimum"] == 1 and "exclusiveMinimum" not in written["n"]
    assert "exclusiveMinimum" not in written["x"] and "0" in written["x"]["description"]


SEARCH: Json = {"type": "web_search_20250305", "name": "web_search"}


def test_46_functions_and_a_search_go_together_only_where_gemini_takes_both() -> None:
    request = hello("anthropic", tools=[*offering("f"), SEARCH])
    older = sent(request, "gemini", "gemini-2.5-flash")
    assert [list(tool) for tool in older.body["tools"]] == [["functionDeclarations"]]
    assert [loss.field for loss in older.losses] == ["tools (googleSearch)"]
    newer = sent(request, "gemini", GEMINI_3)
    assert [list(tool) for tool in newer.body["tools"]] == [["functionDeclarations"], ["googleSearch"]]
    assert newer.body["toolConfig"]["includeServerSideToolInvocations"] is True and newer.losses == ()


@pytest.mark.parametrize("spelled", ['"allowed_domains":[]', '"blocked_domains" : [ ]'])
def test_47_an_empty_list_of_domains_does_not_reach_claude(spelled: str) -> None:
    body = b'{"model":"m","tools":[{"type":"web_search_20250305","name":"web_search",%b}],"messages":[]}'
    clean = json.loads(sanitize("anthropic", body % spelled.encode(), cache_control="keep"))
    assert clean["tools"] == [SEARCH]


def test_48_of_two_calls_a_client_that_wants_one_gets_the_first() -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    request = hello("anthropic", tools=offering("f", "g"), tool_choice=choice)
    calls = [{"functionCall": {"name": name, "args": {}}} for name in "fg"]
    events = reported("gemini", [{"candidates": [{"content": {"parts": calls}, "finishReason": "STOP"}]}])
    kept = EventFilter({}, single_call=request.tool_choice.parallel is False).through(events)
    shown = whole(request, kept)
    assert [block["name"] for block in shown["content"]] == ["f"] and shown["stop_reason"] == "tool_use"


def test_49_the_next_provider_gets_the_clients_own_schema() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"n": {"const": 1}, "m": {"allOf": [{"type": "string"}], "exclusiveMinimum": 0}},
        "additionalProperties": False,
    }
    request = hello("anthropic", tools=offering("f", schema=schema))
    capabilities = capabilities_of("gemini", OPENAI, GEMINI_3)
    for json_schema in (True, False):
        limited = msgspec.structs.replace(capabilities, json_schema=json_schema)
        CODECS["gemini"].encode_request(request, limited, model=GEMINI_3)
    [tool] = sent(request, "openai-chat", "llama-3.3-70b", GROQ).body["tools"]
    assert tool["function"]["parameters"] == schema


def test_a_call_in_a_complete_answer_ends_it_with_the_reason_for_calls() -> None:
    calls: list[Any] = [{"functionCall": {"name": "f", "args": {}}}]
    events = reported("gemini", [{"candidates": [{"content": {"parts": calls}, "finishReason": "STOP"}]}])
    [choice] = fold(events).choices
    assert choice.finish == Finish("tool_calls", native="STOP")
