from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import CacheMark, Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import Extra
from bm.chat.signature import Signature, wrap
from bm.errors import RequestError
from tests.protocols.anthropic.examples import decoded, parts_of

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
            ToolCall("t1", "run", {"cache_control": 1}, raw='{"cache_control":1}'),
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
        ToolCall("t1", "run", {}, raw="{}", signature=GEMINI),
        ToolCall("t2", "run", {}, raw="{}"),
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
