"""Tool names that an upstream takes, and the way back."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.events import Event, PartDelta, PartEnd, PartSignature, PartStart
from bm.chat.parts import ToolCall, ToolResult
from bm.chat.request import ChatRequest, HostedTool, Loss, Tool, ToolChoice, Turn
from bm.chat.signature import Signature
from bm.names import PROTOCOLS, ProtocolName
from bm.protocols.json_schema.subsets import CUSTOM_TOOL
from bm.protocols.tools import (
    RULES,
    SingleCall,
    as_function,
    free_text,
    legal_call_id,
    most_used,
    restore,
    with_legal_names,
)


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
    assert with_legal_names(request, protocol) == (request, {})
    assert with_legal_names(request, protocol)[0] is request


def test_a_name_is_the_same_in_definition_choice_call_and_result() -> None:
    renamed, reverse = with_legal_names(asked("files/read"), "openai-chat")
    assert reverse == {"files_read": "files/read"}
    assert renamed.tools[0].name == "files_read" and renamed.tool_choice.names == ("files_read",)
    call, result = renamed.turns[0].parts[0], renamed.turns[1].parts[0]
    assert isinstance(call, ToolCall) and isinstance(result, ToolResult)
    assert (call.name, call.id, result.name) == ("files_read", "files/read", "files_read")


def test_names_that_would_become_one_stay_two() -> None:
    renamed, reverse = with_legal_names(asked("a/b", "a.b", "a_b"), "anthropic")
    names = [tool.name for tool in renamed.tools]
    assert len(set(names)) == 3 and names[2] == "a_b"
    assert [reverse.get(name, name) for name in names] == ["a/b", "a.b", "a_b"]


def test_a_tool_that_is_given_twice_is_sent_once_and_another_of_its_name_under_a_new_one() -> None:
    search = HostedTool("web_search", "openai-responses", {"type": "web_search"})
    tools = (Tool("f", "one"), Tool("f", "one"), Tool("f", "two"), Tool("web_search", "own"))
    request = msgspec.structs.replace(asked(), tools=tools, hosted_tools=(search,), tool_choice=ToolChoice())
    renamed, reverse = with_legal_names(request, "anthropic")
    assert [(tool.name, tool.description) for tool in renamed.tools] == [
        ("f", "one"),
        ("f_2", "two"),
        ("web_search_2", "own"),
    ]
    assert reverse == {"f_2": "f", "web_search_2": "web_search"}


def test_of_too_many_tools_those_go_that_the_conversation_has_not_used() -> None:
    request = asked("c")
    request = msgspec.structs.replace(request, tools=tuple(Tool(name) for name in "abcd"))
    losses: list[Loss] = []
    assert [tool.name for tool in most_used(request, 2, losses)] == ["a", "c"]
    assert [loss.field for loss in losses] == ["tools[2:]"]
    assert most_used(request, 0, losses) is request.tools and len(losses) == 1


@given(st.lists(st.text(min_size=1), unique=True, max_size=6), st.sampled_from(PROTOCOLS))
def test_every_name_becomes_legal_and_comes_back(names: list[str], protocol: ProtocolName) -> None:
    renamed, reverse = with_legal_names(asked(*names), protocol)
    sent = [tool.name for tool in renamed.tools]
    assert all(RULES[protocol].legal.fullmatch(name) for name in sent)
    assert len(set(sent)) == len(names)
    assert [reverse.get(name, name) for name in sent] == names


def test_events_are_given_the_clients_name_back() -> None:
    reverse = {"a_b": "a/b"}
    assert restore(PartStart(0, "tool_call", id="1", name="a_b"), reverse) == PartStart(
        0, "tool_call", id="1", name="a/b"
    )
    assert restore(PartEnd(0), reverse) == PartEnd(0)


@pytest.mark.parametrize(
    ("called", "own"),
    [
        ("functions.a_b", "a/b"),
        ("default_api:look", "look"),
        ("look<|channel|>commentary", "look"),
        (" look", "look"),
        ("functions.other", "functions.other"),
        ("functions.real", "functions.real"),
        ("Look", "Look"),
    ],
)
def test_a_name_with_more_than_the_name_is_the_tools(called: str, own: str) -> None:
    names = {"a_b": "a/b", "look": "look", "real": "real", "functions.real": "functions.real"}
    assert restore(PartStart(0, "tool_call", id="1", name=called), names) == PartStart(0, "tool_call", "1", own)


@pytest.mark.parametrize("call_id", ["toolu_01", "call-1", "a" * 64])
def test_a_legal_id_stays_as_it_is(call_id: str) -> None:
    assert legal_call_id(call_id) == call_id


@given(st.text())
def test_every_id_becomes_legal_and_the_same_each_time(call_id: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", legal_call_id(call_id))
    assert legal_call_id(call_id) == legal_call_id(call_id) == legal_call_id(legal_call_id(call_id))


@pytest.mark.parametrize(("one", "other"), [("a.b", "a:b"), ("x" * 65, "x" * 66), ("", ".")])
def test_different_ids_stay_different(one: str, other: str) -> None:
    assert legal_call_id(one) != legal_call_id(other)


def kept(*events: Event) -> list[Event]:
    single = SingleCall()
    return [event for event in events if single.keeps(event)]


def test_the_first_call_stays_and_further_ones_go_with_all_their_events() -> None:
    first: list[Event] = [PartStart(1, "tool_call", id="a", name="x"), PartDelta(1, "{}"), PartEnd(1)]
    second: list[Event] = [PartStart(2, "tool_call", id="b", name="x"), PartDelta(2, "{}")]
    rest: list[Event] = [PartSignature(2, Signature("gemini", "c2ln")), PartEnd(2)]
    assert kept(*first, *second, *rest) == first


def test_interleaved_calls_are_kept_apart() -> None:
    one, two = PartStart(1, "tool_call", id="a"), PartStart(2, "tool_call", id="b")
    assert kept(one, two, PartDelta(2, "{"), PartDelta(1, "{"), PartEnd(2), PartEnd(1)) == [
        one,
        PartDelta(1, "{"),
        PartEnd(1),
    ]


def test_text_around_the_call_stays() -> None:
    text: list[Event] = [PartStart(3, "text"), PartDelta(3, "so"), PartEnd(3)]
    call = PartStart(1, "tool_call", id="a")
    assert kept(call, PartStart(2, "tool_call", id="b"), *text) == [call, *text]


def test_each_choice_has_a_call_of_its_own() -> None:
    calls = [PartStart(1, "tool_call", id="a"), PartStart(2, "tool_call", id="b", choice=1)]
    assert kept(*calls) == calls


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ('{"input": "a"}', "a"),
        ('{"patch": "a", "input": "b"}', "b"),
        ('{"patch": "a"}', "a"),
        ('{"": "a"}', "a"),
        ('{"path": "x", "patch": "longer"}', "longer"),
        ('"a"', "a"),
        ("*** Begin Patch", "*** Begin Patch"),
        ('{"lines": ["a"]}', '{"lines": ["a"]}'),
        ("", ""),
    ],
)
def test_the_free_text_in_the_arguments_of_a_function(raw: str, text: str) -> None:
    assert free_text(raw) == text


def test_a_custom_tool_as_a_function_tells_its_grammar() -> None:
    losses: list[Loss] = []
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    for form in (grammar, {"type": "grammar", "grammar": grammar}):
        function = as_function(Tool("patch", "Patches.", kind="custom", extra={"format": form}), "tools[0]", losses)
        assert function.schema == CUSTOM_TOOL and "start: WORD" in function.description
    assert [loss.field for loss in losses] == ["tools[0].format"] * 2
    plain = Tool("patch", "Patches.", kind="custom", extra={"format": {"type": "text"}})
    assert as_function(plain, "tools[1]", losses).description == "Patches." and len(losses) == 2
