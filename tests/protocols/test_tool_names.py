"""Tool names that an upstream takes, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.events import PartEnd, PartStart, PartWhole
from bm.chat.parts import ToolCall, ToolResult
from bm.chat.request import ChatRequest, Tool, ToolChoice, Turn
from bm.names import PROTOCOLS, ProtocolName
from bm.protocols.tool_names import RULES, restore, sanitise


def asked(*names: str) -> ChatRequest:
    """A request with these tools, each of them forced, called and answered."""
    calls = tuple(ToolCall(id=name, name=name, arguments={}) for name in names)
    results = tuple(ToolResult(call_id=name, name=name) for name in names)
    return ChatRequest(
        protocol="anthropic",
        model="m",
        turns=(Turn("assistant", calls), Turn("user", results)),
        tools=tuple(Tool(name) for name in names),
        tool_choice=ToolChoice("required", names),
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_legal_names_cost_nothing(protocol: ProtocolName) -> None:
    request = asked("read_file", "mcp__server__do-it")
    assert sanitise(request, protocol) == (request, {})
    assert sanitise(request, protocol)[0] is request


def test_a_name_is_the_same_in_definition_choice_call_and_result() -> None:
    renamed, reverse = sanitise(asked("files/read"), "openai-chat")
    assert reverse == {"files_read": "files/read"}
    assert renamed.tools[0].name == "files_read" and renamed.tool_choice.names == ("files_read",)
    call, result = renamed.turns[0].parts[0], renamed.turns[1].parts[0]
    assert isinstance(call, ToolCall) and isinstance(result, ToolResult)
    assert (call.name, call.id, result.name) == ("files_read", "files/read", "files_read")


def test_names_that_would_become_one_stay_two() -> None:
    renamed, reverse = sanitise(asked("a/b", "a.b", "a_b"), "anthropic")
    names = [tool.name for tool in renamed.tools]
    assert len(set(names)) == 3 and names[2] == "a_b"
    assert [reverse.get(name, name) for name in names] == ["a/b", "a.b", "a_b"]


@given(st.lists(st.text(min_size=1), unique=True, max_size=6), st.sampled_from(PROTOCOLS))
def test_every_name_becomes_legal_and_comes_back(names: list[str], protocol: ProtocolName) -> None:
    renamed, reverse = sanitise(asked(*names), protocol)
    sent = [tool.name for tool in renamed.tools]
    assert all(RULES[protocol].legal.fullmatch(name) for name in sent)
    assert len(set(sent)) == len(names)
    assert [reverse.get(name, name) for name in sent] == names


def test_events_are_given_the_clients_name_back() -> None:
    reverse = {"a_b": "a/b"}
    assert restore(PartStart(0, "tool_call", id="1", name="a_b"), reverse) == PartStart(
        0, "tool_call", id="1", name="a/b"
    )
    whole = PartWhole(0, ToolCall(id="1", name="a_b", arguments={}))
    assert restore(whole, reverse) == PartWhole(0, ToolCall(id="1", name="a/b", arguments={}))
    assert restore(PartEnd(0), reverse) == PartEnd(0)
