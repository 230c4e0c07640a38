"""The head of a body, and the conversation it belongs to."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.errors import RequestError
from bm.gateway.call import (
    Conversation,
    Head,
    check_model,
    conversation_of,
    json_object,
    new_id,
    read_head,
    tool_of,
)
from bm.protocols.outline import outline_of


@pytest.mark.parametrize(
    ("agent", "tool"),
    [
        ("claude-cli/2.1.3 (external, cli)", "claude-cli"),
        ("codex_cli_rs/0.60.1 (Debian 12; x86_64) unknown", "codex_cli_rs"),
        ("Anthropic/JS 0.60.0", "Anthropic/JS"),
        ("AsyncOpenAI/Python 2.1", "AsyncOpenAI/Python"),
        ("ai-sdk/groq/3.0.1", "ai-sdk"),
        ("<script>", ""),
        ("", ""),
        ("x" * 900, "x" * 40),
    ],
)
def test_the_tool_that_asks(agent: str, tool: str) -> None:
    assert tool_of([("accept", "*/*"), ("user-agent", agent)]) == tool


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (b'{"model": "x"}', ("x", False)),
        (b'{"model": "x", "stream": true}', ("x", True)),
        (b'{"model": "x", "stream": null}', ("x", False)),
        (b'{"stream": true, "messages": [{"model": 5}], "model": "x"}', ("x", True)),
        (b' \n{"model": "groq:a/b", "unknown": {"deep": [1, {"model": "y"}]}}', ("groq:a/b", False)),
    ],
)
def test_the_model_and_whether_to_stream(body: bytes, head: tuple[str, bool]) -> None:
    read = read_head(body, needs_model=True)
    assert (read.model, bool(read.stream)) == head


def test_gemini_names_its_model_elsewhere() -> None:
    assert read_head(b"{}", needs_model=False).model == ""


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "the body is not valid JSON", ""),
        (b"{", "the body is not valid JSON", ""),
        (b'{"model": "\xff"}', "the body is not valid JSON", ""),
        (b"[1]", "the body: expected `object`, got `array`", ""),
        (b'{"model": 5}', "`model`: expected `str`, got `int`", "model"),
        (b'{"model": "x", "stream": "yes"}', "`stream`: expected `bool | null`, got `str`", "stream"),
        (b"{}", "the request names no model", "model"),
        (b'{"model": " "}', "the request names no model", "model"),
        (b'{"model": "x", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "the body is nested too deeply", ""),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_an_invalid_member_is_named(body: bytes, message: str, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_head(body, needs_model=True)
    failure = caught.value.failure
    assert failure.kind == "bad_request" and failure.message.startswith(message) and failure.param == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000 + b"]" * 100_000])
def test_anything_but_a_json_object_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        json_object(body)
    assert caught.value.failure.kind == "bad_request"


def test_ids_are_unique_and_keep_their_prefix() -> None:
    ids = {new_id("req_") for _ in range(100)}
    assert len(ids) == 100 and all(each.startswith("req_") and len(each) == 28 for each in ids)


SESSION = "0a1b2c3d-0000-4000-8000-000000000001"


def of(body: Any, **headers: str) -> Conversation:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = json.dumps(body).encode()
    found = conversation_of(read_head(data, needs_model=False), named)
    if outline := outline_of(data):
        assert conversation_of(read_head(data, needs_model=False, outline=outline), named) == found
    return found


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize("header", ["x-claude-code-session-id", "session-id", "session_id", "x-session-id"])
def test_a_session_header_identifies_the_conversation(header: str) -> None:
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
def test_a_session_in_the_body_identifies_the_conversation(body: dict[str, Any], key: str) -> None:
    assert of(body) == Conversation(key, continues=True)


@pytest.mark.parametrize(
    "metadata",
    [None, 5, [], {}, {"user_id": None}, {"user_id": "just-a-user"}, {"user_id": "{broken"}, {"user_id": '{"a": 1}'}],
)
def test_metadata_without_a_session_is_ignored(metadata: Any) -> None:
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
def test_turns_begin_alike_and_the_first_does_not_continue(first: dict[str, Any], later: dict[str, Any]) -> None:
    begun, continued = of(first), of(later)
    assert begun.key == continued.key != ""
    assert (begun.continues, continued.continues) == (False, True)


@pytest.mark.parametrize(("first", "later"), list(zip(FIRSTS, LATER, strict=True)), ids=NAMES)
def test_another_beginning_is_another_conversation(first: dict[str, Any], later: dict[str, Any]) -> None:
    other = json.loads(json.dumps(later).replace("hello", "good day"))
    assert of(other).key != of(first).key
    other = json.loads(json.dumps(later).replace("Be good.", "Be better."))
    assert of(other).key != of(first).key


def test_cache_marks_do_not_change_the_conversation() -> None:
    marked = {"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}
    plain = {"messages": [user([{"type": "text", "text": "hello"}]), said("hi"), user("and now?")]}
    assert of({"messages": [user([marked])]}).key == of(plain).key


def test_a_session_header_overrides_the_body() -> None:
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
def test_a_body_without_a_user_message_has_no_key(body: dict[str, Any]) -> None:
    assert of(body) == Conversation()


@pytest.mark.parametrize("member", ["messages", "prompt_cache_key", "metadata"])
def test_an_unreadable_body_has_no_key(member: str) -> None:
    for value in (b'["\xff"]', b"[" * 100_000 + b"]" * 100_000):
        head = msgspec.structs.replace(Head(), **{member: msgspec.Raw(value)})
        assert conversation_of(head, {}) == Conversation()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "role", "content"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["messages", "contents", "input", "system", "metadata"]), JSON))
def test_no_body_raises_anything_but_a_request_error(body: dict[str, Any]) -> None:
    assert isinstance(of(body), Conversation)


@pytest.mark.parametrize(
    "model",
    [
        "m\n",
        "m\r\nX: 1",
        "m\x00",
        "m\x1b[31m",
        "m\x7f",
        "m\x85",
        "m\u2028",
        "..",
        "a/../b",
        "a/./b",
        "a/%2e%2E/b",
        "a\\..\\b",
    ],
)
def test_a_model_name_that_would_not_stay_one_name(model: str) -> None:
    with pytest.raises(RequestError) as raised:
        check_model(model)
    assert raised.value.failure.param == "model"


@pytest.mark.parametrize("model", ["", "opus", "groq:a/b-1.5:free", "a...b", "mod\u00e8le \u6a21", "@cf/x/y"])
def test_a_model_name_may_be_odd(model: str) -> None:
    check_model(model)
