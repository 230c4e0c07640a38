"""Anthropic Messages: the official SDK, the official types, and turns that carry signatures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest

from bm.simulator import Rule, Simulator, ToolCall
from tests.simulator.streams import ask
from tests.support.shared import needs_corpus, validators

MODEL = "claude-haiku-4-5"
TOOL: Any = {"name": "look", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}}
THINKING: Any = {"type": "enabled", "budget_tokens": 1024}
BUSY = Rule(
    thinking="I should look.",
    preface="Let me look.",
    tool_calls=(ToolCall("look", {"at": "the sky"}), ToolCall("look")),
    text="It is blue.",
)


@pytest.fixture
def client(sim: Simulator) -> Iterator[anthropic.Anthropic]:
    """The SDK, pointed at the simulator."""
    with anthropic.Anthropic(api_key="key-one", base_url=sim.url, max_retries=0) as made:
        yield made


@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_with_thinking_and_parallel_tools(sim: Simulator, client: anthropic.Anthropic, stream: bool) -> None:
    sim.script(BUSY)
    messages: Any = [{"role": "user", "content": "What colour is the sky?"}]
    fields: Any = {"model": MODEL, "max_tokens": 4096, "tools": [TOOL], "thinking": THINKING}

    def turn() -> anthropic.types.Message:
        if not stream:
            message: anthropic.types.Message = client.messages.create(messages=messages, **fields)
            return message
        with client.messages.stream(messages=messages, **fields) as events:
            return events.get_final_message()

    first = turn()
    assert [block.type for block in first.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.input for block in first.content if block.type == "tool_use"] == [{"at": "the sky"}, {}]
    assert first.stop_reason == "tool_use"
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "blue"}
        for block in first.content
        if block.type == "tool_use"
    ]
    echoed = [block.model_dump(exclude_none=True, exclude={"parsed_output", "caller"}) for block in first.content]
    messages += [{"role": "assistant", "content": echoed}, {"role": "user", "content": results}]
    last = turn()
    assert [block.text for block in last.content if block.type == "text"] == ["It is blue."]
    assert last.stop_reason == "end_turn"


@needs_corpus
@pytest.mark.corpus
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("rule", [Rule(), BUSY, Rule(text=""), Rule(finish="content_filter"), Rule(finish="length")])
def test_an_answer_is_of_the_official_types(sim: Simulator, http: httpx.Client, stream: bool, rule: Rule) -> None:
    sim.script(rule)
    answer = ask(http, "anthropic", stream=stream, tools=[TOOL], thinking=THINKING)
    result = validators().validate_response("anthropic.messages", answer.text, compat=False)
    assert (result.errors, result.warnings) == ([], [])


def test_the_stream_is_framed_as_the_service_frames_it(http: httpx.Client) -> None:
    text = ask(http, "anthropic").text
    names = [line.removeprefix("event: ") for line in text.split("\n") if line.startswith("event: ")]
    assert names[:3] == ["message_start", "ping", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert "\r" not in text


def test_thinking_is_shown_when_it_is_asked_for(client: anthropic.Anthropic) -> None:
    ask_: Any = {"model": "claude-opus-4-8", "max_tokens": 99, "messages": [{"role": "user", "content": "hello"}]}
    assert [block.type for block in client.messages.create(**ask_).content] == ["text"]
    shown = client.messages.create(**ask_, thinking={"type": "adaptive"}).content[0]
    hidden = client.messages.create(**ask_, thinking={"type": "adaptive", "display": "omitted"}).content[0]
    assert shown.type == hidden.type == "thinking"
    assert (bool(shown.thinking), bool(hidden.thinking)) == (True, False)


def test_what_stands_before_a_mark_is_written_to_the_cache_and_read_again(client: anthropic.Anthropic) -> None:
    ask_: Any = {
        "model": MODEL,
        "max_tokens": 99,
        "system": [{"type": "text", "text": "Be kind. " * 20, "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "hello"}],
    }
    first, again = client.messages.create(**ask_).usage, client.messages.create(**ask_).usage
    assert (first.cache_read_input_tokens, again.cache_creation_input_tokens) == (0, 0)
    assert first.cache_creation_input_tokens == again.cache_read_input_tokens
    assert again.cache_read_input_tokens
    assert first.input_tokens == again.input_tokens


def test_tokens_are_counted(client: anthropic.Anthropic) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]
    counted = client.messages.count_tokens(model=MODEL, messages=messages)
    spent = client.messages.create(model=MODEL, max_tokens=99, messages=messages).usage
    assert counted.input_tokens == spent.input_tokens > 0
