"""A client's turns."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import (
    Loss,
    Turn,
)
from bm.chat.signature import Signature
from bm.errors import RequestError
from bm.protocols.gemini.thinking import DUMMY
from tests.protocols.gemini.kit import (
    CLAUDE,
    CONTENTS,
    HI,
    INLINE_PNG,
    OLD,
    PNG,
    S1,
    S2,
    call,
    contents,
    encoded,
    model,
    read,
    user,
    wire_call,
    wire_result,
)


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
        {"inlineData": {"mimeType": "image/png", "data": "x"}, "thoughtSignature": "c2ln"},
        Media("image", mime="image/png", data="x", signature=S1),
    ),
    (
        {"inlineData": {"mime_type": "application/pdf", "data": "x"}},
        Media("document", mime="application/pdf", data="x"),
    ),
    (
        {"fileData": {"fileUri": "gs://b/f.mp4", "mimeType": "video/mp4"}},
        Media("video", mime="video/mp4", url="gs://b/f.mp4"),
    ),
    ({"file_data": {"file_uri": "https://youtu.be/x"}}, Media("video", url="https://youtu.be/x")),
    ({"functionCall": {"name": "f", "args": {"a": 1}, "id": "i"}}, ToolCall("i", "f", {"a": 1})),
    (
        {"function_call": {"name": "f"}, "thought_signature": "c2ln"},
        ToolCall("call_1_f", "f", {}, signature=S1),
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


def test_instructions_in_mid_conversation_stay_in_their_place() -> None:
    rows = contents(HI, model(Text("yes")), Turn("system", (Text("be brief"),)), user(Text("go")))
    reminder = {"text": "<system-reminder>\nbe brief\n</system-reminder>"}
    assert rows[2] == {"role": "user", "parts": [reminder, {"text": "go"}]}


def test_neighbours_of_one_role_are_one_content() -> None:
    assert contents(HI, user(Text("you"))) == [{"role": "user", "parts": [{"text": "hi"}, {"text": "you"}]}]


@pytest.mark.parametrize(
    "turns", [[Turn("user", ())], [model(Text("a"))], [user(Text(""))]], ids=["empty", "model", "blank"]
)
def test_there_is_always_a_user_content(turns: list[Turn]) -> None:
    assert contents(*turns)[0] == {"role": "user", "parts": [{"text": " "}]}


def test_results_come_first_in_the_order_of_the_calls_with_their_names() -> None:
    rows = contents(
        HI,
        model(Text("let me"), call("a", "f"), call("b", "g")),
        user(Text("there"), ToolResult("b", (Text("B"),)), ToolResult("a", (Text("A"),))),
        capabilities=Capabilities(),
    )
    assert rows[1]["parts"] == [{"text": "let me"}, wire_call("a", "f"), wire_call("b", "g")]
    assert rows[2]["parts"] == [wire_result("a", "f", output="A"), wire_result("b", "g", output="B"), {"text": "there"}]


def test_a_call_without_a_result_gets_one() -> None:
    rows = contents(HI, model(call("a"), call("b")), user(ToolResult("a", (Text("A"),))))
    assert [part["functionResponse"]["id"] for part in rows[2]["parts"]] == ["a", "b"]
    assert "error" in rows[2]["parts"][1]["functionResponse"]["response"]


@pytest.mark.parametrize(
    ("result", "response"),
    [
        (ToolResult("i", (Text("ok"),)), {"output": "ok"}),
        (ToolResult("i", (Text("a"), Text("b"))), {"output": "a\nb"}),
        (ToolResult("i", (Text("boom"),), is_error=True), {"error": "boom"}),
        (ToolResult("i", (Text('{"$ref":"#/defs/A"}'),)), {"output": '{"$ref":"#/defs/A"}'}),
        (ToolResult("i", ()), {"output": "(no output)"}),
        (ToolResult("i", (Text(""),)), {"output": "(no output)"}),
        (ToolResult("i", (Opaque("anthropic", "tool_reference", {}, "loaded Read"),)), {"output": "loaded Read"}),
        (ToolResult("i", (Media("document", text="T", name="N"),)), {"output": "N\n\nT"}),
    ],
)
def test_a_result_is_a_string(result: ToolResult, response: dict[str, str]) -> None:
    assert contents(HI, model(call()), user(result))[2]["parts"] == [wire_result(**response)]


GIF = Media("image", mime="image/gif", data="R0lGOD")


INLINE_GIF = {"inlineData": {"mimeType": "image/gif", "data": "R0lGOD"}}


def test_images_in_results_stand_inside_where_the_model_takes_them() -> None:
    parts = contents(HI, model(call()), user(ToolResult("i", (Text("see"), PNG, GIF))))[2]["parts"]
    response = {"id": "i", "name": "f", "response": {"output": "see"}, "parts": [INLINE_PNG]}
    assert parts == [{"functionResponse": response}, INLINE_GIF]


def test_images_in_results_stand_behind_all_results_elsewhere() -> None:
    results = user(ToolResult("a", (PNG,)), ToolResult("b", (Text("ok"),)), Text("go"))
    parts = contents(HI, model(call("a"), call("b", "g")), results, capabilities=OLD)[2]["parts"]
    assert parts == [
        {"functionResponse": {"name": "f", "response": {"output": "(see the attached file)"}}},
        {"functionResponse": {"name": "g", "response": {"output": "ok"}}},
        INLINE_PNG,
        {"text": "go"},
    ]


def test_models_without_call_ids_get_none() -> None:
    rows = contents(HI, model(call()), user(ToolResult("i", (Text("ok"),))), capabilities=OLD)
    assert rows[1]["parts"] == [{"functionCall": {"name": "f", "args": {}}}]


def test_an_argument_called_like_a_keyword_arrives() -> None:
    rows = contents(HI, model(call(cache_control={"type": "x"}, title="t")), capabilities=Capabilities())
    assert rows[1]["parts"][0]["functionCall"]["args"] == {"cache_control": {"type": "x"}, "title": "t"}


@pytest.mark.parametrize(
    ("protocol", "turns", "param"),
    [
        ("anthropic", [HI, user(Text("a"), Media("image", url="https://a.example/x.png"))], "messages[1].content[1]"),
        ("openai-responses", [user(Media("image", url="http://a.example/x"))], "input[0].content[0]"),
        ("gemini", [user(Media("image", file_id="file_1"))], "contents[0].parts[0]"),
    ],
)
def test_media_that_were_not_fetched_are_refused_by_their_place(protocol: Any, turns: list[Turn], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        encoded(*turns, protocol=protocol)
    assert caught.value.failure.param == param
    assert caught.value.failure.kind == "bad_request"


def test_media_that_the_model_does_not_take_is_refused() -> None:
    with pytest.raises(RequestError, match="takes no image"):
        encoded(user(PNG), capabilities=Capabilities(images=False))


def test_opaque_parts() -> None:
    code = {"executableCode": {"code": "1"}}
    turn = model(
        Opaque("gemini", "executableCode", code),
        Opaque("openai", "x", {}, "sum"),
        Opaque("anthropic", "y", {}),
        Refusal("no"),
    )
    result = encoded(HI, turn)
    assert result.body["contents"][1]["parts"] == [code, {"text": "sum"}, {"text": "no"}]
    assert result.losses == (Loss("messages[1].content[2] (y)", "only its own vendor knows it"),)


def test_parallel_calls_keep_the_one_signature_on_the_first() -> None:
    rows = contents(HI, model(call("a", signature=S1), call("b")))
    assert rows[1]["parts"] == [wire_call("a", signature="c2ln"), wire_call("b")]


def test_each_step_of_the_current_turn_carries_its_own_signature() -> None:
    old = [HI, model(call("x"), Text("done")), user(ToolResult("x", (Text("r"),)))]
    steps = [
        model(call("a", signature=S1)),
        user(ToolResult("a")),
        model(call("b", signature=S2)),
        user(ToolResult("b")),
    ]
    rows = contents(*old, model(Text("done")), user(Text("next")), *steps)
    signatures = [part.get("thoughtSignature") for row in rows for part in row["parts"] if "functionCall" in part]
    assert signatures == [None, "c2ln", "b3RoZXI="]


def test_another_vendors_thinking_is_dropped_and_its_calls_get_the_dummy() -> None:
    rows = contents(
        user(Text("a")),
        model(Thinking("hm", CLAUDE), Text("b", CLAUDE), call("a", signature=CLAUDE), call("b")),
        user(ToolResult("a"), ToolResult("b")),
        model(Thinking("hm", CLAUDE), call("c")),
    )
    assert rows[1]["parts"] == [{"text": "b"}, wire_call("a", signature=DUMMY), wire_call("b")]
    assert rows[3]["parts"] == [wire_call("c", signature=DUMMY)]


@pytest.mark.parametrize(
    "said",
    [(user(ToolResult("a"), Text("keep going")),), (user(ToolResult("a")), user(Text("keep going")))],
    ids=["beside the results", "behind the results"],
)
def test_words_of_a_tool_with_its_results_are_no_new_question(said: tuple[Turn, ...]) -> None:
    rows = contents(HI, model(call("a", signature=CLAUDE)), *said)
    assert rows[1]["parts"] == [wire_call("a", signature=DUMMY)]


def test_calls_before_the_last_question_need_no_signature() -> None:
    rows = contents(
        HI, model(call("a", signature=CLAUDE)), user(ToolResult("a")), model(Text("done")), user(Text("next"))
    )
    assert rows[1]["parts"] == [wire_call("a")]


def test_the_dummy_is_sent_only_where_signatures_are_required() -> None:
    assert contents(HI, model(call()), capabilities=Capabilities())[1]["parts"] == [wire_call()]


def test_another_familys_signature_is_not_replayed() -> None:
    theirs = Signature("gemini", "c2ln", family="gemini-3")
    for family, expected in (("gemini-3", "c2ln"), ("", "c2ln"), ("gemini-4", DUMMY)):
        capabilities = Capabilities(family=family, signatures_required=True)
        assert (
            contents(HI, model(call(signature=theirs)), capabilities=capabilities)[1]["parts"][0]["thoughtSignature"]
            == expected
        )


def test_the_same_signature_is_sent_once_on_the_call() -> None:
    url_safe = Signature("gemini", "c2l-_w")
    standard = Signature("gemini", "c2l+/w==")
    rows = contents(HI, model(Text("a", url_safe), call("a", signature=standard), call("b", signature=url_safe)))
    assert [part.get("thoughtSignature") for part in rows[1]["parts"]] == [None, "c2l+/w==", None]


def test_a_signature_on_thinking_goes_to_the_next_part() -> None:
    rows = contents(HI, model(Thinking("hm", S1), call()))
    assert rows[1]["parts"] == [wire_call(signature="c2ln")]


def test_a_signature_on_an_empty_text_stays_there() -> None:
    assert contents(HI, model(Text("a"), Text("", S1)))[1]["parts"] == [
        {"text": "a"},
        {"text": "", "thoughtSignature": "c2ln"},
    ]


def test_a_long_signature_survives() -> None:
    long = Signature("gemini", "A" * 200_000)
    assert contents(HI, model(call(signature=long)))[1]["parts"][0]["thoughtSignature"] == long.value
