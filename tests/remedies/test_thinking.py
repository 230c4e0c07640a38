from __future__ import annotations

from typing import Any

import pytest

from bm.names import ProtocolName
from bm.protocols.gemini.thinking import DUMMY_WORD
from tests.remedies.heal import CHAT, CLAUDE, GEMINI, RESPONSES, done

CALL = {"functionCall": {"name": "f"}}


@pytest.mark.parametrize(
    ("operation", "protocol", "body", "expected"),
    [
        (
            "adaptive",
            CLAUDE,
            {"thinking": {"type": "enabled", "budget_tokens": 32_000, "display": "omitted"}},
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "xhigh"}},
        ),
        (
            "adaptive",
            CLAUDE,
            {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "max"}},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        ),
        ("adaptive", CLAUDE, {"thinking": {"type": "disabled"}}, None),
        (
            "budgeted",
            CLAUDE,
            {"thinking": {"type": "adaptive"}, "max_tokens": 4000},
            {"thinking": {"type": "enabled", "budget_tokens": 3999}, "max_tokens": 4000},
        ),
        ("budgeted", CLAUDE, {"thinking": {"type": "adaptive"}, "max_tokens": 500}, {"max_tokens": 500}),
        (
            "budgeted",
            CLAUDE,
            {"thinking": {"type": "adaptive"}, "max_tokens": 9000, "tool_choice": {"type": "any"}},
            {"max_tokens": 9000, "tool_choice": {"type": "any"}},
        ),
        ("think_least", CLAUDE, {"thinking": {"type": "disabled"}}, {"output_config": {"effort": "low"}}),
        ("think_least", CHAT, {"reasoning": {"enabled": False}}, {"reasoning": {"effort": "minimal"}}),
        ("think_least", CHAT, {"reasoning_effort": "none"}, {"reasoning_effort": "low"}),
        ("think_least", CHAT, {"reasoning_effort": "high"}, None),
        (
            "think_least",
            GEMINI,
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
            {"generationConfig": {"thinkingConfig": {}}},
        ),
        ("not_between_tools", CLAUDE, {"thinking": {"type": "between_tools"}}, {"thinking": {"type": "disabled"}}),
        ("no_thinking", CLAUDE, {"thinking": {"type": "enabled"}}, {}),
        ("no_thinking", CHAT, {"reasoning_effort": "high"}, {"thinking": {"type": "disabled"}}),
        (
            "smaller_budget",
            CLAUDE,
            {"thinking": {"type": "enabled", "budget_tokens": 900}, "max_tokens": 800},
            {"max_tokens": 800},
        ),
        (
            "strip_thinking",
            RESPONSES,
            {"input": [{"type": "reasoning", "id": "rs"}, {"type": "message", "content": "a"}]},
            {"input": [{"type": "message", "content": "a"}]},
        ),
        (
            "strip_thinking",
            CLAUDE,
            {"messages": [{"role": "assistant", "content": [{"type": "thinking"}]}]},
            {"messages": []},
        ),
        ("drop_item_ids", RESPONSES, {"input": [{"type": "message", "id": "m"}]}, {"input": [{"type": "message"}]}),
        (
            "not_encrypted",
            RESPONSES,
            {"include": ["reasoning.encrypted_content", "x"]},
            {"include": ["x"]},
        ),
        (
            "stand_in_signatures",
            GEMINI,
            {"contents": [{"parts": [CALL, CALL]}]},
            {"contents": [{"parts": [CALL | {"thoughtSignature": DUMMY_WORD}, CALL]}]},
        ),
    ],
)
def test_how_thinking_is_changed(operation: str, protocol: ProtocolName, body: Any, expected: Any) -> None:
    assert done(operation, body, protocol=protocol) == expected


def test_earlier_reasoning_is_sent_back_where_it_is_known() -> None:
    calls = {"role": "assistant", "tool_calls": [{"id": "1"}]}
    body = {"messages": [calls | {"reasoning": "why"}, calls, {"role": "assistant", "content": "a"}]}
    sent = done("send_reasoning", body, path="reasoning_content")["messages"]
    assert [message.get("reasoning_content") for message in sent] == ["why", " ", None]


def test_a_wrong_signature_is_replaced_wherever_one_stands() -> None:
    body = {"contents": [{"parts": [{"text": "t", "thoughtSignature": "x"}, CALL | {"thoughtSignature": "y"}]}]}
    parts = done("stand_in_signatures", body, "wrong", protocol=GEMINI)["contents"][0]["parts"]
    assert [part["thoughtSignature"] for part in parts] == [DUMMY_WORD, DUMMY_WORD]


def test_a_listed_effort_is_chosen_where_thinking_cannot_be_turned_off() -> None:
    body = {"thinking": {"type": "disabled"}, "reasoning_effort": "xhigh"}
    expected = {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}
    assert done("think_least", body, "low", "high", "max") == expected
