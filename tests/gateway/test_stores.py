"""Signatures that clients have lost, and earlier responses that they name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.chat.parts import Text, ToolCall
from bm.chat.request import ChatRequest, Turn
from bm.chat.signature import Signature, text_key
from bm.gateway.call import Call
from bm.gateway.stores import InteractionStore, Kept, ResponseStore, SignatureStore, is_stored
from tests.gateway.world import World


def signature(value: str) -> Signature:
    return Signature("gemini", value)


def request(*calls: ToolCall, role: str = "assistant") -> ChatRequest:
    turns = (Turn("user", (Text("hello"),)), Turn(role, (Text("well"), *calls)))  # type: ignore[arg-type]
    return ChatRequest(protocol="anthropic", model="m", turns=turns)


def call(call_id: str, signed: str = "") -> ToolCall:
    return ToolCall(id=call_id, name="tool", arguments={}, signature=signature(signed) if signed else None)


def signed(found: ChatRequest) -> list[str]:
    calls = [part for turn in found.turns for part in turn.parts if isinstance(part, ToolCall)]
    return [each.signature.value if each.signature else "" for each in calls]


def test_a_lost_signature_returns_to_its_call_and_to_no_other() -> None:
    store = SignatureStore()
    store.keep({"one": signature("first"), "two": signature("second")})
    assert signed(store.sign(request(call("two"), call("three"), call("one")))) == ["second", "", "first"]


def test_a_signature_that_came_along_stays() -> None:
    store = SignatureStore()
    store.keep({"one": signature("kept")})
    assert signed(store.sign(request(call("one", "own")))) == ["own"]


def test_a_request_without_lost_signatures_is_the_same_object_inside() -> None:
    store = SignatureStore()
    empty = request(call("one"))
    assert store.sign(empty) is empty
    store.keep({"other": signature("x")})
    assert store.sign(empty).turns[1] is empty.turns[1]


def test_the_latest_signature_of_a_call_counts() -> None:
    store = SignatureStore()
    store.keep({"one": signature("old")})
    store.keep({"one": signature("new")})
    assert signed(store.sign(request(call("one")))) == ["new"]


def test_a_call_without_an_id_is_not_kept() -> None:
    store = SignatureStore()
    store.keep({"": signature("unsigned")})
    assert signed(store.sign(request(call("")))) == [""]


@pytest.mark.parametrize("store", [SignatureStore(max_bytes=10), SignatureStore(most=2)])
def test_the_oldest_go_when_the_room_is_full(store: SignatureStore) -> None:
    store.keep({"one": signature("aaaa"), "two": signature("bbbb")})
    assert signed(store.sign(request(call("one")))) == ["aaaa"], "which makes it the youngest"
    store.keep({"three": signature("cccc")})
    assert signed(store.sign(request(call("one"), call("two"), call("three")))) == ["aaaa", "", "cccc"]


def test_one_that_is_too_large_is_not_kept_and_leaves_room_for_others() -> None:
    store = SignatureStore(max_bytes=10)
    store.keep({"one": signature("a" * 11)})
    store.keep({"two": signature("b" * 10)})
    assert signed(store.sign(request(call("one"), call("two")))) == ["", "b" * 10]


def texts(found: ChatRequest) -> list[str]:
    parts = [part for turn in found.turns for part in turn.parts if isinstance(part, Text)]
    return [part.signature.value if part.signature else "" for part in parts]


def test_a_texts_signature_returns_within_its_conversation_alone() -> None:
    store = SignatureStore()
    store.keep({text_key("well"): signature("mine")}, "this one")
    assert texts(store.sign(request(), "this one")) == ["", "mine"]
    assert texts(store.sign(request(), "another")) == ["", ""]
    assert texts(store.sign(request(role="user"), "this one")) == ["", ""]


def test_a_text_of_no_conversation_is_not_kept() -> None:
    store = SignatureStore()
    store.keep({text_key("well"): signature("mine")})
    assert store.latest(100) == [] and texts(store.sign(request())) == ["", ""]


def test_new_signatures_are_taken_once() -> None:
    store = SignatureStore()
    store.keep({"one": signature("first")})
    assert store.take_new() == [Kept("one", signature("first"))]
    assert store.take_new() == []


def test_a_store_restores_what_another_has_kept() -> None:
    store, heir = SignatureStore(), SignatureStore()
    store.keep({"one": signature("first"), text_key("well"): signature("said")}, "this one")
    heir.restore(store.take_new())
    assert signed(heir.sign(request(call("one")), "this one")) == ["first"]
    assert texts(heir.sign(request(), "this one")) == ["", "said"]
    assert heir.take_new() == []


def test_the_latest_are_the_youngest_in_order() -> None:
    store = SignatureStore()
    store.keep({"one": signature("aaaa"), "two": signature("bbbb"), "three": signature("cccc")})
    assert [kept.key for kept in store.latest(8)] == ["two", "three"]


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


def response(name: str, text: str) -> dict[str, Any]:
    return {"id": name, "output": [{"type": "message", "role": "assistant", "content": text}]}


def naming(body: dict[str, Any], protocol: str = "openai-responses") -> Call:
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
    store.keep(json.dumps({"input": "one"}).encode(), response("resp_1", "two"))
    store.keep(
        json.dumps({"input": [said("three")], "previous_response_id": "resp_1"}).encode(), response("resp_2", "four")
    )
    return store


def words(items: list[dict[str, Any]] | None) -> list[str] | None:
    return None if items is None else [item["content"] for item in items]


def test_the_items_of_a_conversation_up_to_a_response(store: ResponseStore) -> None:
    assert words(store.items("resp_1")) == ["one", "two"]
    assert words(store.items("resp_2")) == ["one", "two", "three", "four"]
    assert store.items("resp_9") is None


def test_a_call_is_completed_with_what_came_before(store: ResponseStore) -> None:
    asked = {"model": "m", "input": "five", "previous_response_id": "resp_2", "instructions": "Be good."}
    body = json.loads(store.complete(naming(asked)).body)
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
    asked = naming(body, protocol)
    assert store.complete(asked) is asked


def test_the_account_that_stores_a_response_takes_the_call_as_it_is() -> None:
    store = ResponseStore()
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}"}
    output = [{"type": "reasoning", "id": "rs_1", "summary": []}, call, {"type": "web_search_call", "id": "ws_1"}]
    store.keep(json.dumps({"input": "one"}).encode(), {"id": "resp_1", "output": output}, ("openai", "a"))
    asked = naming({"model": "m", "input": "two", "previous_response_id": "resp_1"})
    completed = store.complete(asked)
    assert (completed.home, completed.short) == (("openai", "a"), asked.body)
    one, called, searched, two = json.loads(completed.body)["input"]
    assert (one["content"], two["content"]) == ("one", "two")
    assert "id" not in called and searched["id"] == "ws_1"


def test_what_is_stored_can_be_dropped(store: ResponseStore) -> None:
    kept = store.get("resp_1")
    assert kept is not None and json.loads(kept.response)["id"] == "resp_1" and kept.inputs == 1
    store.drop("resp_1")
    assert store.get("resp_1") is None and store.items("resp_2") is None


@pytest.mark.parametrize(
    ("body", "kept"), [(b"{}", True), (b'{"store":null}', True), (b'{"store":1}', True), (b'{"store":false}', False)]
)
def test_whether_a_response_is_stored(body: bytes, kept: bool) -> None:
    assert is_stored(body) is kept


def test_store_false_stores_nothing() -> None:
    store = ResponseStore()
    store.keep(json.dumps({"input": "secret", "store": False}).encode(), response("resp_1", "two"))
    assert store.items("resp_1") is None


def test_a_conversation_whose_beginning_was_dropped_is_unknown() -> None:
    store = ResponseStore(max_bytes=500)
    store.keep(json.dumps({"input": "one " * 20}).encode(), response("resp_1", "two"))
    store.keep(
        json.dumps({"input": "three " * 20, "previous_response_id": "resp_1"}).encode(), response("resp_2", "four")
    )
    assert store.items("resp_1") is None and store.items("resp_2") is None


def test_a_circular_conversation_is_unknown() -> None:
    store = ResponseStore()
    store.keep(json.dumps({"input": "one", "previous_response_id": "resp_1"}).encode(), response("resp_1", "two"))
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


def test_the_oldest_interactions_go_when_the_room_is_full() -> None:
    store = InteractionStore(max_bytes=80)
    for name in ("a", "b", "c"):
        store.keep({"id": name}, [{"type": "user_input"}])
    assert store.get("a") is None and store.get("c") == ({"id": "c"}, [{"type": "user_input"}])
    store.drop("c")
    assert store.get("c") is None
