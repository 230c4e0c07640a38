"""Interactions as google-genai makes them, over the daemon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai.types import HttpOptions

from bm.simulator import Rule
from bm.simulator.rules import ToolCall
from tests.gateway.world import World

TOOL = {"type": "function", "name": "get", "description": "d", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture(params=["gemini-3.8-flash", "anthropic:claude-sonnet-5", "openai:gpt-5.4"])
def model(request: pytest.FixtureRequest, world: World) -> str:
    world.set_up(1, {"anthropic": "fallback", "openai": "fallback"})
    return str(request.param)


@pytest.fixture
def api(world: World) -> Iterator[Any]:
    """The interactions of a client."""
    client = genai.Client(api_key=world.daemon.key, http_options=HttpOptions(base_url=world.daemon.url))
    yield client.interactions


def test_a_text(world: World, api: Any, model: str) -> None:
    world.sim.script(Rule(text="hello"))
    answer = api.create(model=model, input="hi")
    assert (answer.status, answer.output_text) == ("completed", "hello") and answer.usage.total_input_tokens


def test_a_stream(world: World, api: Any, model: str) -> None:
    world.sim.script(Rule(text="hello there", chunks=3))
    events = list(api.create(model=model, input="hi", stream=True))
    assert (events[0].event_type, events[-1].event_type) == ("interaction.created", "interaction.completed")
    pieces = [event.delta.text for event in events if event.event_type == "step.delta" and event.delta.type == "text"]
    assert "".join(pieces) == "hello there"


def test_a_tool_and_an_earlier_interaction(world: World, api: Any, model: str) -> None:
    world.sim.script(Rule(tool_calls=(ToolCall("get", {}),), text="it is warm"))
    called = api.create(model=model, input="weather?", tools=[TOOL])
    call = next(step for step in called.steps if step.type == "function_call")
    assert called.status == "requires_action"
    result = {"type": "function_result", "call_id": call.id, "name": call.name, "result": "22 C"}
    answer = api.create(model=model, input=[result], tools=[TOOL], previous_interaction_id=called.id)
    assert answer.output_text == "it is warm"
    sent = str(world.calls()[-1].body)
    assert "weather?" in sent and "22 C" in sent


def test_what_is_not_stored_cannot_be_gone_on_from(world: World, api: Any) -> None:
    world.set_up(1)
    unstored = api.create(model="gemini-3.8-flash", input="hi", store=False)
    with pytest.raises(Exception, match=f"there is no interaction {unstored.id}"):
        api.create(model="gemini-3.8-flash", input="more", previous_interaction_id=unstored.id)


def test_errors_have_the_form_of_this_api(world: World) -> None:
    world.set_up(1)
    answer = world.http.post("/v1beta/interactions", json={"model": "gemini-3.8-flash", "input": []})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    world.sim.script(Rule(status=400, message="no such thing", times=None))
    answer = world.http.post("/v1beta/interactions", json={"model": "gemini-3.8-flash", "input": "hi"})
    assert answer.status_code == 400 and answer.json()["error"].keys() == {"code", "message"}


def test_a_cut_stream_is_no_interaction(world: World, api: Any) -> None:
    world.set_up(1)
    world.sim.script(Rule(text="hello there", chunks=6, cut_after=3, times=None))
    events = []
    with pytest.raises(Exception, match="peer closed connection"):
        for event in api.create(model="gemini-3.8-flash", input="hi", stream=True):
            events.append(event.event_type)
    assert events[-1] == "error" and "interaction.completed" not in events


def test_an_interaction_can_be_read_and_deleted(world: World, api: Any) -> None:
    world.set_up(1)
    made = api.create(model="gemini-3.8-flash", input="hi")
    assert api.get(made.id).output_text == made.output_text
    api.delete(made.id)
    answer = world.http.get(f"/v1beta/interactions/{made.id}")
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"


def test_what_is_left_out_is_reported(world: World) -> None:
    world.set_up(1)
    body = {"model": "gemini-3.8-flash", "input": "hi", "unheard_of": 1}
    answer = world.http.post("/v1beta/interactions", json=body)
    assert answer.headers["x-bm-dropped"] == "unheard_of"
