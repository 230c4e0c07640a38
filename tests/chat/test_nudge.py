from __future__ import annotations

from bm.chat.nudge import NUDGE, nudged
from bm.chat.parts import Text, ToolCall, ToolResult
from bm.chat.request import ChatRequest, Turn


def request(*turns: Turn) -> ChatRequest:
    return ChatRequest(protocol="anthropic", model="m", turns=turns)


def test_the_word_stands_behind_what_the_user_or_a_tool_said_last() -> None:
    said = Turn("user", (ToolResult("c", (Text("ok"),)),))
    assert nudged(request(said)).turns == (Turn("user", (*said.parts, Text(NUDGE))),)


def test_after_the_model_it_is_a_turn_of_its_own() -> None:
    called = Turn("assistant", (ToolCall("c", "f", {}),))
    assert nudged(request(called)).turns == (called, Turn("user", (Text(NUDGE),)))


def test_an_empty_conversation_begins_with_it() -> None:
    assert nudged(request()).turns == (Turn("user", (Text(NUDGE),)),)
