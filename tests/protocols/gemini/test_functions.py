"""Tools as Gemini gets them."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.request import (
    HostedTool,
    Loss,
    Tool,
    ToolChoice,
)
from bm.errors import RequestError
from tests.protocols.gemini.kit import CAPABLE, OLD, SCHEMA, F, encoded, tools


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


def test_what_search_cannot_filter_and_who_else_is_unknown_is_told() -> None:
    search = HostedTool("web_search", "anthropic", {"allowed_domains": ["a.example"], "blocked_domains": []})
    result = encoded(hosted_tools=(search, HostedTool("file_search", "openai-responses", {})))
    assert [loss.field for loss in result.losses] == ["tools (web_search).allowed_domains", "tools (file_search)"]


def test_tools_for_a_model_that_calls_none_are_refused() -> None:
    with pytest.raises(RequestError, match="does not call tools"):
        tools(F, capabilities=Capabilities(tools=False))
