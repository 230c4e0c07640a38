"""Token counts between protocols."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.names import ProtocolName
from bm.protocols.counting import count_request, count_response, read_count, vertex_count_request

BODY: dict[str, Any] = {
    "contents": [],
    "systemInstruction": {},
    "tools": [],
    "generationConfig": {},
    "safetySettings": [],
}


def test_gemini_is_asked_with_a_whole_request() -> None:
    assert count_request("gemini", BODY, "m") == {"generateContentRequest": {"model": "models/m", **BODY}}


def test_vertex_is_asked_without_one() -> None:
    asked = count_request("gemini", BODY, "m", vertex=True)
    assert asked.keys() == {"contents", "systemInstruction", "tools", "generationConfig"}


def test_anthropic_is_not_asked_with_what_its_counter_refuses() -> None:
    body = {"model": "m", "messages": [], "max_tokens": 5, "stream": True, "temperature": 1, "tools": []}
    assert count_request("anthropic", body, "m") == {"model": "m", "messages": [], "tools": []}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"contents": []}', b'{"generateContentRequest": 5}'])
def test_what_is_no_whole_request_stays_as_it_is(body: bytes) -> None:
    assert vertex_count_request(body) == body


def test_a_whole_request_is_flattened_for_vertex() -> None:
    inner = {"model": "models/m", "contents": [1], "systemInstruction": {"parts": []}}
    found = json.loads(vertex_count_request(json.dumps({"generateContentRequest": inner}).encode()))
    assert found == {"contents": [1], "systemInstruction": {"parts": []}}


@pytest.mark.parametrize(
    ("body", "tokens"),
    [({"totalTokens": 7}, 7), ({"input_tokens": 8}, 8), ({}, None), ({"totalTokens": "7"}, None)],
)
def test_the_number_in_an_answer(body: dict[str, Any], tokens: int | None) -> None:
    assert read_count(body) == tokens


@pytest.mark.parametrize(
    ("client", "document"),
    [
        ("gemini", {"totalTokens": 7}),
        ("anthropic", {"input_tokens": 7}),
        ("openai-responses", {"object": "response.input_tokens", "input_tokens": 7}),
    ],
)
def test_the_number_in_each_shape(client: ProtocolName, document: dict[str, Any]) -> None:
    assert json.loads(count_response(client, 7)) == document
