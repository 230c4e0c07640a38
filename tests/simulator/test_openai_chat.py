"""Chat Completions: the official SDK, the official types, and the ways of Groq and Together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from bm.simulator import Rule, Simulator, ToolCall
from tests.simulator.streams import ask, body_of
from tests.support.shared import needs_corpus, validators

TOOL: Any = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
BUSY = Rule(tool_calls=(ToolCall("look", {"at": "the sky"}), ToolCall("look")), preface="Let me look.", text="Blue.")
USER: Any = {"role": "user", "content": "hello"}
CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


@pytest.fixture
def client(sim: Simulator) -> Iterator[openai.OpenAI]:
    """The SDK, pointed at the simulator."""
    with openai.OpenAI(api_key="key-one", base_url=f"{sim.url}/v1", max_retries=0) as made:
        yield made


def test_a_loop_of_parallel_tools(sim: Simulator, client: openai.OpenAI) -> None:
    sim.script(BUSY)
    messages: list[Any] = [USER]
    first = client.chat.completions.create(model="gpt-5", messages=messages, tools=[TOOL])
    assert first.choices[0].finish_reason == "tool_calls"
    calls = first.choices[0].message.tool_calls or []
    messages.append(first.choices[0].message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "blue"} for call in calls]
    last = client.chat.completions.create(model="gpt-5", messages=messages, tools=[TOOL])
    assert (len(calls), last.choices[0].message.content) == (2, "Blue.")


def test_a_stream_of_parallel_tools(sim: Simulator, client: openai.OpenAI) -> None:
    sim.script(BUSY)
    with client.chat.completions.stream(model="gpt-5", messages=[USER], tools=[TOOL]) as events:
        message = events.get_final_completion().choices[0].message
    calls = [call.function.arguments for call in message.tool_calls or []]
    assert (message.content, calls) == ("Let me look.", ['{"at":"the sky"}', "{}"])


@needs_corpus
@pytest.mark.corpus
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("rule", [Rule(), BUSY, Rule(text=""), Rule(finish="content_filter"), Rule(finish="length")])
def test_an_answer_is_of_the_official_types(sim: Simulator, http: httpx.Client, stream: bool, rule: Rule) -> None:
    sim.script(rule)
    fields: Any = {"stream_options": {"include_usage": True}} if stream else {}
    answer = ask(http, "openai-chat", stream=stream, **fields)
    result = validators().validate_response("openai.chat", answer.text, compat=False)
    assert result.errors == []
    assert set(result.warnings) <= {"newer SDK field: chunk *.usage.prompt_tokens_details.cache_write_tokens"}


@pytest.mark.parametrize(("asked", "last"), [(True, '"usage":{'), (False, '"finish_reason":"stop"')])
def test_usage_is_streamed_when_it_is_asked_for(http: httpx.Client, asked: bool, last: str) -> None:
    events = ask(http, "openai-chat", stream_options={"include_usage": asked}).text.strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    assert last in events[-2]
    assert sum('"usage":{' in event for event in events) == asked


@pytest.mark.parametrize(
    ("prefix", "field"),
    [("", None), ("/groq/openai", "reasoning"), ("/together", "reasoning"), ("/deepseek", "reasoning_content")],
)
def test_each_service_has_its_own_place_for_thinking(
    sim: Simulator, http: httpx.Client, prefix: str, field: str | None
) -> None:
    sim.script(Rule(thinking="Hm."))
    body = http.post(f"{prefix}/v1/chat/completions", json=body_of("openai-chat", stream=False)).json()
    message = body["choices"][0]["message"]
    assert [name for name in ("reasoning", "reasoning_content") if message.get(name) == "Hm."] == (
        [field] if field else []
    )


def test_together_tells_no_details_of_usage(http: httpx.Client) -> None:
    body = http.post("/together/v1/chat/completions", json=body_of("openai-chat", stream=False)).json()
    assert set(body["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
def test_the_sdk_raises(sim: Simulator, status: int, kind: type[openai.APIStatusError]) -> None:
    client = openai.OpenAI(api_key="k", base_url=f"{sim.url}/v1", max_retries=0)
    with client, pytest.raises(kind) as caught:
        client.chat.completions.create(model=f"sim-{status}", messages=[{"role": "user", "content": "hello"}])
    assert caught.value.type is not None
    assert caught.value.request_id == "req_sim00000001"
