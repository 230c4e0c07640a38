"""A client's turns."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import (
    Turn,
)
from tests.protocols.gemini.kit import CONTENTS, S1, read


@pytest.mark.parametrize(
    "contents",
    [
        "hi",
        ["hi"],
        {"parts": {"text": "hi"}},
        [{"parts": ["hi"]}],
        [{"text": "hi"}],
        CONTENTS,
        [{"role": "function", "parts": [{"text": "hi"}]}],
    ],
    ids=str,
)
def test_contents_come_in_many_forms(contents: Any) -> None:
    assert read(contents=contents).turns == (Turn("user", (Text("hi"),)),)


def test_missing_roles_alternate() -> None:
    contents = [{"parts": [{"text": t}]} for t in "abc"]
    assert [turn.role for turn in read(contents=contents).turns] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    "instruction",
    ["S", {"parts": [{"text": "S"}], "role": "user"}, {"parts": {"text": "S"}}, ["S"], {"text": "S"}],
    ids=str,
)
@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
def test_the_system_prompt_comes_in_many_forms(name: str, instruction: Any) -> None:
    assert read(**{name: instruction}).system == (Text("S"),)


PARTS: list[tuple[dict[str, Any], Part]] = [
    ({"text": "a"}, Text("a")),
    ({"text": "a", "thoughtSignature": "c2ln"}, Text("a", S1)),
    ({"text": "a", "thought_signature": "c2ln"}, Text("a", S1)),
    ({"text": "a", "thought": True}, Thinking("a")),
    ({"thought": True, "thoughtSignature": "c2ln"}, Thinking("", S1)),
    ({"inlineData": {"mimeType": "image/png", "data": "x"}}, Media("image", mime="image/png", data="x")),
    ({"inline_data": {"mime_type": "audio/wav", "data": "x"}}, Media("audio", mime="audio/wav", data="x")),
    (
        {"inlineData": {"mime_type": "application/pdf", "data": "x"}},
        Media("document", mime="application/pdf", data="x"),
    ),
    (
        {"fileData": {"fileUri": "gs://b/f.mp4", "mimeType": "video/mp4"}},
        Media("video", mime="video/mp4", url="gs://b/f.mp4"),
    ),
    ({"file_data": {"file_uri": "https://youtu.be/x"}}, Media("video", url="https://youtu.be/x")),
    ({"functionCall": {"name": "f", "args": {"a": 1}, "id": "i"}}, ToolCall("i", "f", {"a": 1}, '{"a":1}')),
    (
        {"function_call": {"name": "f"}, "thought_signature": "c2ln"},
        ToolCall("call_1_f", "f", {}, "{}", signature=S1),
    ),
    (
        {"executableCode": {"code": "1"}},
        Opaque("gemini", "executableCode", {"executableCode": {"code": "1"}}, "```\n1\n```"),
    ),
    (
        {"toolCall": {"x": 1}, "thoughtSignature": "c2ln"},
        Opaque("gemini", "toolCall", {"toolCall": {"x": 1}, "thoughtSignature": "c2ln"}),
    ),
]


@pytest.mark.parametrize(("raw", "part"), PARTS, ids=[str(raw)[:50] for raw, _ in PARTS])
def test_a_part(raw: dict[str, Any], part: Part) -> None:
    assert read(contents=[{"role": "model", "parts": [raw]}]).turns == (Turn("assistant", (part,)),)


@pytest.mark.parametrize(
    ("response", "parts", "is_error"),
    [
        ({"output": "ok"}, (Text("ok"),), False),
        ({"result": {"t": 12}}, (Text('{"t":12}'),), False),
        ({"error": "boom"}, (Text("boom"),), True),
        ({"name": "f", "content": "ok"}, (Text("ok"),), False),
        ({"output": "ok", "error": None}, (Text('{"output":"ok","error":null}'),), False),
        ({"output": ""}, (), False),
        ({}, (), False),
        (None, (), False),
    ],
    ids=str,
)
def test_a_result(response: Any, parts: tuple[Any, ...], is_error: bool) -> None:
    row = {"functionResponse": {"name": "f", "id": "i", "response": response}}
    call = {"functionCall": {"name": "f", "id": "i"}}
    turns = read(contents=[{"role": "model", "parts": [call]}, {"role": "user", "parts": [row]}]).turns
    assert turns[1].parts == (ToolResult("i", parts, is_error=is_error, name="f"),)


def test_a_result_may_hold_media() -> None:
    row = {"name": "f", "response": {"output": "ok"}, "parts": [{"inlineData": {"mimeType": "image/png", "data": "x"}}]}
    result = read(contents=[{"role": "user", "parts": [{"functionResponse": row}]}]).turns[0].parts[0]
    assert isinstance(result, ToolResult)
    assert result.parts == (Text("ok"), Media("image", mime="image/png", data="x"))


def ids(*contents: tuple[str, list[tuple[str, str]]]) -> list[str]:
    """The ids after decoding: each content is a role and (name, id) pairs."""
    field = {"model": "functionCall", "user": "functionResponse"}
    rows = [
        {"role": role, "parts": [{field[role]: {"name": n, **({"id": i} if i else {})}} for n, i in held]}
        for role, held in contents
    ]
    found = [part for turn in read(contents=rows).turns for part in turn.parts]
    return [
        part.id if isinstance(part, ToolCall) else part.call_id
        for part in found
        if isinstance(part, ToolCall | ToolResult)
    ]


def test_results_without_ids_are_paired_by_name_first_in_first_out() -> None:
    found = ids(("model", [("f", ""), ("g", ""), ("f", "")]), ("user", [("g", ""), ("f", ""), ("f", "")]))
    assert found == ["call_1_f", "call_2_g", "call_3_f", "call_2_g", "call_1_f", "call_3_f"]


def test_results_under_another_name_are_paired_by_place() -> None:
    assert ids(("model", [("f", ""), ("g", "")]), ("user", [("x", ""), ("g", "")])) == ["call_1_f", "call_2_g"] * 2


def test_made_ids_never_repeat_nor_meet_given_ones() -> None:
    turn = [("model", [("read", "")]), ("user", [("read", "")])]
    assert ids(*turn, *turn) == ["call_1_read"] * 2 + ["call_2_read"] * 2
    assert ids(("model", [("f", ""), ("f", "call_1_f")]), ("user", [("f", "call_1_f"), ("f", "")])) == [
        "call_2_f",
        "call_1_f",
        "call_1_f",
        "call_2_f",
    ]


def test_the_same_conversation_has_the_same_ids_again() -> None:
    turn = [("model", [("read", "")]), ("user", [("read", "")])]
    assert ids(*turn)[:2] == ids(*turn, *turn)[:2]
