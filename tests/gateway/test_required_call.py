"""A tool call that the client requires of a model that cannot be forced to make one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.chat.repair import CALL_HINT
from bm.simulator import Rule, ToolCall, Usage
from tests.gateway.world import EVERY_CLIENT, PROTOCOLS, Answer, World

SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
ANSWER = "I would rather talk. " * 8
FREE, CALLING = Rule(text=ANSWER, chunks=1), Rule(tool_calls=(ToolCall("look", {"city": "Rome"}),))
HINT = CALL_HINT.format("look")


def required(protocol: str) -> dict[str, Any]:
    """The members of a request that requires a call of the tool `look`."""
    function = {"name": "look", "parameters": SCHEMA}
    if protocol == "anthropic":
        tools: Any = [{"name": "look", "input_schema": SCHEMA}]
        return {"tools": tools, "tool_choice": {"type": "tool", "name": "look"}}
    if protocol == "gemini":
        mode = {"mode": "ANY", "allowedFunctionNames": ["look"]}
        return {"tools": [{"functionDeclarations": [function]}], "toolConfig": {"functionCallingConfig": mode}}
    if protocol == "openai-chat":
        choice: Any = {"type": "function", "function": {"name": "look"}}
        return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
    return {"tools": [{"type": "function", **function}], "tool_choice": {"type": "function", "name": "look"}}


def asked(world: World, protocol: str, *, stream: bool, model: str = "anthropic:claude-opus-5-5") -> Answer:
    return world.ask(protocol, model, stream=stream, **required(protocol))


def accepted(world: World) -> list[str]:
    """The requests that the upstream has answered, as text."""
    return [json.dumps(record.body) for record in world.calls() if record.status == 200]


@EVERY_CLIENT
def test_a_model_that_makes_no_call_is_asked_once_more(world: World, protocol: str, stream: bool) -> None:
    world.set_up(0, {"anthropic": "exclusive"})
    world.sim.script(Rule(text=ANSWER, chunks=100), CALLING)
    answer = asked(world, protocol, stream=stream)
    assert answer.complete and b"look" in answer.body and b"rather" not in answer.body
    first, second = accepted(world)
    assert HINT not in first
    assert second.index(ANSWER.strip()) < second.index(HINT)
    assert int(answer.bm("attempts")) >= 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_second_answer_is_the_clients_whatever_it_is(world: World, protocol: str) -> None:
    world.set_up(0, {"anthropic": "exclusive"})
    world.sim.script(FREE, Rule(text="I insist.", chunks=1))
    answer = asked(world, protocol, stream=True)
    assert answer.complete and b"insist" in answer.body and b"rather" not in answer.body
    assert len(accepted(world)) == 2


def test_every_answer_is_paid_for_and_the_record_says_why_there_were_two(world: World) -> None:
    world.set_up(0, {"anthropic": "exclusive"})
    spent = Usage(input=100, output=10, cached=0)
    world.sim.script(Rule(text=ANSWER, usage=spent), Rule(tool_calls=CALLING.tool_calls, usage=spent))
    answer = asked(world, "openai-chat", stream=False)
    assert answer.json["usage"]["prompt_tokens"] == 100
    record = world.admin(f"why/{answer.bm('request-id')}")
    first, second = record["attempts"]
    assert (first["usage"]["input"], first["usage"]["output"]) == (100, 10)
    assert record["cost"] > 0 and record["usage"]["input"] == 100
    assert "called no tool" in first["message"] and "asked for once more" in second["reason"]
    assert not first["effect"]


def test_a_model_is_not_asked_again_where_the_client_has_received_text(world: World) -> None:
    world.set_up(0, {"anthropic": "exclusive"}, "[limits]\nhold_kb = 1\n")
    world.sim.script(Rule(text=ANSWER * 20, chunks=9), CALLING)
    answer = asked(world, "openai-chat", stream=True)
    assert answer.complete and b"rather" in answer.body
    assert len(accepted(world)) == 1


@pytest.mark.parametrize(
    ("rule", "pool"),
    [(Rule(text=ANSWER, chunks=1, finish="length"), ""), (FREE, "max_attempts = 1")],
    ids=["an answer that was cut short", "no further attempt"],
)
def test_an_answer_that_a_second_question_would_not_better_is_delivered(world: World, rule: Rule, pool: str) -> None:
    world.set_up(0, {"anthropic": "exclusive"}, pool=pool)
    world.sim.script(rule, CALLING)
    answer = asked(world, "openai-chat", stream=True)
    assert b"rather" in answer.body and len(accepted(world)) == 1


def test_no_call_is_missed_that_is_not_required(world: World) -> None:
    world.set_up(0, {"anthropic": "exclusive"})
    world.sim.script(FREE, CALLING)
    body = required("openai-chat") | {"tool_choice": "auto"}
    answer = world.ask("openai-chat", "anthropic:claude-opus-5-5", stream=True, **body)
    assert b"rather" in answer.body and len(accepted(world)) == 1
