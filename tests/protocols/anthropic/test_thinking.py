from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Thinking, ToolCall, ToolResult
from bm.chat.request import Extra, Reasoning, Tool, ToolChoice
from bm.chat.signature import Signature
from bm.errors import RequestError
from bm.names import Level
from bm.protocols.anthropic.thinking import asks_to_think, may_be_claudes
from tests.protocols.anthropic.examples import (
    FABLE_5,
    HAIKU_3,
    OPUS_4_8,
    OPUS_5,
    SONNET_4_5,
    SONNET_5_5,
    assistant,
    chat,
    decoded,
    encoded,
    lost,
    user,
)

HIGH = Reasoning(level="high")
RUN = Tool("run")
OWN = Thinking("hm", signature=Signature("anthropic", "EqRk"))


@pytest.mark.parametrize(
    ("members", "reasoning"),
    [
        ({}, Reasoning()),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 31999}},
            Reasoning(level="xhigh", budget=31999, visible=True),
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "output_config": {"effort": "high"}},
            Reasoning(level="high", budget=2000, visible=True),
        ),
        ({"thinking": {"type": "adaptive"}}, Reasoning(level="auto", visible=True)),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            Reasoning(level="max", visible=False),
        ),
        ({"output_config": {"effort": "medium"}}, Reasoning(level="medium")),
        ({"output_config": {"effort": "ultra"}}, Reasoning(level="max")),
        ({"thinking": {"type": "disabled"}}, Reasoning(level="off")),
        ({"thinking": {"type": "between_tools"}}, Reasoning(level="off")),
    ],
)
def test_what_a_client_asks_for(members: dict[str, Any], reasoning: Reasoning) -> None:
    assert decoded(**members).reasoning == reasoning


def test_a_message_may_set_the_effort_from_there_on() -> None:
    first = {"role": "user", "content": "a", "output_config": {"effort": "low"}}
    second = {"role": "system", "content": "b", "output_config": {"effort": "high"}}
    request = decoded(first, second, thinking={"type": "adaptive"}, output_config={"effort": "medium"})
    assert request.reasoning.level == "high"
    assert request.extras == ()


@pytest.mark.parametrize(
    "members",
    [
        {"thinking": {"type": "sometimes"}},
        {"thinking": {"type": "enabled"}},
        {"thinking": "on"},
        {"output_config": {"effort": "huge"}},
    ],
)
def test_nonsense_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        decoded(**members)


@pytest.mark.parametrize(
    ("level", "capabilities", "thinking", "effort"),
    [
        (None, OPUS_4_8, None, None),
        ("auto", OPUS_4_8, {"type": "adaptive"}, None),
        ("minimal", OPUS_4_8, {"type": "adaptive"}, "low"),
        ("high", OPUS_4_8, {"type": "adaptive"}, "high"),
        ("off", OPUS_4_8, None, None),
        ("off", OPUS_5, {"type": "disabled"}, None),
        ("off", FABLE_5, None, "low"),
        ("low", SONNET_4_5, {"type": "enabled", "budget_tokens": 2048}, None),
        ("auto", SONNET_4_5, {"type": "enabled", "budget_tokens": 10000}, None),
        ("off", SONNET_4_5, None, None),
        ("high", HAIKU_3, None, None),
    ],
)
def test_a_level_becomes_what_the_model_takes(
    level: Level | None, capabilities: Capabilities, thinking: object, effort: object
) -> None:
    body = encoded(chat(reasoning=Reasoning(level=level), max_tokens=20_000), capabilities).body
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort


@pytest.mark.parametrize(("visible", "display"), [(True, "summarized"), (False, "omitted")])
def test_what_the_client_wants_to_see_is_said(visible: bool, display: str) -> None:
    body = encoded(chat(reasoning=Reasoning(level="auto", visible=visible))).body
    assert body["thinking"] == {"type": "adaptive", "display": display}


def test_an_effort_alone_stays_one() -> None:
    body = encoded(decoded(output_config={"effort": "high"})).body
    assert "thinking" not in body
    assert body["output_config"] == {"effort": "high"}


@pytest.mark.parametrize(
    ("max_tokens", "budget", "sent"),
    [
        (20_000, 16_000, (20_000, 16_000)),
        (64, 16_000, (16_064, 16_000)),
        (60_000, 63_000, (64_000, 30_000)),
        (8_000, 100, (8_000, 1024)),
    ],
)
def test_a_budget_raises_max_tokens_and_never_eats_the_answer(
    max_tokens: int, budget: int, sent: tuple[int, int]
) -> None:
    request = chat(reasoning=Reasoning(budget=budget), max_tokens=max_tokens)
    body = encoded(request, SONNET_4_5).body
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == sent


def test_without_room_there_is_no_thinking() -> None:
    small = msgspec.structs.replace(SONNET_4_5, max_output=1500)
    result = encoded(chat(reasoning=HIGH, max_tokens=1400), small)
    assert "thinking" not in result.body and result.body["max_tokens"] == 1400
    assert lost(result) == ["thinking"]


@pytest.mark.parametrize(
    ("capabilities", "thinks", "choice", "losses"),
    [
        (FABLE_5, True, None, ["tool_choice"]),
        (SONNET_4_5, False, {"type": "any"}, ["thinking"]),
        (OPUS_4_8, True, {"type": "any"}, []),
    ],
    ids=["fable-5", "sonnet-4-5", "opus-4-8"],
)
def test_a_forced_call_and_thinking_where_they_exclude_each_other(
    capabilities: Capabilities, thinks: bool, choice: object, losses: list[str]
) -> None:
    result = encoded(chat(reasoning=HIGH, tools=(RUN,), tool_choice=ToolChoice("required")), capabilities)
    assert ("thinking" in result.body) is thinks
    assert result.body.get("tool_choice") == choice
    assert lost(result) == losses


def test_the_effort_is_lowered_where_thinking_is_off() -> None:
    request = decoded(thinking={"type": "disabled"}, output_config={"effort": "xhigh"})
    assert request.extras == (Extra("anthropic", "output_config", {"effort": "xhigh"}),)
    result = encoded(request, OPUS_5)
    assert result.body["output_config"] == {"effort": "high"}
    assert result.body["thinking"] == {"type": "disabled"}
    assert lost(result) == ["output_config.effort"]


def test_thinking_between_tools_is_how_sonnet_turns_it_off() -> None:
    request = decoded(thinking={"type": "between_tools"}, output_config={"effort": "max"})
    result = encoded(request, SONNET_5_5)
    assert result.body["thinking"] == {"type": "between_tools"}
    assert result.body["output_config"] == {"effort": "high"}
    assert encoded(request, OPUS_5).body["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(("capabilities", "bound"), [(SONNET_5_5, True), (OPUS_5, False)])
def test_thinking_that_fits_the_conversation_no_more_is_to_be_dropped(capabilities: Capabilities, bound: bool) -> None:
    loop = (user("Hi"), assistant(OWN, ToolCall("t1", "run", {})), user(ToolResult("t1")))
    result = encoded(chat(*loop, reasoning=HIGH, tools=(RUN,)), capabilities)
    assert ("block_binding" in result.body["thinking"]) is bound
    assert any(name == "anthropic-beta" and "binding" in value for name, value in result.headers) is bound
    assert "block_binding" not in encoded(chat(reasoning=HIGH), capabilities).body["thinking"]


@pytest.mark.parametrize(("names", "words"), [((), "one of the tools"), (("run",), "run")])
def test_a_call_that_cannot_be_forced_is_asked_for_in_words(names: tuple[str, ...], words: str) -> None:
    result = encoded(chat(tools=(RUN,), tool_choice=ToolChoice("required", names)), FABLE_5)
    assert f"Answer with a call of {words}." in result.body["messages"][-1]["content"][-1]["text"]


@pytest.mark.parametrize(("first", "thinks"), [((), False), ((OWN,), True)], ids=["unsigned", "signed"])
def test_a_budget_needs_claudes_own_thinking_in_the_tool_loop(first: tuple[Thinking, ...], thinks: bool) -> None:
    loop = (user("Hi"), assistant(*first, ToolCall("t1", "run", {})), user(ToolResult("t1")))
    result = encoded(chat(*loop, reasoning=HIGH, tools=(RUN,)), SONNET_4_5)
    assert ("thinking" in result.body) is thinks
    assert lost(result) == ([] if thinks else ["thinking"])
    assert "thinking" in encoded(chat(*loop, user("Go on"), reasoning=HIGH, tools=(RUN,)), OPUS_4_8).body


def test_an_exact_budget_is_an_effort_to_an_adaptive_model() -> None:
    result = encoded(decoded(thinking={"type": "enabled", "budget_tokens": 9000}))
    assert result.body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert result.body["output_config"] == {"effort": "high"}
    assert lost(result) == []


@pytest.mark.parametrize(
    ("body", "asks"),
    [
        (b'{"thinking": {"type": "adaptive"}}', True),
        (b'{"messages": [{"content": [{"type": "thinking"}]}]}', False),
        (b'{"messages": []}', False),
    ],
)
def test_whether_a_request_mentions_thinking(body: bytes, asks: bool) -> None:
    assert asks_to_think(body) is asks


@pytest.mark.parametrize(
    ("signature", "plausible"),
    [
        ("EqQBCgIYAhIM1gbc+a9G/w==", True),
        ("", False),
        ("8f14e45f-ceea-467f-a0e6-0b1f1c1f1c1f", False),
        ("0123456789abcdef" * 2, False),
        ("not one", False),
    ],
)
def test_a_signature_is_claudes_only_by_its_form(signature: str, plausible: bool) -> None:
    assert may_be_claudes(signature) is plausible
