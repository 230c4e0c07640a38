"""A model that takes no pictures goes on with a conversation that once held one: over sockets, for every client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.simulator import Rule
from tests.gateway.world import EVERY_CLIENT, EVERY_PROTOCOL, MODELS, PROTOCOLS_LINE, Answer, World, path_of

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
DATA_URL = f"data:image/png;base64,{PIXEL}"
NOTE = "left out: this model cannot be shown it"


def mapped(model: str) -> str:
    """A provider's table by which every client's model becomes this one."""
    names = ", ".join(f'"{name}" = "{model}"' for name in sorted(set(MODELS.values())))
    return f"{PROTOCOLS_LINE}\nmodels = {{ {names} }}\n"


BLIND = mapped("llama-3.3-70b-versatile")
SEEING = mapped("meta-llama/Llama-4-Maverick-17B")
PICTURES: dict[str, Any] = {
    "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
    "openai-chat": {"type": "image_url", "image_url": {"url": DATA_URL}},
    "openai-responses": {"type": "input_image", "image_url": DATA_URL},
    "gemini": {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
}
TOOL_TURNS: dict[str, list[Any]] = {
    "anthropic": [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "see", "input": {}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [PICTURES["anthropic"]]}],
        },
    ],
    "openai-responses": [
        {"role": "user", "content": "look"},
        {"type": "function_call", "call_id": "t1", "name": "see", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "t1", "output": [PICTURES["openai-responses"]]},
    ],
    "gemini": [
        {"role": "user", "parts": [{"text": "look"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "see", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "see", "response": {}}}, PICTURES["gemini"]]},
    ],
}
MEMBERS = {"openai-responses": "input", "gemini": "contents"}


def shown(protocol: str, text: str) -> dict[str, Any]:
    """A message of the person's with a picture."""
    if protocol == "gemini":
        return {"role": "user", "parts": [{"text": text}, PICTURES["gemini"]]}
    kind = "input_text" if protocol == "openai-responses" else "text"
    return {"role": "user", "content": [{"type": kind, "text": text}, PICTURES[protocol]]}


def said(protocol: str, role: str, text: str) -> dict[str, Any]:
    """A message in words."""
    if protocol == "gemini":
        return {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}
    return {"role": role, "content": text}


def earlier(protocol: str) -> list[Any]:
    """A conversation that began with a picture and has gone on since."""
    return [shown(protocol, "look"), said(protocol, "assistant", "nice"), said(protocol, "user", "and now?")]


def ask(world: World, protocol: str, turns: list[Any], *, stream: bool = True) -> Answer:
    head = {"anthropic": {"max_tokens": 100}}.get(protocol, {})
    name = {} if protocol == "gemini" else {"model": MODELS[protocol], "stream": stream}
    body = {**name, **head, MEMBERS.get(protocol, "messages"): turns}
    return world.send(protocol, path_of(protocol, MODELS[protocol], stream=stream), body, stream=stream)


def sent(world: World) -> str:
    """What went upstream last."""
    return json.dumps(world.calls()[-1].body)


@EVERY_CLIENT
def test_a_note_stands_for_the_picture_of_an_earlier_turn(world: World, protocol: str, stream: bool) -> None:
    world.set_up(1, {"groq": "exclusive"}, tables={"groq": BLIND})
    answer = ask(world, protocol, earlier(protocol), stream=stream)
    assert answer.complete and answer.bm("dropped") == "images"
    assert NOTE in sent(world) and PIXEL not in sent(world) and "and now?" in sent(world)


@pytest.mark.parametrize("protocol", TOOL_TURNS)
def test_a_note_stands_for_what_a_tool_has_shown(world: World, protocol: str) -> None:
    world.set_up(1, {"groq": "exclusive"}, tables={"groq": BLIND})
    answer = ask(world, protocol, TOOL_TURNS[protocol])
    assert answer.complete and answer.bm("dropped") == "images"
    assert NOTE in sent(world) and PIXEL not in sent(world)


@EVERY_PROTOCOL
def test_a_picture_that_the_person_has_just_sent_is_refused(world: World, protocol: str) -> None:
    world.set_up(1, {"groq": "exclusive"}, tables={"groq": BLIND})
    answer = ask(world, protocol, [shown(protocol, "look")], stream=False)
    assert answer.status == 400 and "takes no images" in answer.message
    assert world.calls() == []


@EVERY_PROTOCOL
def test_strict_refuses_what_would_be_lost(world: World, protocol: str) -> None:
    world.set_up(1, {"groq": "exclusive"}, pool="strict = true", tables={"groq": BLIND})
    answer = ask(world, protocol, earlier(protocol), stream=False)
    assert answer.status == 400 and "takes no images" in answer.message
    assert world.calls() == []


@EVERY_PROTOCOL
def test_who_sees_the_picture_comes_first_and_is_sent_it(world: World, protocol: str) -> None:
    world.set_up(1, {"groq": "pooled", "together": "fallback"}, tables={"groq": BLIND, "together": SEEING})
    seeing, blind = [*world.pool, *world.paid["together"]], world.paid["groq"]
    world.sim.script(*(Rule(account=name, status=503, times=None) for name in seeing))
    answer = ask(world, protocol, earlier(protocol))
    assert world.asked() == [*seeing, *blind]
    first, second, third = world.calls()
    assert PIXEL in json.dumps(first.body) and PIXEL in json.dumps(second.body)
    assert answer.complete and answer.bm("dropped") == "images" and PIXEL not in json.dumps(third.body)


def test_a_conversation_that_bm_remembers_counts_like_one_that_is_sent(world: World) -> None:
    world.set_up(1, {"together": "exclusive"}, tables={"together": SEEING})
    picture = [shown("openai-responses", "look")]
    first = world.ask("openai-responses", stream=False, input=picture)
    assert first.complete
    world.set_up(1, {"groq": "exclusive"}, tables={"groq": BLIND})
    more = {"input": "and now?", "previous_response_id": first.json["id"]}
    answer = world.ask("openai-responses", stream=False, **more)
    assert answer.complete and answer.bm("dropped") == "images"
    assert NOTE in sent(world) and "and now?" in sent(world)


@EVERY_CLIENT
def test_a_model_of_which_nothing_is_known_is_asked_again_with_a_note(
    world: World, protocol: str, stream: bool
) -> None:
    table = f'{mapped("local-model")}protocol = "openai-chat"'
    world.set_up(0, {"acme": "exclusive"}, tables={"acme": table})
    world.sim.script(Rule(status=400, message="local-model is not a multimodal model"))
    answer = ask(world, protocol, earlier(protocol), stream=stream)
    assert answer.complete and (answer.bm("attempts"), answer.bm("dropped")) == ("2", "images")
    first, second = world.calls()
    assert PIXEL in json.dumps(first.body) and PIXEL not in sent(world) and NOTE in json.dumps(second.body)
