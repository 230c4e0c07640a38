"""Earlier responses, named instead of sent again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.gateway.call import Call
from bm.gateway.responses import ResponseStore
from tests.gateway.world import World


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


def response(name: str, text: str) -> dict[str, Any]:
    return {"id": name, "output": [{"type": "message", "role": "assistant", "content": text}]}


def call(body: dict[str, Any], protocol: str = "openai-responses") -> Call:
    content = json.dumps(body).encode()
    return Call(
        id="r",
        protocol=protocol,  # type: ignore[arg-type]
        operation="generate",
        headers=[],
        body=content,
        model="m",
        stream=False,
    )


@pytest.fixture
def store() -> ResponseStore:
    """A conversation of two turns."""
    store = ResponseStore()
    store.keep({"input": "one"}, response("resp_1", "two"))
    store.keep({"input": [said("three")], "previous_response_id": "resp_1"}, response("resp_2", "four"))
    return store


def words(items: list[dict[str, Any]] | None) -> list[str] | None:
    return None if items is None else [item["content"] for item in items]


def test_all_that_was_said_up_to_a_response(store: ResponseStore) -> None:
    assert words(store.items("resp_1")) == ["one", "two"]
    assert words(store.items("resp_2")) == ["one", "two", "three", "four"]
    assert store.items("resp_9") is None


def test_a_call_is_completed_with_what_came_before(store: ResponseStore) -> None:
    asked = {"model": "m", "input": "five", "previous_response_id": "resp_2", "instructions": "Be good."}
    body = json.loads(store.completed(call(asked)).body)
    assert words(body["input"]) == ["one", "two", "three", "four", "five"]
    assert "previous_response_id" not in body and body["instructions"] == "Be good."


@pytest.mark.parametrize(
    ("body", "protocol"),
    [
        ({"input": "five"}, "openai-responses"),
        ({"input": "five", "previous_response_id": None}, "openai-responses"),
        ({"input": "five", "previous_response_id": "resp_9"}, "openai-responses"),
        ({"input": "five", "previous_response_id": ["resp_2"]}, "openai-responses"),
        ({"input": "five", "previous_response_id": "resp_2"}, "openai-chat"),
    ],
)
def test_any_other_call_stays_as_it_is(store: ResponseStore, body: dict[str, Any], protocol: str) -> None:
    asked = call(body, protocol)
    assert store.completed(asked) is asked


def test_what_is_not_to_be_stored_is_not() -> None:
    store = ResponseStore()
    store.keep({"input": "secret", "store": False}, response("resp_1", "two"))
    assert store.items("resp_1") is None


def test_the_oldest_go_and_what_hung_on_them_is_not_told_by_halves() -> None:
    store = ResponseStore(max_bytes=400)
    store.keep({"input": "one " * 20}, response("resp_1", "two"))
    store.keep({"input": "three " * 20, "previous_response_id": "resp_1"}, response("resp_2", "four"))
    assert store.items("resp_1") is None and store.items("resp_2") is None


def test_a_circle_ends() -> None:
    store = ResponseStore()
    store.keep({"input": "one", "previous_response_id": "resp_1"}, response("resp_1", "two"))
    assert store.items("resp_1") is None


@pytest.mark.parametrize("stream", [True, False])
def test_a_conversation_goes_on_over_the_pool(world: World, stream: bool) -> None:
    first = world.send("openai-responses", "/v1/responses", {"model": "gpt-5", "input": "remember the word plum"})
    name = first.json["id"]
    body = {"model": "gpt-5", "input": "which word?", "previous_response_id": name, "stream": stream}
    second = world.send("openai-responses", "/v1/responses", body, stream=stream)
    assert second.complete
    sent = json.dumps(world.calls()[-1].body)
    assert "remember the word plum" in sent and "which word?" in sent
