from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import ToolCall
from bm.chat.request import ChatRequest, HostedTool, Loss, Tool, ToolChoice
from bm.errors import RequestError
from bm.protocols.openai.tools import decode_choice, qualified
from bm.protocols.openai_responses.tools import (
    NATIVE,
    by_name,
    declared_tools,
    decode_tools,
    encode_choice,
    encode_tools,
    native_type,
    wire_name,
)
from tests.protocols.openai_responses.samples import request

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
LOOK = {"type": "function", "name": "look", "description": "Looks.", "parameters": SCHEMA, "strict": True}
PATCH = {"type": "custom", "name": "patch", "description": "d", "format": {"type": "grammar", "syntax": "lark"}}
AGENTS = {"type": "namespace", "name": "agents", "description": "Sub-agents.", "tools": [LOOK, PATCH]}
BUILT_IN = [{"type": "apply_patch"}, {"type": "shell", "environment": {"type": "local"}}, {"type": "local_shell"}]
SEARCH = {"type": "web_search", "external_web_access": True}
ALL = [LOOK, PATCH, AGENTS, *BUILT_IN, SEARCH, {"type": "tool_search"}, {**LOOK, "name": "late", "defer_loading": True}]


def foreign(**members: Any) -> ChatRequest:
    return ChatRequest(protocol="anthropic", model="m", turns=(), **members)


def written(asked: ChatRequest) -> tuple[list[Any], list[Loss]]:
    """The tools of a request, and what is lost."""
    losses: list[Loss] = []
    return encode_tools(asked, losses), losses


def test_every_kind_of_tool_comes_back_as_it_was() -> None:
    wire, losses = written(request(tools=ALL))
    key = str
    assert sorted(wire, key=key) == sorted(ALL, key=key)
    assert losses == []


def test_functions_of_a_namespace_are_functions_of_their_own() -> None:
    functions, _ = decode_tools({"tools": [AGENTS]})
    assert [(tool.name, tool.kind) for tool in functions] == [("agents__look", "function"), ("agents__patch", "custom")]


def test_a_function_keeps_its_schema_and_what_only_openai_knows() -> None:
    [tool], _ = decode_tools({"tools": [{**LOOK, "defer_loading": True}]})
    assert (tool.schema, tool.strict, tool.description) == (SCHEMA, True, "Looks.")
    assert tool.protocol == "openai-responses" and tool.extra == {"defer_loading": True}


def test_a_search_for_tools_that_the_client_runs_is_a_function() -> None:
    search = {"type": "tool_search", "execution": "client", "description": "find", "parameters": SCHEMA}
    [tool], hosted = decode_tools({"tools": [search]})
    assert (tool.name, tool.description, tool.schema, hosted) == ("tool_search", "find", SCHEMA, [])
    assert written(request(tools=[search])) == ([search], [])


def test_tools_of_two_namespaces_never_share_a_name() -> None:
    function = {"type": "function", "parameters": SCHEMA}
    spaces = [
        {"type": "namespace", "name": space, "description": None, "tools": [{**function, "name": name}]}
        for space, name in (("a", "b__c"), ("a__b", "c"))
    ]
    call = {"type": "function_call", "call_id": "1", "namespace": "a__b", "name": "c", "arguments": "{}"}
    asked = request(tools=spaces, input=[call])
    assert [tool.name for tool in asked.tools] == ["a__b__c", "a__b__c_2"]
    assert isinstance(called := asked.turns[0].parts[0], ToolCall) and called.name == "a__b__c_2"
    assert wire_name("a__b__c_2", by_name(asked)) == {"name": "c", "namespace": "a__b"}
    assert wire_name("a__b__c", by_name(asked)) == {"name": "b__c", "namespace": "a"}
    assert [space["name"] for space in written(asked)[0]] == ["a", "a__b"]


def test_the_same_tool_is_declared_once() -> None:
    brought = {"type": "additional_tools", "tools": [{**LOOK, "description": "new"}, {**LOOK, "name": "other"}]}
    tools, _, names = declared_tools({"tools": [LOOK, LOOK], "input": [brought]})
    assert ([tool.name for tool in tools], tools[0].description, names) == (["look", "other"], "Looks.", {})


@pytest.mark.parametrize("name", NATIVE)
def test_a_built_in_tool_of_the_client_is_a_function_with_a_known_schema(name: str) -> None:
    [tool], hosted = decode_tools({"tools": [{"type": name, "execution": "client"}]})
    assert tool.name == name and tool.schema is not None and tool.schema["properties"] and not hosted
    assert native_type(tool) == name


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        ({"type": "web_search"}, "web_search"),
        ({"type": "web_search_preview_2025_03_11"}, "web_search"),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, "code_execution"),
        ({"type": "file_search", "vector_store_ids": ["vs_1"]}, "file_search"),
        ({"type": "mcp", "server_label": "s"}, "mcp"),
        ({"type": "shell", "environment": {"type": "container_auto"}}, "shell"),
        ({"type": "from_next_year"}, "from_next_year"),
    ],
)
def test_what_openai_runs_itself_is_a_hosted_tool(wire: dict[str, Any], kind: str) -> None:
    assert decode_tools({"tools": [wire]}) == ([], [HostedTool(kind, "openai-responses", wire)])


@pytest.mark.parametrize(
    ("tools", "place"),
    [
        ("x", "tools"),
        ([{}], "tools[0]"),
        ([LOOK, {"type": "function"}], "tools[1].name"),
        ([{"type": "function", "name": ""}], "tools[0].name"),
        ([{**LOOK, "parameters": "x"}], "tools[0].parameters"),
        ([{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}], "tools[0].tools[0]"),
    ],
)
def test_a_fault_is_named_with_its_place(tools: object, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_tools({"tools": tools})
    assert caught.value.failure.param == place


def test_a_tool_of_another_protocol_is_not_held_to_openais_strict_subset() -> None:
    wire, losses = written(foreign(tools=(Tool("look"),)))
    empty = {"type": "object", "properties": {}}
    assert wire == [{"type": "function", "name": "look", "parameters": empty, "strict": False}]
    assert losses == []


def test_what_only_another_vendor_knows_of_a_tool_is_a_loss() -> None:
    tool = Tool("look", schema=SCHEMA, protocol="anthropic", extra={"input_examples": []})
    assert written(foreign(tools=(tool,)))[1] == [Loss("tools[0].input_examples", "the protocol has no such member")]


def test_tools_that_an_item_brought_are_not_defined_twice() -> None:
    found = {"type": "tool_search_output", "call_id": "t", "execution": "client", "tools": [LOOK]}
    asked = request(input=[found], tools=[{"type": "tool_search"}])
    assert [tool.name for tool in asked.tools] == ["look"]
    assert written(asked) == ([{"type": "tool_search"}], [])


@pytest.mark.parametrize(("extra", "wire"), [({"format": {"type": "text"}}, {"format": {"type": "text"}}), ({}, {})])
def test_a_custom_tool_without_a_grammar(extra: dict[str, Any], wire: dict[str, Any]) -> None:
    tool = Tool("p", kind="custom", protocol="openai-chat", extra=extra)
    assert written(foreign(tools=(tool,)))[0] == [{"type": "custom", "name": "p", **wire}]


def test_allowed_tools_that_are_built_in_or_hosted() -> None:
    allowed = [{"type": "shell"}, {"type": "web_search"}]
    choice = decode_choice({"type": "allowed_tools", "mode": "required", "tools": allowed}, None)
    assert choice == ToolChoice("required", ("shell",))


def test_a_custom_tool_of_the_chat_api_keeps_its_grammar() -> None:
    grammar = {"definition": "start: x", "syntax": "lark"}
    tool = Tool("p", kind="custom", protocol="openai-chat", extra={"format": {"type": "grammar", "grammar": grammar}})
    wire, losses = written(foreign(tools=(tool,)))
    assert wire == [{"type": "custom", "name": "p", "format": {"type": "grammar", **grammar}}]
    assert losses == []


@pytest.mark.parametrize(
    ("hosted", "wire", "lost"),
    [
        (
            HostedTool("web_search", "anthropic", {"allowed_domains": ["a.example"], "max_uses": 3}),
            [{"type": "web_search", "filters": {"allowed_domains": ["a.example"]}}],
            [],
        ),
        (
            HostedTool("web_search", "anthropic", {"user_location": {"type": "approximate", "city": "Bern"}}),
            [{"type": "web_search", "user_location": {"type": "approximate", "city": "Bern"}}],
            [],
        ),
        (HostedTool("web_search", "gemini", {"googleSearch": {}}), [{"type": "web_search"}], []),
        (
            HostedTool("web_search", "gemini", {"googleSearch": {"excludeDomains": ["b.example"]}}),
            [{"type": "web_search"}],
            ["tools (web_search).blocked_domains"],
        ),
        (
            HostedTool("web_search", "openai-chat", {"search_context_size": "low"}),
            [{"type": "web_search", "search_context_size": "low"}],
            [],
        ),
        (
            HostedTool("code_execution", "gemini", {}),
            [{"type": "code_interpreter", "container": {"type": "auto"}}],
            [],
        ),
        (HostedTool("computer", "anthropic", {}), [], ["tools (computer)"]),
    ],
)
def test_hosted_tools_of_other_vendors(hosted: HostedTool, wire: list[object], lost: list[str]) -> None:
    tools, losses = written(foreign(hosted_tools=(hosted,)))
    assert tools == wire and [loss.field for loss in losses] == lost


CHOICES = [
    ("auto", ToolChoice()),
    ("none", ToolChoice("none")),
    ("required", ToolChoice("required")),
    ({"type": "function", "name": "look"}, ToolChoice("required", ("look",))),
    ({"type": "custom", "name": "patch"}, ToolChoice("required", ("patch",))),
    ({"type": "apply_patch"}, ToolChoice("required", ("apply_patch",))),
    (
        {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [
                {"type": "function", "name": "look"},
                {"type": "function", "name": "look", "namespace": "agents"},
            ],
        },
        ToolChoice("auto", ("look", "agents__look")),
    ),
]


@pytest.mark.parametrize(("wire", "choice"), CHOICES)
def test_the_choice_in_both_directions(wire: Any, choice: ToolChoice) -> None:
    assert decode_choice(wire, None) == choice
    assert encode_choice(choice, by_name(request(tools=ALL))) == wire


def test_a_deferred_function_is_called_with_its_own_name_as_namespace() -> None:
    assert qualified("look", "look") == "look"
    functions, _ = decode_tools({"tools": [LOOK]}, loaded=True)
    assert wire_name("look", {tool.name: tool for tool in functions}) == {"name": "look", "namespace": "look"}


def test_an_unknown_tool_is_called_by_its_plain_name() -> None:
    assert wire_name("a__b", {}) == {"name": "a__b"}
