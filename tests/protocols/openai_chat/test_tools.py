from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import CacheMark, Json
from bm.chat.request import HostedTool, Reasoning, Tool, ToolChoice
from bm.errors import RequestError
from bm.protocols.json_schema.subsets import CUSTOM_TOOL
from bm.protocols.openai_chat.tools import decode_choice, decode_tools
from tests.protocols.openai_chat.kit import COMPATIBLE, OPENAI, client_request, lost, sent

SCHEMA = {"type": "object", "properties": {"cache_control": {"type": "string"}}}
F: Json = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
G: Json = {"type": "function", "function": {"name": "g", "parameters": SCHEMA}}
CUSTOM: Json = {"type": "custom", "custom": {"name": "py", "description": "d", "format": {"type": "text"}}}


def tool(**members: Any) -> Tool:
    return msgspec.structs.replace(Tool("f", schema=SCHEMA, protocol="openai-chat"), **members)


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (F, tool()),
        ({"function": F["function"]}, tool()),
        ({"type": "function", **F["function"]}, tool()),
        ({**F, "cache_control": {"type": "ephemeral"}}, tool(cache=CacheMark())),
        (
            {"type": "function", "function": {"name": "f", "description": None, "strict": True}},
            tool(schema=None, strict=True),
        ),
        ({"type": "function", "function": {**F["function"], "novelty": 1}}, tool(extra={"novelty": 1})),
        (CUSTOM, tool(name="py", description="d", schema=None, kind="custom", extra={"format": {"type": "text"}})),
    ],
)
def test_definitions_are_read(definition: Json, expected: Tool) -> None:
    assert decode_tools({"tools": [definition]}) == ((expected,), ())


def test_functions_are_tools_of_the_first_form() -> None:
    assert decode_tools({"functions": [F["function"]]}) == ((tool(),), ())
    request = client_request(functions=[F["function"]], function_call={"name": "f"})
    assert request.legacy_functions
    assert request.tool_choice == ToolChoice("required", ("f",), parallel=False)


def test_tools_that_the_vendor_runs_are_kept_apart() -> None:
    other = {"type": "openrouter:web_search", "parameters": {}}
    search = {"search_context_size": "low"}
    assert decode_tools({"tools": [other], "web_search_options": search}) == (
        (),
        (HostedTool("openrouter:web_search", "openai-chat", other), HostedTool("web_search", "openai-chat", search)),
    )


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (5, "tools[0]: expected an object, got a number"),
        ({"type": "function"}, "tools[0].name: expected the tool's name, got nothing"),
        ({"type": "function", "function": {}}, "tools[0].function.name: expected the tool's name, got nothing"),
        ({"type": 5}, "tools[0].type: expected a string, got a number"),
        (
            {"type": "function", "function": {"name": "f", "parameters": []}},
            "tools[0].function.parameters: expected an object, got an array",
        ),
        ({"type": "custom"}, "tools[0].custom: expected an object, got null"),
    ],
)
def test_a_faulty_definition_names_its_place(definition: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_tools({"tools": [definition]})
    assert caught.value.failure.message == message


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice("auto")),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("required", ("f",))),
        ({"function": {"name": "f"}}, ToolChoice("required", ("f",))),
        ({"type": "custom", "custom": {"name": "py"}}, ToolChoice("required", ("py",))),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [F, CUSTOM]}},
            ToolChoice("required", ("f", "py")),
        ),
    ],
)
def test_choices_are_read(choice: Any, expected: ToolChoice) -> None:
    assert decode_choice({"tools": [F], "tool_choice": choice}) == expected


def test_a_choice_of_unknown_form_is_refused() -> None:
    with pytest.raises(RequestError, match="tool_choice: expected"):
        decode_choice({"tools": [F], "tool_choice": "sometimes"})


def test_a_free_choice_among_some_tools_leaves_out_the_others_where_openai_is_not_asked() -> None:
    named = {"type": "function", "function": {"name": "g"}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "name": "g"}]}}
    request = client_request(tools=[F, G], tool_choice=allowed)
    assert request.tool_choice == ToolChoice("auto", ("g",))
    body = sent(request)
    assert body["tools"] == [F, G]
    assert body["tool_choice"] == {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named]}}
    body = sent(request, COMPATIBLE)
    assert body["tools"] == [G] and "tool_choice" not in body


@pytest.mark.parametrize("definition", [F, CUSTOM, {"type": "function", "function": {**F["function"], "strict": True}}])
def test_definitions_are_written_as_they_came(definition: Json) -> None:
    assert sent(client_request(tools=[definition]))["tools"] == [definition]


def test_a_tool_without_a_schema_takes_no_arguments() -> None:
    body = sent(client_request(tools=[{"type": "function", "function": {"name": "f"}}]))
    assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


def test_a_custom_tool_is_a_function_of_one_string_where_there_are_none() -> None:
    grammar = {**CUSTOM["custom"], "format": {"type": "grammar"}}
    request = client_request(tools=[{"type": "custom", "custom": grammar}])
    assert sent(request, COMPATIBLE)["tools"] == [
        {"type": "function", "function": {"name": "py", "description": "d", "parameters": CUSTOM_TOOL}}
    ]
    assert lost(request, COMPATIBLE) == ["tools[0].format"]


def test_members_of_another_protocols_tools_are_reported() -> None:
    extra = {"defer_loading": True, "allowed_callers": ["direct"]}
    foreign = Tool("f", protocol="anthropic", extra=extra, cache=CacheMark())
    request = msgspec.structs.replace(client_request(), tools=(foreign,))
    assert lost(request) == ["tools[0].allowed_callers"]


def test_tools_that_another_vendor_runs_are_reported() -> None:
    hosted = HostedTool("web_search", "anthropic", {"type": "web_search_20250305"})
    finder = HostedTool("tool_search_tool_regex", "anthropic", {"type": "tool_search_tool_regex_20251119"})
    assert lost(msgspec.structs.replace(client_request(), hosted_tools=(hosted, finder))) == ["tools (web_search)"]


def test_a_vendors_tool_goes_back_to_its_own_protocol_as_it_came() -> None:
    search = {"type": "openrouter:web_search", "parameters": {}}
    assert sent(client_request(tools=[F, search]), COMPATIBLE)["tools"] == [F, search]


def test_an_allowed_tool_without_a_name_is_passed_over() -> None:
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "mcp"}, F]}}
    assert decode_choice({"tools": [F], "tool_choice": allowed}) == ToolChoice("required", ("f",))


def test_web_search_goes_to_openai_and_is_reported_elsewhere() -> None:
    request = client_request(web_search_options={})
    assert sent(request)["web_search_options"] == {}
    assert lost(request, COMPATIBLE) == ["web_search_options"]


@pytest.mark.parametrize(
    ("choice", "openai", "elsewhere"),
    [
        (ToolChoice("auto"), None, None),
        (ToolChoice("none"), "none", "none"),
        (ToolChoice("required"), "required", "required"),
        (ToolChoice("required", ("f",)), *[{"type": "function", "function": {"name": "f"}}] * 2),
        (ToolChoice("required", ("gone",)), "required", "required"),
    ],
)
def test_choices_are_written(choice: ToolChoice, openai: Any, elsewhere: Any) -> None:
    request = msgspec.structs.replace(client_request(tools=[F, G]), tool_choice=choice)
    assert sent(request).get("tool_choice") == openai
    assert sent(request, COMPATIBLE).get("tool_choice") == elsewhere


def test_one_of_several_tools_is_demanded_by_offering_no_others() -> None:
    choice = ToolChoice("required", ("f", "py"))
    request = msgspec.structs.replace(client_request(tools=[F, G, CUSTOM]), tool_choice=choice)
    references = [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "py"}}]
    assert sent(request)["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": references},
    }
    body = sent(request, COMPATIBLE)
    assert body["tool_choice"] == "required"
    assert [definition["function"]["name"] for definition in body["tools"]] == ["f", "py"]


@pytest.mark.parametrize(
    ("forced", "thinking", "level", "choice"),
    [
        ("never", "none", None, "auto"),
        ("without_thinking", "effort", "high", "required"),
        ("without_thinking", "effort", "off", "required"),
        ("without_budget", "effort", "high", "required"),
        ("always", "effort", "high", "required"),
    ],
)
def test_a_model_that_takes_no_forced_call_is_left_free(forced: Any, thinking: Any, level: Any, choice: str) -> None:
    capabilities = Capabilities(forced_tools=forced, thinking=thinking, levels=("high",))
    request = client_request(tools=[F], tool_choice="required")
    request = msgspec.structs.replace(request, reasoning=Reasoning(level=level))
    assert sent(request, capabilities)["tool_choice"] == choice
    assert ("tool_choice" in lost(request, capabilities)) == (choice == "auto")


def test_parallel_calls_are_spoken_of_only_with_tools() -> None:
    assert sent(client_request(tools=[F], parallel_tool_calls=False))["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in sent(client_request(parallel_tool_calls=False))


def test_a_refused_ban_on_parallel_calls_is_no_loss_since_bm_itself_keeps_it() -> None:
    capabilities = msgspec.structs.replace(OPENAI, dialect=Dialect(refuses=frozenset({"parallel_tool_calls"})))
    request = client_request(tools=[F], parallel_tool_calls=False)
    assert "parallel_tool_calls" not in sent(request, capabilities)
    assert lost(request, capabilities) == []


@pytest.mark.parametrize(
    "capabilities",
    [Capabilities(forced_tools="unnamed"), Capabilities(dialect=Dialect(name="lmstudio", named_choice=False))],
)
def test_a_tool_that_cannot_be_named_is_offered_alone(capabilities: Capabilities) -> None:
    choice = {"type": "function", "function": {"name": "f"}}
    request = client_request(tools=[F, {"type": "function", "function": {"name": "g"}}], tool_choice=choice)
    body = sent(request, capabilities)
    assert body["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f"]


def test_thinking_that_cannot_stop_leaves_the_call_to_the_model() -> None:
    capabilities = Capabilities(forced_tools="without_thinking", thinking="effort", thinks=True, thinking_off="never")
    assert sent(client_request(tools=[F], tool_choice="required"), capabilities)["tool_choice"] == "auto"


@pytest.mark.parametrize(("second", "strict"), [(True, [True, True]), (False, [None, None])])
def test_a_service_gets_strict_tools_only_where_all_are(second: bool, strict: list[bool | None]) -> None:
    cerebras = Capabilities(dialect=Dialect(name="cerebras", mixed_strict=False))
    tools = [
        {"type": "function", "function": {"name": name, "strict": said}} for name, said in (("f", True), ("g", second))
    ]
    body = sent(client_request(tools=tools), cerebras)
    assert [tool["function"].get("strict") for tool in body["tools"]] == strict
