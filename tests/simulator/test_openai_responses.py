"""Responses: the official SDK, the official types, items that come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from bm.simulator import Rule, Simulator, ToolCall
from tests.simulator.streams import ask
from tests.support.shared import needs_corpus, validators

TOOL: Any = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}
BUSY = Rule(
    thinking="I should look.",
    preface="Let me look.",
    tool_calls=(ToolCall("look", {"at": "the sky"}), ToolCall("look")),
    text="It is blue.",
)
REASONING: Any = {"effort": "low", "summary": "auto"}


@pytest.fixture
def client(sim: Simulator) -> Iterator[openai.OpenAI]:
    """The SDK, pointed at the simulator."""
    with openai.OpenAI(api_key="key-one", base_url=f"{sim.url}/v1", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_with_sealed_reasoning_and_tools(sim: Simulator, client: openai.OpenAI, stream: bool) -> None:
    sim.script(BUSY)
    history: list[Any] = [{"role": "user", "content": "What colour is the sky?"}]
    fields: Any = {
        "model": "gpt-5",
        "tools": [TOOL],
        "reasoning": REASONING,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }

    def turn() -> openai.types.responses.Response:
        if not stream:
            response: openai.types.responses.Response = client.responses.create(input=history, **fields)
            return response
        with client.responses.stream(input=history, **fields) as events:
            return events.get_final_response()

    first = turn()
    assert [item.type for item in first.output] == ["reasoning", "message", "function_call", "function_call"]
    for item in first.output:
        history.append(item.model_dump(exclude_none=True, exclude={"parsed_arguments"}))
        for part in history[-1].get("content") or []:
            part.pop("parsed", None)
    calls = [item for item in first.output if item.type == "function_call"]
    history += [{"type": "function_call_output", "call_id": call.call_id, "output": "blue"} for call in calls]
    assert turn().output_text == "It is blue."


@needs_corpus
@pytest.mark.corpus
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("rule", [Rule(), BUSY, Rule(text=""), Rule(finish="content_filter"), Rule(finish="length")])
def test_an_answer_is_of_the_official_types(sim: Simulator, http: httpx.Client, stream: bool, rule: Rule) -> None:
    sim.script(rule)
    answer = ask(http, "openai-responses", stream=stream, reasoning=REASONING)
    result = validators().validate_response("openai.responses", answer.text, compat=False)
    assert (result.errors, result.warnings) == ([], [])


def test_numbers_rise_from_0_and_nothing_follows_the_last_event(http: httpx.Client) -> None:
    text = ask(http, "openai-responses").text
    events = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    assert "[DONE]" not in text


def test_an_earlier_response_may_be_referred_to(client: openai.OpenAI) -> None:
    first = client.responses.create(model="gpt-5", input="hello")
    again = client.responses.create(model="gpt-5", input="and?", previous_response_id=first.id)
    assert again.output_text == "[simulated gpt-5] and?"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("member", ["tools", "input"])
def test_custom_tools_and_those_of_a_namespace_are_called_as_such(
    sim: Simulator, http: httpx.Client, member: str, stream: bool
) -> None:
    sim.script(Rule(tool_calls=(ToolCall("run", {"input": "1 + 1"}), ToolCall("team__ask", {"whom": "all"}))))
    tools = [
        {"type": "custom", "name": "run"},
        {"type": "namespace", "name": "team", "tools": [TOOL | {"name": "ask"}]},
    ]
    said = [{"role": "user", "content": "hi"}]
    body = {"tools": {"tools": tools}, "input": {"input": [{"type": "additional_tools", "tools": tools}, *said]}}[
        member
    ]
    answer = http.post("/v1/responses", json={"model": "gpt-5", "input": said, "stream": stream, **body})
    assert answer.status_code == 200
    last = answer.text.split("data: ")[-1]
    output = (json.loads(last)["response"] if stream else answer.json())["output"]
    free, named = output
    assert (free["type"], free["name"], free["input"]) == ("custom_tool_call", "run", "1 + 1")
    assert (named["type"], named["namespace"], named["name"]) == ("function_call", "team", "ask")
    assert stream == ("response.custom_tool_call_input.done" in answer.text)


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_is_compacted_into_a_sealed_item(http: httpx.Client, stream: bool) -> None:
    items = [{"role": "user", "content": "hi"}, {"type": "compaction_trigger"}]
    answer = http.post("/v1/responses", json={"model": "gpt-5", "input": items, "stream": stream})
    last = json.loads(answer.text.split("data: ")[-1])["response"] if stream else answer.json()
    assert [item["type"] for item in last["output"]] == ["compaction"]
