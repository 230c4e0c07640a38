"""How much to think, in every service's spelling, and signatures and tags of thinking."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import Json
from bm.chat.request import Reasoning
from bm.chat.signature import Signature, wrap
from bm.errors import RequestError
from bm.names import Level
from bm.protocols.openai_chat.thinking import (
    MEMBERS,
    TagSplitter,
    accepts,
    decode_reasoning,
    read_signature,
    write_signature,
)
from tests.protocols.openai_chat.kit import client_request, lost, sent

LEVELS: tuple[Level, ...] = ("low", "medium", "high")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, Reasoning()),
        ({"reasoning_effort": "none"}, Reasoning("off")),
        ({"reasoning_effort": "minimal"}, Reasoning("minimal")),
        ({"reasoning_effort": "XHIGH"}, Reasoning("xhigh")),
        ({"reasoning_effort": "default"}, Reasoning("auto")),
        ({"reasoning_effort": "ultra"}, Reasoning("max")),
        ({"reasoning": {"effort": "low"}}, Reasoning("low", visible=True)),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(budget=2000, visible=True)),
        ({"reasoning": {"enabled": True, "exclude": True}}, Reasoning("auto", visible=False)),
        ({"reasoning": {"enabled": False}}, Reasoning("off")),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, Reasoning(budget=4096, visible=True)),
        ({"thinking": {"type": "disabled"}}, Reasoning("off")),
        ({"enable_thinking": True, "thinking_budget": 100}, Reasoning(budget=100, visible=True)),
        ({"enable_thinking": False}, Reasoning("off")),
        ({"include_reasoning": False, "reasoning_effort": "high"}, Reasoning("high", visible=False)),
        ({"reasoning_format": "hidden"}, Reasoning(visible=False)),
        (
            {"extra_body": {"google": {"thinking_config": {"thinking_budget": 5, "include_thoughts": True}}}},
            Reasoning(budget=5, visible=True),
        ),
    ],
)
def test_every_usual_form_is_read(body: Json, expected: Reasoning) -> None:
    assert decode_reasoning(body) == expected


def test_a_wrong_type_names_its_place() -> None:
    with pytest.raises(RequestError, match=r"reasoning\.max_tokens: expected an integer, got a string"):
        decode_reasoning({"reasoning": {"max_tokens": "many"}})


def thinking(reasoning: Reasoning, dialect: str, *, max_tokens: int | None = None, **capabilities: Any) -> Json:
    """The members about thinking that go upstream."""
    given: dict[str, Any] = {"thinking": "effort", "levels": LEVELS, "thinking_off": "say", **capabilities}
    target = Capabilities(dialect=Dialect(name=dialect, thinking=dialect), **given)  # type: ignore[arg-type]
    request = msgspec.structs.replace(client_request(max_tokens=max_tokens), reasoning=reasoning)
    return {key: value for key, value in sent(request, target).items() if key in MEMBERS}


@pytest.mark.parametrize(
    ("reasoning", "dialect", "members"),
    [
        (Reasoning(), "effort", {}),
        (Reasoning("auto"), "effort", {}),
        (Reasoning("off"), "effort", {"reasoning_effort": "none"}),
        (Reasoning("minimal"), "effort", {"reasoning_effort": "low"}),
        (Reasoning("max"), "effort", {"reasoning_effort": "high"}),
        (Reasoning(budget=5000), "effort", {"reasoning_effort": "medium"}),
        (Reasoning("high"), "groq", {"reasoning_effort": "high", "reasoning_format": "parsed"}),
        (Reasoning("high", visible=False), "groq", {"reasoning_effort": "high", "reasoning_format": "hidden"}),
        (Reasoning("high"), "together", {"reasoning_effort": "high"}),
        (Reasoning("off"), "together", {"reasoning": {"enabled": False}}),
        (Reasoning("auto"), "together", {"reasoning": {"enabled": True}}),
        (Reasoning("xhigh"), "openrouter", {"reasoning": {"effort": "high"}}),
        (Reasoning(budget=5000), "openrouter", {"reasoning": {"max_tokens": 5000}}),
        (Reasoning("off"), "openrouter", {"reasoning": {"enabled": False}}),
        (Reasoning("auto", visible=False), "openrouter", {"reasoning": {"enabled": True, "exclude": True}}),
    ],
)
def test_each_service_is_asked_to_think_in_its_own_form(reasoning: Reasoning, dialect: str, members: Json) -> None:
    assert thinking(reasoning, dialect) == members


def test_a_hybrid_model_without_levels_is_switched_on() -> None:
    assert thinking(Reasoning("high"), "together", levels=()) == {"reasoning": {"enabled": True}}
    assert thinking(Reasoning("high"), "effort", levels=(), thinking_switch=True) == {"thinking": {"type": "enabled"}}


def test_a_model_with_a_switch_is_turned_off_by_it() -> None:
    assert thinking(Reasoning("off"), "effort", thinking_switch=True) == {"thinking": {"type": "disabled"}}
    assert thinking(Reasoning("high"), "effort", thinking_switch=True) == {"reasoning_effort": "high"}


@pytest.mark.parametrize(
    ("dialect", "members"),
    [("together", {"reasoning_effort": "low"}), ("openrouter", {"reasoning": {"effort": "minimal"}})],
)
def test_a_service_is_asked_for_the_least_where_a_model_cannot_stop(dialect: str, members: Json) -> None:
    assert thinking(Reasoning("off"), dialect, thinking_off="never") == members


def test_thinking_gives_way_to_a_forced_call() -> None:
    deepseek = Capabilities(
        thinking="effort",
        levels=("high",),
        thinks=True,
        thinking_off="say",
        thinking_switch=True,
        forced_tools="without_thinking",
        dialect=Dialect(name="compatible"),
    )
    tools = [{"type": "function", "function": {"name": "f"}}]
    plain = client_request(tools=tools, tool_choice="required")
    assert sent(plain, deepseek)["thinking"] == {"type": "disabled"}
    assert sent(plain, deepseek)["tool_choice"] == "required"
    assert lost(plain, deepseek) == []
    assert lost(client_request(tools=tools, tool_choice="required", reasoning_effort="high"), deepseek) == ["thinking"]


@pytest.mark.parametrize(
    ("rule", "service", "effort"),
    [
        ("", "openai", "high"),
        ("no_effort", "openai", None),
        ("thoughtless", "openai", "none"),
        ("thoughtless", "compatible", None),
    ],
)
def test_functions_over_chat_go_without_what_the_model_refuses_beside_them(
    rule: Any, service: str, effort: str
) -> None:
    target = Capabilities(
        thinking="effort", levels=LEVELS, thinking_off="say", chat_tools=rule, dialect=Dialect(name=service)
    )
    request = client_request(tools=[{"type": "function", "function": {"name": "f"}}], reasoning_effort="high")
    assert sent(request, target).get("reasoning_effort") == effort
    assert lost(request, target) == ([] if effort == "high" else ["thinking"])


def test_a_model_that_cannot_stop_thinking_thinks_least() -> None:
    assert thinking(Reasoning("off"), "effort", thinking_off="never") == {"reasoning_effort": "low"}
    assert thinking(Reasoning("off"), "effort", thinking_off="omit") == {}


def test_a_small_answer_is_not_eaten_up_by_thinking() -> None:
    assert thinking(Reasoning(), "effort", max_tokens=64, thinks=True) == {"reasoning_effort": "low"}
    assert thinking(Reasoning(), "effort", max_tokens=64) == {}
    assert thinking(Reasoning("high"), "effort", max_tokens=64) == {"reasoning_effort": "high"}
    assert thinking(Reasoning(), "effort", max_tokens=4096) == {}


def test_thinking_asked_of_a_model_without_it_is_a_loss() -> None:
    plain = Capabilities(thinking="none")
    assert lost(client_request(reasoning_effort="high"), plain) == ["reasoning_effort"]
    assert lost(client_request(reasoning_effort="none"), plain) == []
    assert "reasoning_effort" not in sent(client_request(reasoning_effort="high"), plain)


OURS = Signature("gemini", "+/+/8w==")


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ({"extra_content": {"google": {"thought_signature": "+/+/8w=="}}}, OURS),
        ({"thought_signature": "+/+/8w=="}, OURS),
        ({"extra_content": {"google": {"thought_signature": ""}}}, None),
        ({"extra_content": {"google": None}}, None),
        ({"extra_content": "x"}, None),
        ({}, None),
        (
            {"extra_content": {"google": {"thought_signature": wrap(Signature("anthropic", "v", "f"), "self")}}},
            Signature("anthropic", "v", "f"),
        ),
    ],
)
def test_signatures_are_read(owner: Json, expected: Signature | None) -> None:
    assert read_signature(owner) == expected


def test_a_signature_is_written_as_it_was_read() -> None:
    assert read_signature(write_signature(OURS)) == OURS
    assert write_signature(Signature("anthropic", "v")) == {}
    assert write_signature(None) == {}


def test_a_long_signature_is_not_cut() -> None:
    long = Signature("gemini", "QUJD" * 50_000)
    assert read_signature(write_signature(long)) == long


def test_who_accepts_a_signature() -> None:
    google = Capabilities(family="g3", dialect=Dialect(takes=frozenset({"extra_content"})))
    assert accepts(OURS, google)
    assert accepts(Signature("gemini", "v", "g3"), google)
    assert not accepts(Signature("gemini", "v", "g2"), google)
    assert not accepts(Signature("openai", "v"), google)
    assert not accepts(OURS, Capabilities())
    assert not accepts(None, google)


def split(*pieces: str) -> list[tuple[str, str]]:
    """What the pieces hold, neighbours of one kind put together."""
    splitter = TagSplitter("think")
    found = [given for piece in pieces for given in splitter.feed(piece)] + list(splitter.close())
    assert all(text for _, text in found)
    return [(kind, "".join(text for _, text in group)) for kind, group in groupby(found, key=lambda given: given[0])]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("answer", [("text", "answer")]),
        ("<think>hm</think>answer", [("thinking", "hm"), ("text", "answer")]),
        ("\n<think>\nhm\n</think>\n\nanswer", [("thinking", "hm\n"), ("text", "answer")]),
        ("<think></think>answer", [("text", "answer")]),
        ("<think>hm", [("thinking", "hm")]),
        ("<think>a </thin b</think>c", [("thinking", "a </thin b"), ("text", "c")]),
        ("the tag <think> is </think> text here", [("text", "the tag <think> is </think> text here")]),
        ("<think>a</think>b<think>c</think>", [("thinking", "a"), ("text", "b<think>c</think>")]),
        ("<thinker>", [("text", "<thinker>")]),
        ("<thi", [("text", "<thi")]),
        ("<think>a</thi", [("thinking", "a</thi")]),
        ("  x", [("text", "  x")]),
        ("", []),
    ],
)
def test_thinking_is_split_off_the_head(content: str, expected: list[tuple[str, str]]) -> None:
    assert split(content) == expected
    assert split(*content) == expected


PIECES = st.sampled_from(["<think>", "</think>", "\n", "<", "</thi", " ", "a"])


@given(st.lists(PIECES, max_size=8).map("".join), st.integers(0, 40), st.integers(0, 40))
def test_how_the_content_is_cut_makes_no_difference(content: str, first: int, second: int) -> None:
    low, high = sorted((first, second))
    pieces = [piece for piece in (content[:low], content[low:high], content[high:]) if piece]
    assert split(*pieces) == split(content) == split(*content)


def test_text_is_not_held_back_longer_than_it_may_be_a_tag() -> None:
    splitter = TagSplitter("think")
    assert list(splitter.feed("<th")) == []
    assert list(splitter.feed("e end")) == [("text", "<the end")]
    thinking = TagSplitter("think")
    assert list(thinking.feed("<think>so</")) == [("thinking", "so")]
    assert list(thinking.feed("b>")) == [("thinking", "</b>")]
