"""Signatures of tool calls that a client has lost on the way."""

from __future__ import annotations

from bm.chat.parts import Text, ToolCall
from bm.chat.request import ChatRequest, Turn
from bm.chat.signature import Signature, text_key
from bm.gateway.signatures import Kept, SignatureStore


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
    assert signed(store.restored(request(call("two"), call("three"), call("one")))) == ["second", "", "first"]


def test_a_signature_that_came_along_stays() -> None:
    store = SignatureStore()
    store.keep({"one": signature("kept")})
    assert signed(store.restored(request(call("one", "own")))) == ["own"]


def test_a_request_without_lost_signatures_is_the_same_object_inside() -> None:
    store = SignatureStore()
    empty = request(call("one"))
    assert store.restored(empty) is empty
    store.keep({"other": signature("x")})
    assert store.restored(empty).turns[1] is empty.turns[1]


def test_the_latest_signature_of_a_call_counts() -> None:
    store = SignatureStore()
    store.keep({"one": signature("old")})
    store.keep({"one": signature("new")})
    assert signed(store.restored(request(call("one")))) == ["new"]


def test_a_call_without_an_id_is_not_kept() -> None:
    store = SignatureStore()
    store.keep({"": signature("nobody's")})
    assert signed(store.restored(request(call("")))) == [""]


def test_the_oldest_go_when_the_room_is_full() -> None:
    store = SignatureStore(max_bytes=10)
    store.keep({"one": signature("aaaa"), "two": signature("bbbb")})
    assert signed(store.restored(request(call("one")))) == ["aaaa"], "which makes it the youngest"
    store.keep({"three": signature("cccc")})
    assert signed(store.restored(request(call("one"), call("two"), call("three")))) == ["aaaa", "", "cccc"]


def test_one_that_is_too_large_is_not_kept_and_leaves_room_for_others() -> None:
    store = SignatureStore(max_bytes=10)
    store.keep({"one": signature("a" * 11)})
    store.keep({"two": signature("b" * 10)})
    assert signed(store.restored(request(call("one"), call("two")))) == ["", "b" * 10]


def texts(found: ChatRequest) -> list[str]:
    parts = [part for turn in found.turns for part in turn.parts if isinstance(part, Text)]
    return [part.signature.value if part.signature else "" for part in parts]


def test_a_texts_signature_returns_within_its_conversation_alone() -> None:
    store = SignatureStore()
    store.keep({text_key("well"): signature("mine")}, "this one")
    assert texts(store.restored(request(), "this one")) == ["", "mine"]
    assert texts(store.restored(request(), "another")) == ["", ""]
    assert texts(store.restored(request(role="user"), "this one")) == ["", ""]


def test_a_text_of_no_conversation_is_not_kept() -> None:
    store = SignatureStore()
    store.keep({text_key("well"): signature("mine")})
    assert store.latest(100) == [] and texts(store.restored(request())) == ["", ""]


def test_what_is_new_is_given_once() -> None:
    store = SignatureStore()
    store.keep({"one": signature("first")})
    assert store.take_new() == [Kept("one", signature("first"))]
    assert store.take_new() == []


def test_another_store_takes_over_what_one_has_kept() -> None:
    store, heir = SignatureStore(), SignatureStore()
    store.keep({"one": signature("first"), text_key("well"): signature("said")}, "this one")
    heir.adopt(store.take_new())
    assert signed(heir.restored(request(call("one")), "this one")) == ["first"]
    assert texts(heir.restored(request(), "this one")) == ["", "said"]
    assert heir.take_new() == []


def test_the_latest_are_the_youngest_in_order() -> None:
    store = SignatureStore()
    store.keep({"one": signature("aaaa"), "two": signature("bbbb"), "three": signature("cccc")})
    assert [kept.key for kept in store.latest(8)] == ["two", "three"]
