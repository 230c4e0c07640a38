"""Turns in the order that every upstream demands, the retry hint, and notes in place of media."""

from __future__ import annotations

from itertools import zip_longest

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.capabilities import Capabilities
from bm.chat.parts import CacheMark, Media, Part, Text, ToolCall, ToolResult
from bm.chat.repair import (
    CALL_HINT,
    NO_RESULT,
    RETRY_HINT,
    current_turn_start,
    inline_system,
    media_of,
    paired,
    reminder,
    with_call_in_words,
    with_retry_hint,
    without_media,
)
from bm.chat.request import ChatRequest, Tool, ToolChoice, Turn


def call(id: str) -> ToolCall:
    return ToolCall(id=id, name=f"tool-{id}", arguments={})


def result(id: str, text: str = "done") -> ToolResult:
    return ToolResult(call_id=id, parts=(Text(text),))


def user(*parts: Part) -> Turn:
    return Turn("user", parts)


def assistant(*parts: Part) -> Turn:
    return Turn("assistant", parts)


def test_neighbours_of_one_role_become_one_turn() -> None:
    assert paired([user(Text("a")), user(Text("b")), assistant(Text("c"))]) == (
        user(Text("a"), Text("b")),
        assistant(Text("c")),
    )


def test_results_come_first_in_the_order_of_the_calls_and_with_the_tools_names() -> None:
    turns = paired([assistant(call("1"), call("2")), user(Text("go on"), result("2"), result("1"))])
    first, second, text = turns[1].parts
    assert isinstance(first, ToolResult) and isinstance(second, ToolResult)
    assert [(each.call_id, each.name) for each in (first, second)] == [("1", "tool-1"), ("2", "tool-2")]
    assert text == Text("go on")


def test_a_call_without_a_result_gets_an_error_result() -> None:
    for turns in ([assistant(call("1"))], [assistant(call("1")), user(Text("stop"))]):
        missing = paired(turns)[1].parts[0]
        assert isinstance(missing, ToolResult)
        assert (missing.call_id, missing.is_error, missing.parts) == ("1", True, (Text(NO_RESULT),))


def test_a_result_without_a_call_becomes_text() -> None:
    parts = paired([user(result("lost", "what it said"))])[0].parts
    assert all(isinstance(part, Text) for part in parts)
    assert parts[-1] == Text("what it said")


def test_an_instruction_in_mid_conversation_stays_at_its_place() -> None:
    turns = inline_system([user(Text("a")), Turn("system", (Text("be brief"),)), assistant(Text("b"))])
    assert [turn.role for turn in turns] == ["user", "user", "assistant"]
    assert turns[1].parts == (Text("<system-reminder>\nbe brief\n</system-reminder>"),)


def test_the_current_turn_begins_after_what_the_user_last_said() -> None:
    steps = [user(Text("a")), assistant(call("1")), user(result("1")), assistant(call("2")), user(result("2"))]
    assert current_turn_start(tuple(steps)) == 1
    assert current_turn_start((*steps, user(result("2"), Text("and")))) == 6
    assert current_turn_start((assistant(Text("a")),)) == 0


ids = st.sampled_from("123")
parts = st.one_of(ids.map(call), ids.map(result), st.just(Text("x")))


@given(st.lists(st.builds(Turn, st.sampled_from(["user", "assistant"]), st.lists(parts, max_size=4).map(tuple))))
def test_whatever_comes_in_every_call_is_answered_in_the_next_turn(turns: list[Turn]) -> None:
    reported = paired(
        Turn(turn.role, tuple(part for part in turn.parts if isinstance(part, ToolCall) == (turn.role == "assistant")))
        for turn in turns
    )
    for turn, following in zip_longest(reported, reported[1:]):
        called = [part.id for part in turn.parts if isinstance(part, ToolCall)]
        if turn.role == "assistant" and called:
            assert following is not None and following.role == "user"
            answered = [part.call_id for part in following.parts if isinstance(part, ToolResult)]
            assert set(answered) == set(called)


def request(*turns: Turn) -> ChatRequest:
    return ChatRequest(protocol="anthropic", model="m", turns=turns)


def test_the_retry_hint_follows_the_last_user_turn_or_result() -> None:
    said = Turn("user", (ToolResult("c", (Text("ok"),)),))
    assert with_retry_hint(request(said)).turns == (Turn("user", (*said.parts, Text(RETRY_HINT))),)


def test_after_the_assistant_the_retry_hint_is_a_turn_of_its_own() -> None:
    called = Turn("assistant", (ToolCall("c", "f", {}),))
    assert with_retry_hint(request(called)).turns == (called, Turn("user", (Text(RETRY_HINT),)))


def test_an_empty_conversation_begins_with_the_retry_hint() -> None:
    assert with_retry_hint(request()).turns == (Turn("user", (Text(RETRY_HINT),)),)


@pytest.mark.parametrize(
    ("names", "answer", "turns"),
    [
        (("f",), "No.", [("assistant", "No."), ("user", CALL_HINT.format("f"))]),
        (("f", "g"), "", [("user", CALL_HINT.format("f or g"))]),
        ((), "", [("user", CALL_HINT.format("one of the tools"))]),
    ],
)
def test_a_call_that_was_left_out_is_asked_for(
    names: tuple[str, ...], answer: str, turns: list[tuple[str, str]]
) -> None:
    asked = msgspec.structs.replace(request(), tool_choice=ToolChoice("required", names))
    found = with_retry_hint(asked, answer).turns
    assert [(turn.role, turn.parts[0].text) for turn in found if isinstance(turn.parts[0], Text)] == turns


def test_a_call_that_cannot_be_forced_is_asked_for_in_words() -> None:
    choice, tool = ToolChoice("required", ("f",)), Tool("f")
    asked = msgspec.structs.replace(request(), tool_choice=choice, tools=(tool,))
    free = Capabilities(forced_tools="never")
    (turn,) = with_call_in_words(asked, free).turns
    assert turn == Turn("user", (Text(reminder("Answer with a call of f.")),))
    for other, capabilities in (
        (asked, Capabilities()),
        (msgspec.structs.replace(asked, tools=()), free),
        (msgspec.structs.replace(asked, tool_choice=ToolChoice("auto", ("f",))), free),
    ):
        assert with_call_in_words(other, capabilities) is other


PICTURE = Media("image", mime="image/png", data="AAAA", cache=CacheMark())
REPORT = Media("document", mime="application/pdf", data="AAAA", name="report.pdf")
NOTES = Media("document", mime="text/plain", text="first, second", name="notes.txt")
REQUEST = ChatRequest(
    protocol="anthropic",
    model="m",
    turns=(
        Turn("user", (Text("look"), PICTURE, REPORT)),
        Turn("user", (ToolResult("t", (Text("seen"), PICTURE)), NOTES)),
    ),
)


def test_a_note_replaces_pictures_also_in_tool_results() -> None:
    request, losses = without_media(REQUEST, {"images"})
    first, second = request.turns
    note = Text("[image left out: this model cannot be shown it]", cache=CacheMark())
    assert first.parts == (Text("look"), note, REPORT)
    assert second.parts == (ToolResult("t", (Text("seen"), note)), NOTES)
    assert [(loss.field, loss.reason.count(" 2 ")) for loss in losses] == [("images", 1)]


def test_a_note_names_the_document_and_plain_text_is_kept() -> None:
    request, losses = without_media(REQUEST, {"documents"})
    assert request.turns[0].parts[2] == Text('[document "report.pdf" left out: this model cannot be shown it]')
    assert request.turns[1].parts[1] == Text("notes.txt\n\nfirst, second")
    assert [(loss.field, loss.reason.count(" 1 ")) for loss in losses] == [("documents", 1)]


def test_without_anything_to_leave_out_nothing_changes() -> None:
    assert without_media(REQUEST, ()) == (REQUEST, ())
    assert without_media(REQUEST, {"audio"}) == (REQUEST, ())
    assert list(media_of(REQUEST)) == [PICTURE, REPORT, PICTURE, NOTES]


def test_a_call_whose_id_was_used_before_gets_one_of_its_own_and_so_does_its_result() -> None:
    turns = paired(
        [
            assistant(call("1")),
            user(result("1", "a")),
            assistant(call("1"), call("1")),
            user(result("1", "b"), result("1", "c")),
        ]
    )
    calls = [part.id for turn in turns for part in turn.parts if isinstance(part, ToolCall)]
    results = [part for turn in turns for part in turn.parts if isinstance(part, ToolResult)]
    assert len({*calls}) == 3 and calls[0] == "1"
    assert [each.call_id for each in results] == calls
    assert [each.parts for each in results] == [(Text("a"),), (Text("b"),), (Text("c"),)]
