from __future__ import annotations

from typing import Any

import pytest

from bm.names import ProtocolName
from tests.remedies.heal import CHAT, CLAUDE, GEMINI, done

HI = {"role": "user", "content": "hi"}
SYSTEM = {"role": "system", "content": "be brief"}
REMINDER = "<system-reminder>\nbe brief\n</system-reminder>"


@pytest.mark.parametrize(
    ("operation", "protocol", "body", "expected"),
    [
        ("go_on", CLAUDE, {"messages": [HI]}, None),
        ("trim_end", CLAUDE, {"messages": [{"role": "assistant", "content": "a \n"}]}, "a"),
        ("trim_end", CLAUDE, {"messages": [HI]}, None),
        ("begin_with_user", CLAUDE, {"messages": [HI]}, None),
        ("merge_roles", CHAT, {"messages": [HI]}, None),
        ("part_after_results", CHAT, {"messages": [HI]}, None),
        ("drop_empty", CLAUDE, {"messages": [HI]}, None),
        ("plain_text", CHAT, {"messages": [HI]}, None),
        ("move_system", CHAT, {"messages": [SYSTEM, HI]}, None),
        ("system_as_user", CHAT, {"messages": [HI]}, None),
    ],
)
def test_what_needs_no_change(operation: str, protocol: ProtocolName, body: Any, expected: Any) -> None:
    changed = done(operation, body, protocol=protocol)
    assert (changed["messages"][-1]["content"] if changed else None) == expected


def test_instructions_go_to_the_system_prompt_or_stay_as_reminders() -> None:
    changed = done(
        "move_system", {"messages": [SYSTEM, HI, {"role": "assistant", "content": "a"}, SYSTEM]}, protocol=CLAUDE
    )
    assert changed["system"] == "be brief"
    assert changed["messages"][-1] == {"role": "user", "content": REMINDER}


def test_chat_keeps_one_system_message() -> None:
    changed = done("move_system", {"messages": [SYSTEM, SYSTEM, HI, SYSTEM]})
    assert changed["messages"] == [
        {"role": "system", "content": "be brief\n\nbe brief"},
        {"role": "user", "content": f"hi\n\n{REMINDER}"},
    ]


def test_a_system_prompt_becomes_the_head_of_the_users_turn() -> None:
    body = {"systemInstruction": {"parts": [{"text": "s"}]}, "contents": [{"role": "user", "parts": [{"text": "u"}]}]}
    assert done("system_as_user", body, protocol=GEMINI) == {
        "contents": [{"role": "user", "parts": [{"text": "s"}, {"text": "u"}]}]
    }


def test_neighbours_of_a_role_are_merged() -> None:
    piece = {"type": "text", "text": "p"}
    body = {"messages": [HI, {"role": "user", "content": [piece]}, {"role": "assistant", "content": "a"}]}
    merged = done("merge_roles", body)["messages"]
    assert merged[0]["content"] == [{"type": "text", "text": "hi"}, piece] and len(merged) == 2


def test_the_conversation_begins_with_the_user() -> None:
    changed = done("begin_with_user", {"messages": [SYSTEM, {"role": "assistant", "content": "a"}]})
    assert [message["role"] for message in changed["messages"]] == ["system", "user", "assistant"]


def test_what_is_empty_is_left_out() -> None:
    blank = {"type": "text", "text": " "}
    body = {
        "messages": [
            HI,
            {"role": "assistant", "content": [blank]},
            {"role": "user", "content": [blank, {"type": "image"}]},
        ]
    }
    changed = done("drop_empty", body, protocol=CLAUDE)
    assert changed["messages"] == [HI, {"role": "user", "content": [{"type": "image"}]}]


def test_texts_become_plain() -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}
    assert done("plain_text", body)["messages"][0]["content"] == "a\n\nb"
