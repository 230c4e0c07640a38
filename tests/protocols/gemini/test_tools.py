"""A client's tools."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.request import (
    Extra,
    HostedTool,
    Loss,
    Tool,
    ToolChoice,
)
from bm.errors import RequestError
from tests.protocols.gemini.kit import CAPABLE, OLD, SCHEMA, F, encoded, read, tools

DECLARATIONS: list[tuple[dict[str, Any], Tool]] = [
    ({"name": "f"}, Tool("f")),
    ({"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}, Tool("f", "d", SCHEMA)),
    ({"name": "f", "parameters_json_schema": SCHEMA}, Tool("f", schema=SCHEMA)),
    (
        {"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]}},
        Tool("f", schema=SCHEMA),
    ),
    ({"name": "f", "behavior": "BLOCKING"}, Tool("f", protocol="gemini", extra={"behavior": "BLOCKING"})),
]


@pytest.mark.parametrize(("declaration", "tool"), DECLARATIONS, ids=[str(row)[:60] for row, _ in DECLARATIONS])
@pytest.mark.parametrize("name", ["functionDeclarations", "function_declarations"])
def test_a_declaration(name: str, declaration: dict[str, Any], tool: Tool) -> None:
    assert read(tools=[{name: [declaration]}]).tools == (tool,)
    assert read(tools={name: [declaration]}).tools == (tool,)


def test_types_are_lower_case_in_schemas_and_left_alone_in_names() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "max_length": "5"},
            "snake_case": {
                "any_of": [{"type": "INTEGER"}, {"type": "ARRAY", "items": {"type": "NUMBER"}}],
                "nullable": True,
            },
        },
        "property_ordering": ["snake_case", "type"],
    }
    decoded = read(tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}]).tools[0].schema
    assert decoded == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "maxLength": 5},
            "snake_case": {
                "anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "number"}}, {"type": "null"}]
            },
        },
    }
    assert list(decoded["properties"]) == ["snake_case", "type"]


def test_googles_own_tools() -> None:
    tools = [{"googleSearch": {}}, {"url_context": {}}, {"codeExecution": {}}, {"googleMaps": {"x": 1}}]
    assert read(tools=tools).hosted_tools == (
        HostedTool("web_search", "gemini", {"googleSearch": {}}),
        HostedTool("web_fetch", "gemini", {"url_context": {}}),
        HostedTool("code_execution", "gemini", {"codeExecution": {}}),
        HostedTool("googleMaps", "gemini", {"googleMaps": {"x": 1}}),
    )


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({}, ToolChoice()),
        ({"functionCallingConfig": {"mode": "AUTO"}}, ToolChoice()),
        ({"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}}, ToolChoice("required", ("f",))),
        ({"functionCallingConfig": {"mode": "NONE"}}, ToolChoice("none")),
    ],
)
def test_the_choice_of_a_client(config: dict[str, Any], choice: ToolChoice) -> None:
    assert read(toolConfig=config).tool_choice == choice
    assert read(tool_config=config).tool_choice == choice


def test_validated_calling_is_automatic_elsewhere() -> None:
    request = read(toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}})
    assert request.tool_choice == ToolChoice()
    assert request.extras == (Extra("gemini", "toolConfig.functionCallingConfig.mode", "VALIDATED"),)


def test_all_declarations_are_in_one_tool() -> None:
    declared = [{"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}, {"name": "g"}]
    assert tools(F, Tool("g")) == ([{"functionDeclarations": declared}], None)


def test_older_models_get_the_subset() -> None:
    subset = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]}
    found, _ = tools(F, capabilities=OLD)
    assert found == [{"functionDeclarations": [{"name": "f", "description": "d", "parameters": subset}]}]


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "additionalProperties": False},
    ],
)
@pytest.mark.parametrize("capabilities", [CAPABLE, OLD], ids=["json-schema", "openapi"])
def test_a_tool_without_arguments_has_no_parameters(schema: Any, capabilities: Capabilities) -> None:
    assert tools(Tool("f", schema=schema), capabilities=capabilities) == (
        [{"functionDeclarations": [{"name": "f"}]}],
        None,
    )


def test_a_custom_tool_takes_its_input_as_an_argument() -> None:
    found, _ = tools(Tool("f", kind="custom"))
    assert found[0]["functionDeclarations"][0]["parametersJsonSchema"]["required"] == ["input"]


def test_geminis_own_members_of_a_declaration_are_written_again() -> None:
    found, _ = tools(Tool("f", protocol="gemini", extra={"behavior": "BLOCKING"}))
    assert found == [{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(), None),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("required", ("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice("auto", ("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice(parallel=False), None),
    ],
)
def test_the_choice_of_tools(choice: ToolChoice, config: Any) -> None:
    assert tools(F, tool_choice=choice)[1] == (None if config is None else {"functionCallingConfig": config})


def test_a_strict_tool_has_its_arguments_validated() -> None:
    assert tools(Tool("f", schema=SCHEMA, strict=True))[1] == {"functionCallingConfig": {"mode": "VALIDATED"}}


def test_a_choice_without_tools_is_not_sent() -> None:
    assert tools(tool_choice=ToolChoice("required")) == (None, None)


SEARCH = HostedTool("web_search", "anthropic", {"type": "web_search_20250305", "name": "web_search", "max_uses": 8})


def test_hosted_tools() -> None:
    hosted = (SEARCH, HostedTool("code_execution", "anthropic", {}), HostedTool("web_fetch", "anthropic", {}))
    assert tools(hosted=hosted)[0] == [{"googleSearch": {}}, {"codeExecution": {}}, {"urlContext": {}}]
    assert tools(hosted=(HostedTool("googleMaps", "gemini", {"googleMaps": {"x": 1}}),))[0] == [
        {"googleMaps": {"x": 1}}
    ]


def test_functions_and_search_go_together_where_the_model_can() -> None:
    found, config = tools(F, hosted=(SEARCH,))
    assert [list(row) for row in found] == [["functionDeclarations"], ["googleSearch"]]
    assert config == {"includeServerSideToolInvocations": True}


def test_search_yields_to_functions_elsewhere() -> None:
    result = encoded(capabilities=OLD, tools=(F,), hosted_tools=(SEARCH,))
    assert [list(row) for row in result.body["tools"]] == [["functionDeclarations"]]
    assert result.losses == (Loss("tools (googleSearch)", "this model does not combine it with functions"),)


def test_search_filters_and_unknown_tools_are_losses() -> None:
    search = HostedTool("web_search", "anthropic", {"allowed_domains": ["a.example"], "blocked_domains": []})
    result = encoded(hosted_tools=(search, HostedTool("file_search", "openai-responses", {})))
    assert [loss.field for loss in result.losses] == ["tools (web_search).allowed_domains", "tools (file_search)"]


def test_tools_for_a_model_that_calls_none_are_refused() -> None:
    with pytest.raises(RequestError, match="does not call tools"):
        tools(F, capabilities=Capabilities(tools=False))


def test_a_tool_of_another_protocol_is_no_typed_tool() -> None:
    result = encoded(hosted_tools=(HostedTool("bash", "openai-responses", {"type": "bash"}),))
    assert "tools" not in result.body and [loss.field for loss in result.losses] == ["tools (bash)"]
