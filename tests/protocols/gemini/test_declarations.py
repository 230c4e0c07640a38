"""A client's tools."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.request import (
    Extra,
    HostedTool,
    Tool,
    ToolChoice,
)
from tests.protocols.gemini.kit import SCHEMA, read

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
def test_the_choice_of_tools(config: dict[str, Any], choice: ToolChoice) -> None:
    assert read(toolConfig=config).tool_choice == choice
    assert read(tool_config=config).tool_choice == choice


def test_validated_calling_is_automatic_elsewhere() -> None:
    request = read(toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}})
    assert request.tool_choice == ToolChoice()
    assert request.extras == (Extra("gemini", "toolConfig.functionCallingConfig.mode", "VALIDATED"),)
