from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.chat.parts import CacheMark, Json
from bm.chat.request import HostedTool, Tool, ToolChoice
from bm.errors import RequestError
from tests.protocols.anthropic.examples import FABLE_5, OPUS_4_8, SONNET_4_5, chat, decoded, encoded, lost, user

RUN = Tool("run", "Runs it", {"type": "object", "properties": {}})
STOP = Tool("stop", "", {"type": "object", "properties": {}})
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


def test_a_client_tool_is_read_with_all_its_members() -> None:
    raw = {
        "name": "run",
        "description": "d",
        "input_schema": {"type": "object"},
        "strict": True,
        "defer_loading": True,
        "eager_input_streaming": None,
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    request = decoded(tools=[raw, {"type": "custom", "name": "bare"}])
    assert request.tools == (
        Tool(
            "run",
            "d",
            {"type": "object"},
            strict=True,
            cache=CacheMark("1h"),
            protocol="anthropic",
            extra={"defer_loading": True},
        ),
        Tool("bare", protocol="anthropic"),
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("web_search_20250305", "web_search"),
        ("code_execution_20260120", "code_execution"),
        ("tool_search_tool_bm25_20251119", "tool_search_tool_bm25"),
        ("bash_20250124", "bash"),
        ("mcp_toolset", "mcp_toolset"),
    ],
)
def test_a_typed_tool_is_the_vendors_and_has_no_schema(kind: str, name: str) -> None:
    raw = {"type": kind, "name": "x"}
    assert decoded(tools=[raw]).hosted_tools == (HostedTool(name, "anthropic", raw),)


@pytest.mark.parametrize(
    ("raw", "choice"),
    [
        ({"type": "auto"}, ToolChoice()),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "tool", "name": "run"}, ToolChoice("required", ("run",))),
        ({"type": "none"}, ToolChoice("none")),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        ({"type": "any", "disable_parallel_tool_use": False}, ToolChoice("required", parallel=True)),
    ],
)
def test_a_choice_is_read_and_written(raw: dict[str, Any], choice: ToolChoice) -> None:
    assert decoded(tool_choice=raw).tool_choice == choice
    written = encoded(chat(tools=(RUN,), tool_choice=choice)).body.get("tool_choice", {"type": "auto"})
    raw.pop("disable_parallel_tool_use", None) if choice.parallel else None
    assert written == raw


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(RequestError, match=r"tool_choice\.type"):
        decoded(tool_choice={"type": "sometimes"})


def test_a_tool_of_the_own_protocol_is_written_as_it_came() -> None:
    raw = {
        "name": "run",
        "description": "d",
        "input_schema": {"type": "object", "properties": {"cache_control": {"type": "string"}}},
        "strict": False,
        "defer_loading": True,
        "cache_control": {"type": "ephemeral"},
    }
    assert encoded(decoded(tools=[raw, SEARCH])).body["tools"] == [raw, SEARCH]


def test_a_foreign_tool_gets_a_schema_and_loses_what_is_unknown() -> None:
    tool = Tool("run", strict=True, protocol="openai-chat", extra={"format": {}})
    result = encoded(chat(tools=(tool,)))
    assert result.body["tools"] == [{"name": "run", "input_schema": {"type": "object", "properties": {}}}]
    assert lost(result) == ["tools[0].strict", "tools[0].format"]


def test_a_custom_tool_takes_its_input_as_a_string() -> None:
    result = encoded(chat(tools=(Tool("patch", kind="custom"),)))
    assert result.body["tools"][0]["input_schema"]["properties"] == {"input": {"type": "string"}}


def test_an_empty_domain_list_is_no_restriction() -> None:
    tools = encoded(decoded(tools=[{**SEARCH, "allowed_domains": [], "blocked_domains": ["x"]}])).body["tools"]
    assert tools == [{**SEARCH, "blocked_domains": ["x"]}]


def test_a_foreign_search_becomes_claudes() -> None:
    hosted = (HostedTool("web_search", "gemini", {"googleSearch": {}}), HostedTool("file_search", "openai", {}))
    result = encoded(chat(hosted_tools=hosted))
    assert result.body["tools"] == [{"type": "web_search_20250305", "name": "web_search"}]
    assert lost(result) == ["tools (file_search)"]


def test_a_choice_among_some_tools_leaves_the_others_out() -> None:
    result = encoded(chat(tools=(RUN, STOP, Tool("go")), tool_choice=ToolChoice("required", ("run", "go"))))
    assert [tool["name"] for tool in result.body["tools"]] == ["run", "go"]
    assert result.body["tool_choice"] == {"type": "any"}


def test_a_single_tool_may_be_allowed_without_being_forced() -> None:
    result = encoded(chat(tools=(RUN, STOP), tool_choice=ToolChoice("auto", ("run",))))
    assert [tool["name"] for tool in result.body["tools"]] == ["run"]
    assert "tool_choice" not in result.body


@pytest.mark.parametrize(
    ("choice", "sent", "words"),
    [
        (ToolChoice("required", ("run", "go")), {"type": "any"}, "Answer with a call of run or go."),
        (ToolChoice("auto", ("run",)), None, "Call no other tool than run."),
        (ToolChoice("required", ("run",)), {"type": "tool", "name": "run"}, ""),
        (ToolChoice("none", ("run",)), {"type": "none"}, ""),
        (ToolChoice("auto"), None, ""),
    ],
)
def test_the_tools_stay_where_earlier_thinking_is_bound_to_them(
    choice: ToolChoice, sent: Json | None, words: str
) -> None:
    bound = msgspec.structs.replace(OPUS_4_8, thinking_bound=True)
    result = encoded(chat(user("Hi"), tools=(RUN, STOP, Tool("go")), tool_choice=choice), bound)
    assert [tool["name"] for tool in result.body["tools"]] == ["run", "stop", "go"]
    assert result.body.get("tool_choice") == sent
    reminders = [block["text"] for block in result.body["messages"][-1]["content"][1:]]
    assert reminders == ([f"<system-reminder>\n{words}\n</system-reminder>"] if words else [])
    assert lost(result) == (["tool_choice"] if words else [])


def test_no_tools_no_choice() -> None:
    result = encoded(chat(tool_choice=ToolChoice("required", parallel=False)))
    assert "tool_choice" not in result.body
    assert lost(result) == ["tool_choice"]
    assert lost(encoded(chat(tool_choice=ToolChoice("none")))) == []


def test_a_model_that_cannot_be_made_to_call_is_left_to_choose() -> None:
    request = chat(tools=(RUN,), tool_choice=ToolChoice("required", parallel=False))
    result = encoded(request, FABLE_5)
    assert result.body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert lost(result) == ["tool_choice"]
    assert encoded(request, SONNET_4_5).body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
