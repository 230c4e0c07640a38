"""Which conversation a request belongs to, by bodies such as each tool sends."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.gateway.conversation import Conversation, conversation_of
from bm.gateway.head import Head, read_head

SESSION = "0a1b2c3d-0000-4000-8000-000000000001"


def of(body: Any, **headers: str) -> Conversation:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return conversation_of(read_head(json.dumps(body).encode(), needs_model=False), named)


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize("header", ["x-claude-code-session-id", "session-id", "session_id", "x-session-id"])
def test_a_tool_names_its_session_in_a_header(header: str) -> None:
    assert conversation_of(Head(), {header: SESSION}) == Conversation(f"session:{SESSION}", continues=True)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"prompt_cache_key": SESSION, "input": "hello"}, f"cache:{SESSION}"),
        ({"metadata": {"user_id": f"user_f00_account_b4r_session_{SESSION}"}}, f"session:{SESSION}"),
        (
            {"metadata": {"user_id": json.dumps({"device_id": "d", "account_uuid": "", "session_id": SESSION})}},
            f"session:{SESSION}",
        ),
    ],
    ids=["codex", "claude code before 2", "claude code"],
)
def test_a_tool_names_its_session_in_the_body(body: dict[str, Any], key: str) -> None:
    assert of(body) == Conversation(key, continues=True)


@pytest.mark.parametrize(
    "metadata",
    [None, 5, [], {}, {"user_id": None}, {"user_id": "just-a-user"}, {"user_id": "{broken"}, {"user_id": '{"a": 1}'}],
)
def test_metadata_without_a_session_tells_nothing(metadata: Any) -> None:
    body = {"metadata": metadata, "messages": [user("hello")]}
    assert of(body).key.startswith("start:")


ANTHROPIC = {"system": [{"type": "text", "text": "Be good."}], "messages": [user("hello")]}
CHAT = {"messages": [{"role": "system", "content": "Be good."}, user("hello")]}
RESPONSES = {"instructions": "Be good.", "input": [user([{"type": "input_text", "text": "hello"}])]}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "Be good."}]},
    "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
}
FIRSTS = [ANTHROPIC, CHAT, RESPONSES, GEMINI]
LATER = [
    {**ANTHROPIC, "messages": [user("hello"), said("hi"), user("and now?")]},
    {"messages": [*CHAT["messages"], said("hi"), user("and now?")]},
    {**RESPONSES, "input": [*RESPONSES["input"], said("hi"), user("and now?")]},
    {
        **GEMINI,
        "contents": [*GEMINI["contents"], {"role": "model", "parts": [{"text": "hi"}]}, {"parts": [{"text": "and?"}]}],
    },
]
NAMES = ["anthropic", "openai-chat", "openai-responses", "gemini"]


@pytest.mark.parametrize(("first", "later"), list(zip(FIRSTS, LATER, strict=True)), ids=NAMES)
def test_turns_begin_alike_and_the_first_is_known_for_one(first: dict[str, Any], later: dict[str, Any]) -> None:
    begun, continued = of(first), of(later)
    assert begun.key == continued.key != ""
    assert (begun.continues, continued.continues) == (False, True)


@pytest.mark.parametrize(("first", "later"), list(zip(FIRSTS, LATER, strict=True)), ids=NAMES)
def test_another_beginning_is_another_conversation(first: dict[str, Any], later: dict[str, Any]) -> None:
    other = json.loads(json.dumps(later).replace("hello", "good day"))
    assert of(other).key != of(first).key
    other = json.loads(json.dumps(later).replace("Be good.", "Be better."))
    assert of(other).key != of(first).key


def test_marks_that_move_from_turn_to_turn_do_not_count() -> None:
    marked = {"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}
    plain = {"messages": [user([{"type": "text", "text": "hello"}]), said("hi"), user("and now?")]}
    assert of({"messages": [user([marked])]}).key == of(plain).key


def test_a_header_counts_more_than_the_body() -> None:
    body = {"prompt_cache_key": "of the body"}
    assert of(body, x_session_id=SESSION).key == f"session:{SESSION}"


TELLS_NOTHING = [
    {},
    {"messages": "hello"},
    {"messages": []},
    {"messages": None},
    {"input": "hello"},
    {"prompt_cache_key": 5},
    {"prompt_cache_key": ""},
]


@pytest.mark.parametrize("body", TELLS_NOTHING, ids=repr)
def test_what_tells_nothing_has_no_key(body: dict[str, Any]) -> None:
    assert of(body) == Conversation()


@pytest.mark.parametrize("member", ["messages", "prompt_cache_key", "metadata"])
def test_what_cannot_be_read_tells_nothing(member: str) -> None:
    for value in (b'["\xff"]', b"[" * 100_000 + b"]" * 100_000):
        head = msgspec.structs.replace(Head(), **{member: msgspec.Raw(value)})
        assert conversation_of(head, {}) == Conversation()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "role", "content"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["messages", "contents", "input", "system", "metadata"]), JSON))
def test_no_body_is_a_fault_of_ours(body: dict[str, Any]) -> None:
    assert isinstance(of(body), Conversation)
