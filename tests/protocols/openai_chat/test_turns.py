"""Messages as turns, and turns as messages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import Citation, Json, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.repair import NO_RESULT
from bm.chat.request import Extra, Turn
from bm.chat.signature import Signature, wrap
from bm.errors import RequestError
from bm.protocols.openai_chat.thinking import details_signature
from bm.protocols.openai_chat.turns import EMPTY_PROMPT, MEDIA_FOLLOW, decode_turns
from bm.protocols.reading import Unread
from tests.protocols.openai_chat.kit import COMPATIBLE, OPENAI, client_request, lost, sent

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


def turns(*messages: Json) -> tuple[Turn, ...]:
    return decode_turns({"messages": list(messages)}, Unread("openai-chat"))[0]


def assistant(**members: Any) -> tuple[Any, ...]:
    """The parts of an assistant message."""
    (turn,) = turns({"role": "assistant", **members})
    assert turn.role == "assistant"
    return turn.parts


def test_leading_instructions_are_the_system_prompt_and_later_ones_stay_in_place() -> None:
    messages = [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        USER,
        {"role": "developer", "content": "three"},
    ]
    read, system = decode_turns({"messages": messages}, Unread("openai-chat"))
    assert system == (Text("one"), Text("two"))
    assert read == (Turn("user", (Text("Hi"),)), Turn("system", (Text("three"),)))


def test_only_instructions_are_a_request_all_the_same() -> None:
    read = decode_turns({"messages": [{"role": "system", "content": "S"}]}, Unread("openai-chat"))
    assert read == ((), (Text("S"),))


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "a"}, (Text("a"),)),
        ({"content": None, "tool_calls": [CALL]}, (ToolCall("a", "f", {"x": 1}, raw='{"x": 1}'),)),
        (
            {"content": "", "tool_calls": [{k: CALL[k] for k in ("id", "function")}]},
            (ToolCall("a", "f", {"x": 1}, raw='{"x": 1}'),),
        ),
        ({"content": "a", "refusal": "no"}, (Text("a"), Refusal("no"))),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, (Refusal("no"),)),
        ({"content": "a", "reasoning_content": "hm"}, (Thinking("hm"), Text("a"))),
        ({"content": "a", "reasoning": "hm"}, (Thinking("hm"), Text("a"))),
        ({"audio": {"id": "audio_1"}}, (Opaque("openai-chat", "audio", {"id": "audio_1"}),)),
    ],
)
def test_assistant_messages_are_read(message: Json, parts: tuple[Any, ...]) -> None:
    assert assistant(**message) == parts


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"x":1}', ({"x": 1}, '{"x":1}')),
        ({"x": 1}, ({"x": 1}, '{"x":1}')),
        ("", ({}, "")),
        (None, ({}, "")),
        ('"{\\"x\\":1}"', ({"x": 1}, '"{\\"x\\":1}"')),
        ("[1]", ({"input": "[1]"}, "[1]")),
        ("{bro", ({"input": "{bro"}, "{bro")),
    ],
)
def test_arguments_are_an_object_however_they_came(arguments: Any, expected: tuple[Any, str]) -> None:
    (call,) = assistant(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": arguments}}])
    assert (call.arguments, call.raw) == expected


def test_a_call_of_a_custom_tool_holds_free_text() -> None:
    (call,) = assistant(tool_calls=[{"id": "a", "type": "custom", "custom": {"name": "py", "input": "1+1"}}])
    assert call == ToolCall("a", "py", {"input": "1+1"}, raw="1+1", kind="custom")


def test_signatures_are_read_where_google_puts_them() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    signed = Signature("gemini", "c2ln")
    assert assistant(tool_calls=[{**CALL, **extra}])[0].signature == signed
    assert [part.signature for part in assistant(tool_calls=[CALL, {**CALL, "id": "b"}], **extra)] == [signed, None]
    assert assistant(content="x", **extra)[0].signature == signed
    assert assistant(content="x", reasoning_content="hm", **extra)[1].signature == signed


def test_another_vendors_signature_is_taken_out_of_its_wrapping() -> None:
    wrapped = wrap(Signature("anthropic", "c2ln", "claude"), "self")
    extra = {"extra_content": {"google": {"thought_signature": wrapped}}}
    assert assistant(tool_calls=[{**CALL, **extra}])[0].signature == Signature("anthropic", "c2ln", "claude")


def test_results_in_a_row_are_one_turn() -> None:
    read = turns(
        {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "b"}]},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "name": "f", "content": [{"type": "text", "text": "1"}]},
        USER,
    )
    assert read[1:] == (
        Turn("user", (ToolResult("b", (Text("2"),)), ToolResult("a", (Text("1"),), name="f"))),
        Turn("user", (Text("Hi"),)),
    )


def test_a_result_may_hold_an_image_an_object_or_nothing() -> None:
    def result(content: Any) -> Any:
        return turns({"role": "tool", "tool_call_id": "a", "content": content})[0].parts[0]

    image = {"type": "image_url", "image_url": {"url": "https://a.example"}}
    assert result([image]).parts == (Media("image", url="https://a.example"),)
    assert result({"x": 1}).parts == (Text('{"x":1}'),)
    assert result("").parts == ()


def test_results_of_the_first_form_find_their_call_by_name() -> None:
    read = turns(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    )
    assert read[1].parts == (ToolCall("call_legacy_1", "f", {}, raw="{}"),)
    assert read[2].parts == (ToolResult("call_legacy_1", (Text("1"),), name="f"),)


def test_members_without_a_place_are_kept_and_echoes_of_an_answer_are_not() -> None:
    messages = [
        {**USER, "name": "ann"},
        {"role": "assistant", "content": "a", "annotations": [], "audio": None, "parsed": {}, "prefix": True},
        {"role": "assistant", "content": "a", "function_call": None, "tool_calls": None, "prefix": False},
    ]
    unread = Unread("openai-chat")
    decode_turns({"messages": messages}, unread)
    assert unread.extras == [
        Extra("openai-chat", "messages[0].name", "ann"),
        Extra("openai-chat", "messages[1].prefix", True),
    ]


def test_results_without_ids_answer_the_calls_in_their_order() -> None:
    calls = [{**CALL, "id": ""}, {**CALL, "id": ""}]
    results = [{"role": "tool", "tool_call_id": "", "content": text} for text in "12"]
    once = {"role": "assistant", "tool_calls": calls[:1]}
    messages = [USER, {"role": "assistant", "tool_calls": calls}, *results, once, {"role": "tool", "content": "3"}]
    written = sent(client_request(messages=messages))["messages"]
    asked = [call["id"] for message in written for call in message.get("tool_calls", ())]
    assert [(m["tool_call_id"], m["content"]) for m in written if m["role"] == "tool"] == [
        *zip(asked, "123", strict=True)
    ]
    assert len({"", *asked}) == 4


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (None, "messages: expected an array, got null"),
        ([], "messages: expected at least one element, got an empty array"),
        (["Hi"], "messages[0]: expected an object, got a string"),
        ([{"content": "Hi"}], "messages[0].role: expected a string, got null"),
        ([{"role": "narrator"}], "messages[0].role: unknown role 'narrator'"),
        (
            [{"role": "tool", "content": "x"}],
            "messages[0].tool_call_id: expected the id of the call that this answers, got nothing",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": [5]}],
            "messages[1].tool_calls[0]: expected an object, got a number",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a"}]}],
            "messages[0].tool_calls[0].function: expected an object, got null",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}],
            "messages[0].tool_calls[0].function.name: expected the tool's name, got nothing",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": 5}}]}],
            "messages[0].tool_calls[0].function.arguments: expected a string of JSON, got a number",
        ),
        (
            [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://a"}}]}],
            "messages[0].content: expected only text in a system message",
        ),
    ],
)
def test_a_fault_names_the_place_and_what_was_expected(messages: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_turns({"messages": messages}, Unread("openai-chat"))
    assert caught.value.failure.message == message
    assert message.startswith(caught.value.failure.param)


PLAIN = Capabilities(dialect=Dialect(name="together", plain_content=True))
IMAGE = Media("image", mime="image/png", data="QUJD")
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
F = ToolCall("a", "f", {"x": 1}, raw='{"x": 1}')
F_WIRE = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


def messages(*turns: Turn, capabilities: Capabilities = OPENAI, system: tuple[Text, ...] = ()) -> list[Json]:
    request = msgspec.structs.replace(client_request(), turns=turns, system=system)
    written: list[Json] = sent(request, capabilities)["messages"]
    return written


def losses(*turns: Turn, capabilities: Capabilities = OPENAI) -> list[str]:
    return lost(msgspec.structs.replace(client_request(), turns=turns), capabilities)


def user(*parts: Part) -> Turn:
    return Turn("user", parts)


def written_assistant(*parts: Part) -> Turn:
    return Turn("assistant", parts)


def results(*given: Part, capabilities: Capabilities = OPENAI) -> list[Json]:
    """The messages after the one with the calls that these results answer."""
    calls = [ToolCall(part.call_id, "f", {}) for part in given if isinstance(part, ToolResult)]
    return messages(user(Text("Hi")), written_assistant(*calls), user(*given), capabilities=capabilities)[2:]


def test_the_system_prompt_is_one_string() -> None:
    written = messages(user(Text("Hi")), system=(Text("one"), Text("two")))
    assert written[0] == {"role": "system", "content": "one\n\ntwo"}


def test_later_instructions_stay_in_place_where_the_service_takes_them() -> None:
    turns = (user(Text("a")), Turn("system", (Text("note"),)), user(Text("b")))
    assert messages(*turns)[1] == {"role": "system", "content": "note"}
    (only,) = messages(*turns, capabilities=PLAIN)
    assert only["role"] == "user"
    assert only["content"] == "a\n\n<system-reminder>\nnote\n</system-reminder>\n\nb"


def test_instructions_alone_get_something_to_answer_where_that_is_needed() -> None:
    assert messages(system=(Text("S"),)) == [{"role": "system", "content": "S"}]
    assert messages(system=(Text("S"),), capabilities=COMPATIBLE)[1] == {"role": "user", "content": EMPTY_PROMPT}


def test_one_text_is_a_string_several_are_parts_or_one_string_for_plain_services() -> None:
    two = user(Text("a"), Text("b"))
    assert messages(user(Text("a")))[0]["content"] == "a"
    assert messages(two)[0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert messages(two, capabilities=PLAIN)[0]["content"] == "a\n\nb"
    assert messages(user(Text("a"), IMAGE), capabilities=PLAIN)[0]["content"] == [
        {"type": "text", "text": "a"},
        IMAGE_PART,
    ]


def test_a_cited_answer_is_put_together_without_gaps() -> None:
    cited = written_assistant(
        Text("It is "), Text("blue", citations=(Citation("anthropic", {"type": "x"}),)), Text(".")
    )
    assert messages(user(Text("Hi")), cited)[1] == {"role": "assistant", "content": "It is blue."}
    apart = written_assistant(Text("First."), Text("Second."))
    assert messages(user(Text("Hi")), apart)[1]["content"] == "First.\n\nSecond."


def test_text_and_calls_are_one_message_without_nulls() -> None:
    turns = (user(Text("Hi")), written_assistant(F), user(ToolResult("a", (Text("1"),))))
    assert messages(*turns)[1] == {"role": "assistant", "tool_calls": [F_WIRE]}
    said = (turns[0], written_assistant(Text("let me see"), F), turns[2])
    assert messages(*said)[1] == {"role": "assistant", "content": "let me see", "tool_calls": [F_WIRE]}


@pytest.mark.parametrize("thought", [(), (Thinking("hm"),)])
def test_a_call_carries_thinking_where_the_model_demands_it(thought: tuple[Thinking, ...]) -> None:
    kimi = Capabilities(replay="reasoning_content", replay_required=True, dialect=Dialect(name="compatible"))
    turns = (user(Text("Hi")), written_assistant(*thought, F), user(ToolResult("a", (Text("1"),))))
    assert messages(*turns, capabilities=kimi)[1]["reasoning_content"] == ("hm" if thought else " ")


def test_ids_are_no_longer_than_the_model_takes() -> None:
    long = msgspec.structs.replace(F, id="toolu_" + "a" * 50)
    written = messages(
        user(Text("Hi")), written_assistant(long), user(ToolResult(long.id)), capabilities=Capabilities(call_id_most=40)
    )
    assert len(written[1]["tool_calls"][0]["id"]) == 40
    assert written[2]["tool_call_id"] == written[1]["tool_calls"][0]["id"]


@pytest.mark.parametrize("member", ["", "reasoning", "reasoning_content"])
def test_thinking_goes_back_only_to_services_that_have_a_member_for_it(member: str) -> None:
    capabilities = Capabilities(replay=member, dialect=Dialect(name="x"))
    thought = written_assistant(
        Thinking("hm", Signature("anthropic", "s")), Thinking("", Signature("anthropic", "r"), redacted=True)
    )
    turns = (user(Text("Hi")), Turn("assistant", (*thought.parts, Text("yes"))))
    expected = {"role": "assistant", "content": "yes"} | ({member: "hm"} if member else {})
    assert messages(*turns, capabilities=capabilities)[1] == expected
    assert losses(*turns, capabilities=capabilities) == []


def test_thinking_goes_back_as_a_part_of_the_content() -> None:
    """Mistral reads it there."""
    mistral = Capabilities(replay="content", dialect=Dialect(name="mistral"))
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}

    def written(*parts: Part) -> list[Json]:
        return [
            message
            for message in messages(user(Text("Hi")), written_assistant(*parts), user(Text("?")), capabilities=mistral)
            if message["role"] == "assistant"
        ]

    (said,) = written(Thinking("hm"), Text("yes"))
    assert said == {"role": "assistant", "content": [thought, {"type": "text", "text": "yes"}]}
    assert written(Thinking("hm"), F)[0]["content"] == [thought]
    assert written(Text("yes")) == [{"role": "assistant", "content": "yes"}]
    assert written(Thinking("hm")) == []


DETAILS = [{"type": "reasoning.encrypted", "data": "zz", "format": "google-gemini-v1", "index": 0}]


@pytest.mark.parametrize(
    ("vendor", "takes", "goes_back"),
    [
        ("google", {"reasoning_details"}, True),
        ("", {"reasoning_details"}, True),
        ("anthropic", {"reasoning_details"}, False),
        ("google", set(), False),
    ],
    ids=["its own vendor", "unknown vendor", "another vendor", "a service without them"],
)
@pytest.mark.parametrize("answer", [Text("yes"), F], ids=["text", "call"])
def test_details_go_back_in_place_of_plain_thinking(
    vendor: str, takes: set[str], goes_back: bool, answer: Text | ToolCall
) -> None:
    dialect = Dialect(name="openrouter", takes=frozenset(takes))
    capabilities = Capabilities(replay="reasoning", family=vendor, dialect=dialect)
    made = details_signature(DETAILS, "google/gemini-3.8-flash")
    turns = (user(Text("Hi")), written_assistant(Thinking("hm"), msgspec.structs.replace(answer, signature=made)))
    message = messages(*turns, capabilities=capabilities)[1]
    assert message.get("reasoning_details") == (DETAILS if goes_back else None)
    assert message.get("reasoning") == (None if goes_back else "hm")


def test_details_in_a_clients_history_are_thinking_and_its_signature() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s"}]
    thinking, call = assistant(tool_calls=[F_WIRE], reasoning_details=details)
    assert thinking == Thinking("hm")
    assert call.signature == details_signature(details)


def test_a_message_of_dropped_thinking_alone_vanishes() -> None:
    assert messages(user(Text("a")), written_assistant(Thinking("hm")), user(Text("b"))) == [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
    ]


def test_a_refusal_is_a_member_at_openai_and_text_elsewhere() -> None:
    turns = (user(Text("Hi")), written_assistant(Refusal("no")))
    assert messages(*turns)[1] == {"role": "assistant", "refusal": "no", "content": ""}
    assert messages(*turns, capabilities=PLAIN)[1] == {"role": "assistant", "content": "no"}


def test_results_come_first_and_in_the_order_of_the_calls() -> None:
    written = results(Text("and then?"), ToolResult("b", (Text("2"),)), ToolResult("a", (Text("1"),)))
    assert written == [
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "user", "content": "and then?"},
    ]


def test_a_call_without_a_result_gets_one() -> None:
    written = messages(user(Text("Hi")), written_assistant(F), user(Text("go on")))
    assert written[2] == {"role": "tool", "tool_call_id": "a", "content": f"Error: {NO_RESULT}"}
    assert written[3] == {"role": "user", "content": "go on"}


@pytest.mark.parametrize(
    ("text", "content"), [("boom", "Error: boom"), ("Error: boom", "Error: boom"), ("", "Error: ")]
)
def test_a_failed_result_is_marked_in_words(text: str, content: str) -> None:
    assert results(ToolResult("a", (Text(text),), is_error=True))[0]["content"] == content


def test_an_assistant_message_separates_tool_and_user_where_required() -> None:
    mistral = Capabilities(user_after_tool=False, dialect=Dialect(name="mistral"))
    written = results(ToolResult("a", (Text("1"),)), Text("and?"), capabilities=mistral)
    assert [message["role"] for message in written] == ["tool", "assistant", "user"]
    assert [message["role"] for message in results(ToolResult("a", (Text("1"),)), capabilities=mistral)] == ["tool"]


def test_an_answer_begun_for_the_model_is_marked_where_the_service_wants_it() -> None:
    takes = Capabilities(dialect=Dialect(name="mistral", takes=frozenset({"prefix"})))
    turns = (user(Text("Hi")), written_assistant(Text("The")))
    assert messages(*turns, capabilities=takes)[-1] == {"role": "assistant", "content": "The", "prefix": True}
    assert messages(*turns)[-1] == {"role": "assistant", "content": "The"}
    assert "prefix" not in messages(*turns, user(Text("go on")), capabilities=takes)[1]


def test_a_model_that_continues_no_answer_is_asked_to_go_on() -> None:
    turns = (user(Text("Hi")), written_assistant(Text("The")))
    qwen = Capabilities(prefill=False, dialect=Dialect(name="compatible"))
    assert messages(*turns, capabilities=qwen)[-1] == {"role": "user", "content": "Continue."}
    assert losses(*turns, capabilities=qwen) == ["messages"]


def test_images_of_results_follow_in_a_user_message_after_all_results() -> None:
    written = results(ToolResult("a", (Text("shot"), IMAGE)), ToolResult("b", (IMAGE,)), Text("look"))
    assert written == [
        {"role": "tool", "tool_call_id": "a", "content": "shot"},
        {"role": "tool", "tool_call_id": "b", "content": MEDIA_FOLLOW},
        {"role": "user", "content": [IMAGE_PART, IMAGE_PART, {"type": "text", "text": "look"}]},
    ]


def test_a_result_the_model_cannot_see_is_named_in_its_place() -> None:
    blind = msgspec.structs.replace(COMPATIBLE, images=False)
    turns = (user(Text("Hi")), written_assistant(F), user(ToolResult("a", (IMAGE,))))
    assert messages(*turns, capabilities=blind)[2]["content"] == "[image left out: the model takes no image input]"
    assert losses(*turns, capabilities=blind) == ["messages[2].content[0].content[0] (image)"]


def test_what_the_user_shows_a_blind_model_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        messages(user(Text("see"), IMAGE), capabilities=msgspec.structs.replace(COMPATIBLE, images=False))
    assert caught.value.failure.message == "messages[0].content[1]: the model takes no image input"


def test_foreign_blocks_are_their_summary_or_a_loss() -> None:
    known, unknown = Opaque("anthropic", "k", {}, summary="found 3"), Opaque("anthropic", "u", {})
    own = Opaque("openai-chat", "novelty", {"type": "novelty"})
    turns = (user(known, unknown, own), written_assistant(known, unknown), user(Text("Hi")))
    written = messages(*turns)
    assert written[0]["content"] == [{"type": "text", "text": "found 3"}, {"type": "novelty"}]
    assert written[1]["content"] == "found 3"
    assert messages(user(Text("Hi"), Thinking("hm")))[0]["content"] == "Hi"
    assert losses(*turns) == ["messages[0].content[1] (u)", "messages[1].content[1] (u)"]


def test_foreign_blocks_in_a_result_are_their_summary_or_a_loss() -> None:
    known, unknown = Opaque("anthropic", "k", {}, summary="found 3"), Opaque("anthropic", "u", {})
    turns = (user(Text("Hi")), written_assistant(F), user(ToolResult("a", (known, unknown))))
    assert messages(*turns)[2]["content"] == "found 3"
    assert losses(*turns) == ["messages[2].content[0].content[1] (u)"]


def test_how_a_tool_was_once_looked_up_is_forgotten() -> None:
    search = Opaque("openai-responses", "tool_search_call", {})
    assert losses(user(Text("Hi")), written_assistant(search, Text("ok")), user(search, Text("Hi"))) == []


def test_media_of_the_assistants_are_reported() -> None:
    assert losses(user(Text("Hi")), written_assistant(Text("here"), IMAGE)) == ["messages[1].content[1] (image)"]


def test_a_custom_call_is_free_text_at_openai_and_a_function_elsewhere() -> None:
    call = ToolCall("a", "py", {"input": "1+1"}, raw="1+1", kind="custom")
    turns = (user(Text("Hi")), written_assistant(call))
    assert messages(*turns)[1]["tool_calls"] == [
        {"id": "a", "type": "custom", "custom": {"name": "py", "input": "1+1"}}
    ]
    assert messages(*turns, capabilities=PLAIN)[1]["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "py", "arguments": '{"input":"1+1"}'}}
    ]


def test_ids_are_cleaned_alike_on_call_and_result() -> None:
    call = msgspec.structs.replace(F, id="functions.f:0")
    for capabilities in (OPENAI, Capabilities(call_id_length=9, dialect=Dialect(name="mistral"))):
        written = messages(
            user(Text("Hi")), written_assistant(call), user(ToolResult("functions.f:0")), capabilities=capabilities
        )
        given = written[1]["tool_calls"][0]["id"]
        assert given == written[2]["tool_call_id"]
        assert given.replace("_", "").replace("-", "").isalnum()
        length = capabilities.call_id_length
        assert not length or (len(given) == length and given.isalnum())


def signed(signature: Signature | None, capabilities: Capabilities) -> Any:
    written = messages(
        user(Text("Hi")), written_assistant(msgspec.structs.replace(F, signature=signature)), capabilities=capabilities
    )
    return written[1]["tool_calls"][0].get("extra_content")


def test_a_signature_goes_only_to_googles_endpoint_and_the_family_that_made_it() -> None:
    google = Capabilities(family="gemini-3", dialect=Dialect(name="google", takes=frozenset({"extra_content"})))
    ours = Signature("gemini", "c2ln", "gemini-3")
    carried = {"google": {"thought_signature": "c2ln"}}
    assert signed(ours, google) == carried
    assert signed(Signature("gemini", "c2ln"), google) == carried
    assert signed(Signature("gemini", "c2ln", "gemini-2.5"), google) is None
    assert signed(Signature("anthropic", "c2ln"), google) is None
    assert signed(ours, OPENAI) is None
    said = messages(user(Text("Hi")), written_assistant(Text("yes", signature=ours)), capabilities=google)[1]
    assert said == {"role": "assistant", "content": "yes", "extra_content": carried}
