"""Counting tokens over another protocol than the client's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.gateway.counting import answer, counted, flattened, question
from bm.names import ProtocolName
from bm.simulator import Rule
from tests.gateway.world import World

BODY: dict[str, Any] = {
    "contents": [],
    "systemInstruction": {},
    "tools": [],
    "generationConfig": {},
    "safetySettings": [],
}


def test_gemini_is_asked_with_a_whole_request() -> None:
    assert question("gemini", BODY, "m") == {"generateContentRequest": {"model": "models/m", **BODY}}


def test_vertex_is_asked_without_one() -> None:
    asked = question("gemini", BODY, "m", vertex=True)
    assert asked.keys() == {"contents", "systemInstruction", "tools", "generationConfig"}


def test_anthropic_is_not_asked_with_what_its_counter_refuses() -> None:
    body = {"model": "m", "messages": [], "max_tokens": 5, "stream": True, "temperature": 1, "tools": []}
    assert question("anthropic", body, "m") == {"model": "m", "messages": [], "tools": []}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"contents": []}', b'{"generateContentRequest": 5}'])
def test_what_is_no_whole_request_stays_as_it_is(body: bytes) -> None:
    assert flattened(body) == body


def test_a_whole_request_is_flattened_for_vertex() -> None:
    inner = {"model": "models/m", "contents": [1], "systemInstruction": {"parts": []}}
    found = json.loads(flattened(json.dumps({"generateContentRequest": inner}).encode()))
    assert found == {"contents": [1], "systemInstruction": {"parts": []}}


@pytest.mark.parametrize(
    ("body", "tokens"),
    [({"totalTokens": 7}, 7), ({"input_tokens": 8}, 8), ({}, None), ({"totalTokens": "7"}, None), ([], None)],
)
def test_the_number_in_an_answer(body: Any, tokens: int | None) -> None:
    assert counted(body) == tokens


@pytest.mark.parametrize(
    ("client", "document"),
    [
        ("gemini", {"totalTokens": 7}),
        ("anthropic", {"input_tokens": 7}),
        ("openai-responses", {"object": "response.input_tokens", "input_tokens": 7}),
    ],
)
def test_the_number_in_each_shape(client: ProtocolName, document: dict[str, Any]) -> None:
    assert json.loads(answer(client, 7)) == document


COUNTS = [
    ("anthropic", "/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "hello"}]}, "input_tokens"),
    ("openai-responses", "/v1/responses/input_tokens", {"input": "hello"}, "input_tokens"),
    (
        "gemini",
        "/v1beta/models/gemini-2.5-flash:countTokens",
        {"contents": [{"parts": [{"text": "hello"}]}]},
        "totalTokens",
    ),
]


@pytest.mark.parametrize(("protocol", "path", "body", "name"), COUNTS, ids=[row[0] for row in COUNTS])
def test_tokens_are_counted_by_the_pool(
    world: World, protocol: str, path: str, body: dict[str, Any], name: str
) -> None:
    counted_here = world.send(protocol, path, {"model": "claude-sonnet-5", **body} if protocol != "gemini" else body)
    assert counted_here.status == 200 and counted_here.json[name] > 0
    assert counted_here.bm("provider") == "gemini" and "x-bm-estimate" not in counted_here.headers
    assert [call.operation for call in world.calls()] == ["count"]


def test_an_upstream_that_cannot_count_is_helped_by_an_estimate(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"})
    body = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "hello " * 100}]}
    found = world.send("anthropic", "/v1/messages/count_tokens", body)
    assert found.status == 200 and 50 < found.json["input_tokens"] < 300
    assert found.headers["x-bm-estimate"] == "true" and world.calls() == []


def test_a_count_that_fails_goes_to_the_next_account(world: World) -> None:
    world.sim.script(Rule(operation="count", status=429, retry_info="60s"))
    body = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "hello"}]}
    found = world.send("anthropic", "/v1/messages/count_tokens", body)
    assert found.status == 200 and found.bm("attempts") == "2"
