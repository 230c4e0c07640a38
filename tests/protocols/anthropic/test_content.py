"""Content blocks, read into parts and written from them."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from bm.chat.parts import CacheMark, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import Extra
from bm.chat.signature import Signature, wrap
from bm.errors import RequestError
from bm.protocols.anthropic.content import summary
from tests.protocols.anthropic.examples import OPUS_4_8, assistant, chat, decoded, encoded, lost, parts_of, user

GEMINI = Signature("gemini", "c2ln", "gemini-3")
OWN = Signature("anthropic", "EqRk")


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "Hi"}, Text("Hi")),
        ({"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}, Text("Hi", cache=CacheMark())),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
            Media("image", mime="image/png", data="iVBO"),
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://x/y"}}, Media("image", url="https://x/y")),
        (
            {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "a b"}},
            Media("document", mime="text/plain", text="a b", name="T"),
        ),
        ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, Media("document", file_id="file_1")),
        ({"type": "thinking", "thinking": "hm", "signature": "EqRk"}, Thinking("hm", signature=OWN)),
        ({"type": "thinking", "thinking": "hm", "signature": ""}, Thinking("hm")),
        ({"type": "redacted_thinking", "data": "EqRk"}, Thinking("", signature=OWN, redacted=True)),
        (
            {"type": "tool_use", "id": "t1", "name": "run", "input": {"cache_control": 1}},
            ToolCall("t1", "run", {"cache_control": 1}),
        ),
        ({"type": "tool_result", "tool_use_id": "t1"}, ToolResult("t1")),
        ({"type": "tool_result", "tool_use_id": "t1", "content": ""}, ToolResult("t1")),
        (
            {"type": "tool_result", "tool_use_id": "t1", "content": "boom", "is_error": True},
            ToolResult("t1", (Text("boom"),), is_error=True),
        ),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_block_is_read(block: dict[str, Any], part: Part) -> None:
    assert parts_of(block, role="user") == (part,)


@pytest.mark.parametrize(
    ("block", "summary"),
    [
        ({"type": "container_upload", "file_id": "file_1"}, ""),
        ({"type": "something_of_tomorrow", "x": 1}, ""),
        ({"type": "document", "source": {"type": "content", "content": "a b"}}, "a b"),
        ({"type": "search_result", "source": "https://x", "title": "T", "content": []}, "T\nhttps://x"),
    ],
)
def test_what_only_anthropic_knows_stays_as_it_is(block: dict[str, Any], summary: str) -> None:
    assert parts_of(block) == (Opaque("anthropic", block["type"], block, summary),)


def test_a_tool_result_may_name_tools_to_load() -> None:
    reference = {"type": "tool_reference", "tool_name": "Bash"}
    (result,) = parts_of({"type": "tool_result", "tool_use_id": "t1", "content": [reference]}, role="user")
    assert result == ToolResult(
        "t1", (Opaque("anthropic", "tool_reference", reference, "The tool Bash is available."),)
    )


def test_a_wrapped_signature_goes_back_to_the_part_that_follows() -> None:
    signed = {"type": "thinking", "thinking": "hm", "signature": wrap(GEMINI, "next")}
    call = {"type": "tool_use", "id": "t1", "name": "run", "input": {}}
    assert parts_of(signed, call, {**call, "id": "t2"}) == (
        Thinking("hm"),
        ToolCall("t1", "run", {}, signature=GEMINI),
        ToolCall("t2", "run", {}),
    )


def test_an_empty_carrier_leaves_nothing_but_its_signature() -> None:
    carrier = {"type": "thinking", "thinking": "", "signature": wrap(GEMINI, "next")}
    assert parts_of(carrier, {"type": "text", "text": "Hi"}) == (Text("Hi", signature=GEMINI),)


@pytest.mark.parametrize(("about", "redacted"), [("self", False), ("redacted", True)])
def test_a_foreign_signature_of_the_thinking_itself_stays_with_it(about: str, redacted: bool) -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": wrap(GEMINI, about)}
    assert parts_of(block) == (Thinking("hm", signature=GEMINI, redacted=redacted),)


def test_thinking_marked_as_foreign_has_no_signature() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": wrap(Signature("bm", ""), "self")}
    assert parts_of(block) == (Thinking("hm"),)


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ({"text": "Hi"}, "messages[0].content[0].type"),
        ({"type": "text"}, "messages[0].content[0].text"),
        ({"type": "tool_use", "id": "t", "name": "n", "input": "{}"}, "messages[0].content[0].input"),
        ({"type": "tool_use", "name": "n", "input": {}}, "messages[0].content[0].id"),
        ({"type": "image"}, "messages[0].content[0].source"),
        ({"type": "tool_result", "content": "x"}, "messages[0].content[0].tool_use_id"),
        (
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "thinking", "thinking": ""}]},
            "messages[0].content[0].content[0]",
        ),
    ],
)
def test_a_malformed_block_is_refused_with_its_place(block: dict[str, Any], place: str) -> None:
    with pytest.raises(RequestError) as caught:
        parts_of(block)
    assert caught.value.failure.param == place


def test_members_without_a_place_are_kept_by_their_path() -> None:
    document = {
        "type": "document",
        "source": {"type": "url", "url": "https://x"},
        "citations": {"enabled": True},
        "context": None,
    }
    request = decoded({"role": "user", "content": [document]})
    assert request.extras == (Extra("anthropic", "messages[0].content[0].citations", {"enabled": True}),)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"type": "tool_reference", "tool_name": "Bash"}, "The tool Bash is available."),
        (
            {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "run"}},
            "The tool run is now available.",
        ),
        (
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "kiwi"}},
            'Called web_search with {"query":"kiwi"}',
        ),
        (
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s1",
                "content": [
                    {"type": "web_search_result", "title": "A", "url": "https://a", "encrypted_content": "zz"},
                    {"type": "web_search_result", "title": "B", "url": "https://b"},
                ],
            },
            "A https://a\nB https://b",
        ),
        (
            {
                "type": "web_search_tool_result",
                "content": {"type": "web_search_tool_result_error", "error_code": "max"},
            },
            "Error: max",
        ),
        (
            {
                "type": "bash_code_execution_tool_result",
                "content": {"type": "bash_code_execution_result", "stdout": "1\n", "stderr": "", "return_code": 0},
            },
            "```\n1\n```",
        ),
        (
            {
                "type": "web_fetch_tool_result",
                "content": {
                    "type": "web_fetch_result",
                    "url": "https://a",
                    "content": {"type": "document", "title": "A", "source": {"type": "text", "data": "body"}},
                },
            },
            "https://a\nA\nbody",
        ),
        (
            {
                "type": "tool_search_tool_result",
                "content": {"tool_references": [{"type": "tool_reference", "tool_name": "run"}]},
            },
            "run",
        ),
        (
            {
                "type": "document",
                "title": "T",
                "source": {"type": "content", "content": [{"type": "text", "text": "x"}]},
            },
            "T\nx",
        ),
        ({"type": "compaction", "content": "so far"}, "so far"),
        ({"type": "container_upload", "file_id": "file_1"}, ""),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_the_summary_of_a_block(block: dict[str, Any], words: str) -> None:
    assert summary(block) == words


NATIVE = Signature("anthropic", "EqRk")
NOTE = base64.b64encode(b"a note").decode()


def written(part: Part, *, role: str = "user", **members: Any) -> list[dict[str, Any]]:
    turns = (user(part),) if role == "user" else (user("Hi"), assistant(part), user("Bye"))
    content: list[dict[str, Any]] = encoded(chat(*turns, **members)).body["messages"][-1 if role == "user" else 1][
        "content"
    ]
    return content


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Text("Hi", cache=CacheMark("1h")), {"text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        (Media("image", url="https://x"), {"source": {"type": "url", "url": "https://x"}}),
        (
            Media("image", mime="image/jpg", data="/9j/4"),
            {"source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4"}},
        ),
        (
            Media("image", data="R0lGODdh"),
            {"source": {"type": "base64", "media_type": "image/gif", "data": "R0lGODdh"}},
        ),
        (
            Media("document", mime="application/pdf", data="JVBE", name="a.pdf"),
            {"source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}, "title": "a.pdf"},
        ),
        (
            Media("document", mime="text/markdown; charset=utf-8", data=NOTE),
            {"source": {"type": "text", "media_type": "text/plain", "data": "a note"}},
        ),
        (
            Media("document", mime="text/plain", text="a note"),
            {"source": {"type": "text", "media_type": "text/plain", "data": "a note"}},
        ),
    ],
)
def test_a_users_part_is_written(part: Part, block: dict[str, Any]) -> None:
    kind = part.kind if isinstance(part, Media) else "text"
    assert written(part) == [{"type": kind, **block}]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Refusal("No."), {"type": "text", "text": "No."}),
        (Thinking("hm", signature=NATIVE), {"type": "thinking", "thinking": "hm", "signature": "EqRk"}),
        (Thinking("", signature=NATIVE, redacted=True), {"type": "redacted_thinking", "data": "EqRk"}),
    ],
)
def test_an_assistants_part_is_written(part: Part, block: dict[str, Any]) -> None:
    assert written(part, role="assistant") == [block]


@pytest.mark.parametrize(
    "signature", [None, Signature("gemini", "c2ln"), Signature("anthropic", "EqRk", "claude-old")], ids=str
)
def test_thinking_that_this_claude_did_not_sign_is_left_out_without_a_word(signature: Signature | None) -> None:
    request = chat(user("Hi"), assistant(Thinking("hm", signature=signature), Thinking("hm"), "Hello"), user("Bye"))
    result = encoded(request)
    assert result.body["messages"][1]["content"] == [{"type": "text", "text": "Hello"}]
    assert lost(result) == []


@pytest.mark.parametrize(
    ("result", "content"),
    [
        (ToolResult("t1"), ""),
        (ToolResult("t1", (Text(""),)), ""),
        (ToolResult("t1", (Text("ok"),)), "ok"),
        (ToolResult("t1", (Text("a"), Text("b"))), [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
    ],
)
def test_a_result_is_a_string_where_it_can_be(result: ToolResult, content: object) -> None:
    turns = (user("Hi"), assistant(ToolCall("t1", "run", {})), user(result))
    block = encoded(chat(*turns)).body["messages"][2]["content"][0]
    assert block == {"type": "tool_result", "tool_use_id": "t1", "content": content}


def test_a_failed_result_is_marked() -> None:
    turns = (user("Hi"), assistant(ToolCall("t1", "run", {})), user(ToolResult("t1", (Text("x"),), is_error=True)))
    assert encoded(chat(*turns)).body["messages"][2]["content"][0]["is_error"] is True


def test_an_image_stands_after_a_result_that_is_an_error() -> None:
    result = ToolResult("t1", (Text("x"), Media("image", "image/png", data="QUJD")), is_error=True)
    blocks = encoded(chat(user("Hi"), assistant(ToolCall("t1", "run", {})), user(result))).body["messages"][2][
        "content"
    ]
    assert [(block["type"], block.get("content")) for block in blocks] == [("tool_result", "x"), ("image", None)]


def test_an_error_without_words_is_said_to_be_one() -> None:
    turns = (user("Hi"), assistant(ToolCall("t1", "run", {})), user(ToolResult("t1", (), is_error=True)))
    assert encoded(chat(*turns)).body["messages"][2]["content"][0]["content"] == "error"


def test_media_stand_beside_a_result_that_cannot_hold_them() -> None:
    image = Media("image", url="https://x")
    turns = (user("Hi"), assistant(ToolCall("t1", "run", {})), user(ToolResult("t1", (Text("see"), image))))
    assert [block["type"] for block in encoded(chat(*turns)).body["messages"][2]["content"]] == ["tool_result"]
    plain = msgspec.structs.replace(OPUS_4_8, media_in_results=False)
    beside = encoded(chat(*turns), plain).body["messages"][2]["content"]
    assert [block["type"] for block in beside] == ["tool_result", "image"]


def test_an_id_with_foreign_characters_is_made_legal_alike_in_call_and_result() -> None:
    turns = (user("Hi"), assistant(ToolCall("call:1/ä", "run", {})), user(ToolResult("call:1/ä")))
    messages = encoded(chat(*turns)).body["messages"]
    call, result = messages[1]["content"][0]["id"], messages[2]["content"][0]["tool_use_id"]
    assert call == result
    assert call.replace("_", "").isalnum() and call.isascii()


def test_an_argument_named_cache_control_arrives() -> None:
    arguments = {"cache_control": {"type": "ephemeral"}, "x": 1}
    call = {"type": "tool_use", "id": "t1", "name": "run", "input": arguments}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
    body = encoded(decoded({"role": "assistant", "content": [call]}, {"role": "user", "content": [result]})).body
    assert body["messages"][1]["content"] == [call]


def test_a_foreign_block_is_written_in_words_or_reported() -> None:
    worded, mute = Opaque("gemini", "code", {}, "1 + 1"), Opaque("gemini", "blob", {})
    result = encoded(chat(user("Hi"), assistant(worded, mute)), OPUS_4_8)
    assert result.body["messages"][1]["content"] == [{"type": "text", "text": "1 + 1"}]
    assert lost(result) == ["messages[1].content[1] (blob)", "messages"]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Media("audio", mime="audio/wav", data="UklG"), "takes no audio"),
        (Media("video", url="https://x"), "takes no video"),
        (Media("document", mime="application/zip", data="UEs"), "not this application/zip"),
        (Media("document", mime="text/plain", data="/w=="), "not this text/plain"),
        (Media("image", file_id="file-1"), "another vendor"),
    ],
)
def test_media_that_claude_cannot_take_are_refused(part: Media, reason: str) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        encoded(chat(user("Hi", part)))
    assert caught.value.failure.param == "messages[0].content[1]"


@pytest.mark.parametrize(
    ("capability", "part"),
    [
        ("images", Media("image", data="iVBOR")),
        ("documents", Media("document", data="JVBE")),
        ("image_urls", Media("image", url="https://x")),
    ],
)
def test_media_that_the_model_does_not_take_are_refused(capability: str, part: Media) -> None:
    with pytest.raises(RequestError, match="the model takes no"):
        encoded(chat(user(part)), msgspec.structs.replace(OPUS_4_8, **{capability: False}))


def test_an_uploaded_file_brings_its_beta() -> None:
    source = {"type": "file", "file_id": "file_1"}
    result = encoded(decoded({"role": "user", "content": [{"type": "document", "source": source}]}))
    assert result.body["messages"][0]["content"][0]["source"] == source
    assert dict(result.headers)["anthropic-beta"] == "files-api-2025-04-14"


def test_citations_go_back_on_the_assistants_text_alone() -> None:
    text = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}
    body = encoded(decoded({"role": "user", "content": [text]}, {"role": "assistant", "content": [text]})).body
    assert body["messages"][0]["content"] == [{"type": "text", "text": "x"}]
    assert body["messages"][1]["content"] == [text]
