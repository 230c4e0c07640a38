from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Media, Opaque, Text, ToolCall, ToolResult
from bm.chat.request import Turn
from tests.protocols.anthropic.examples import (
    OPUS_4_8,
    SONNET_4_5,
    assistant,
    chat,
    encoded,
    lost,
    system,
    user,
)

CALL = ToolCall("t1", "run", {})


def written(*turns: Turn, capabilities: Capabilities = SONNET_4_5) -> list[tuple[str, list[Any]]]:
    """Each message as its role and its blocks: text as it is, others by their type."""
    messages = encoded(chat(*turns), capabilities).body["messages"]
    return [(m["role"], [block.get("text", block["type"]) for block in m["content"]]) for m in messages]


@pytest.mark.parametrize(
    ("turns", "messages"),
    [
        ((user("a"), user("b")), [("user", ["a", "b"])]),
        (
            (user("a"), assistant("b"), assistant("c"), user("d")),
            [("user", ["a"]), ("assistant", ["b", "c"]), ("user", ["d"])],
        ),
        ((user("a", "", " \n"),), [("user", ["a"])]),
        ((user("a"), assistant(""), user("b")), [("user", ["a", "b"])]),
        ((user("a"), assistant("b  \n")), [("user", ["a"]), ("assistant", ["b"])]),
    ],
    ids=["users", "assistants", "empty-text", "empty-turn", "prefill"],
)
def test_roles_alternate_and_no_text_is_empty(turns: tuple[Turn, ...], messages: object) -> None:
    assert written(*turns) == messages


def test_a_conversation_begins_with_the_user() -> None:
    first, *rest = written(assistant("Hello"), user("Hi"))
    assert first[0] == "user" and first[1]
    assert rest == [("assistant", ["Hello"]), ("user", ["Hi"])]


def test_results_stand_first_in_the_order_of_their_calls() -> None:
    turns = (
        user("Hi"),
        assistant("Ok", CALL, ToolCall("t2", "run", {})),
        user(ToolResult("t2")),
        user(ToolResult("t1")),
        user("Go on"),
    )
    assert written(*turns)[2] == ("user", ["tool_result", "tool_result", "Go on"])
    results = encoded(chat(*turns)).body["messages"][2]["content"]
    assert [block.get("tool_use_id") for block in results] == ["t1", "t2", None]


def test_a_missing_result_is_made_up_and_an_orphan_becomes_text() -> None:
    content = encoded(chat(user("Hi"), assistant(CALL), user(ToolResult("t9", (Text("late"),))))).body["messages"][2]
    missing, *orphan = content["content"]
    assert (missing["tool_use_id"], missing["is_error"]) == ("t1", True)
    assert [block["type"] for block in orphan] == ["text", "text"]


@pytest.mark.parametrize(
    ("turns", "roles"),
    [
        ((user("a"), system("s"), assistant("b"), user("c")), ["user", "system", "assistant", "user"]),
        ((user("a"), system("s"), system("t")), ["user", "system"]),
        ((user("a"), assistant("b"), system("s"), user("c")), ["user", "assistant", "user"]),
        ((system("s"), user("a")), ["user"]),
        ((user("a"), assistant("b"), system("s")), ["user", "assistant", "user"]),
    ],
    ids=["between", "at-the-end", "after-assistant", "first", "end-after-assistant"],
)
def test_instructions_stay_where_the_model_takes_them(turns: tuple[Turn, ...], roles: list[str]) -> None:
    assert [role for role, _ in written(*turns, capabilities=OPUS_4_8)] == roles


def test_instructions_become_user_text_elsewhere() -> None:
    opaque = Opaque("anthropic", "tool_addition", {}, "The tool run is now available.")
    ((role, texts),) = written(user("a"), system("s", opaque))
    assert (role, texts[0]) == ("user", "a")
    assert "<system-reminder>\ns\n\nThe tool run is now available.\n</system-reminder>" in texts[1]


def test_media_of_the_assistant_move_to_the_user() -> None:
    image = Media("image", url="https://x")
    assert written(user("a"), assistant("b", image, CALL), user(ToolResult("t1"), "c"))[1:] == [
        ("assistant", ["b", "tool_use"]),
        ("user", ["tool_result", "image", "c"]),
    ]
    assert written(user("a"), assistant(image)) == [("user", ["a", "image"])]


def test_a_model_without_prefill_is_asked_to_go_on() -> None:
    result = encoded(chat(user("a"), assistant("b")), OPUS_4_8)
    assert result.body["messages"][-1]["role"] == "user"
    assert lost(result) == ["messages"]
    assert lost(encoded(chat(user("a"), assistant("b")), msgspec.structs.replace(OPUS_4_8, prefill=True))) == []
