from __future__ import annotations

from typing import Any

import pytest

from bm.remedies.members import first, may_go, nearest, place, spots
from tests.remedies.heal import done

BODY = {
    "temperature": 1,
    "max_tokens": 9,
    "generationConfig": {"topK": 2, "thinkingConfig": {"thinkingBudget": 0}},
    "tools": [{"name": "f", "input_schema": {}}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
}


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("temperature", "temperature"),
        ("maxTokens", "max_tokens"),
        ("body.temperature", "temperature"),
        ("GenerateContentRequest.generation_config.top_k", "generationConfig.topK"),
        ("topK", "generationConfig.topK"),
        ("thinking_budget", "generationConfig.thinkingConfig.thinkingBudget"),
        ("messages[0].content[0].text", "messages.*.content.*.text"),
        ("tools.0.custom.name", "tools.*.name"),
        ("body.temperature.float", "temperature"),
        ("messages.7.content", "messages"),
        ("nowhere", ""),
        ("", ""),
    ],
)
def test_a_refusal_names_a_member_in_its_own_way(written: str, path: str) -> None:
    found = place(BODY, written)
    assert found == path or (written == "messages.7.content" and found == "")


def test_members_of_messages_and_tools_are_found_by_name() -> None:
    assert spots(BODY, "input_schema") == "tools.*.input_schema" and spots(BODY, "nowhere") == ""
    assert first(BODY, ("seed", "temperature")) == "temperature"


@pytest.mark.parametrize("path", ["messages", "tools.*.name", "messages.*", "messages.*.content.*.file", ""])
def test_what_the_request_is_about_stays(path: str) -> None:
    assert not may_go(path)
    assert done("drop", BODY, path=path) is None


@pytest.mark.parametrize(
    ("wanted", "levels", "chosen"),
    [
        ("none", ("low", "high", "max"), "low"),
        ("medium", ("low", "high", "max"), "high"),
        ("xhigh", ("low", "medium", "high"), "high"),
        ("ultra", ("high", "xhigh"), "xhigh"),
        ("auto", ("low",), None),
        ("low", ("a",), None),
    ],
)
def test_the_nearest_level(wanted: str, levels: tuple[str, ...], chosen: str | None) -> None:
    assert nearest(wanted, levels) == chosen


@pytest.mark.parametrize(
    ("operation", "path", "values", "body", "expected"),
    [
        ("drop", "a.b", (), {"a": {"b": 1}}, {}),
        ("drop", "a.b", (), {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
        ("drop", "a.*.b", (), {"a": [{"b": 1}, {}]}, {"a": [{}, {}]}),
        ("drop", "a", (), {"b": 1}, None),
        ("rename", "a.b", ("c",), {"a": {"b": 1}}, {"a": {"c": 1}}),
        ("rename", "a", ("b",), {"a": 1, "b": 2}, {"b": 2}),
        ("rename", "a", ("b",), {"a": 1, "b": None}, {"b": 1}),
        ("put", "a.b", (True,), {}, {"a": {"b": True}}),
        ("put", "a.b", (True,), {"a": 1}, None),
        ("replace", "m.*.role", ("developer", "system"), {"m": [{"role": "developer"}]}, {"m": [{"role": "system"}]}),
        ("level", "e", ("low", "high"), {"e": "max"}, {"e": "high"}),
        ("level", "e", ("low",), {"e": "low"}, None),
        ("avoid", "e", ("minimal",), {"e": "MINIMAL"}, {"e": "LOW"}),
        ("avoid", "e", ("low", "high"), {"e": "high"}, {"e": "medium"}),
        ("clamp", "t", (0, 1), {"t": 1.5}, {"t": 1}),
        ("clamp", "t", (0, 1), {"t": -3}, {"t": 0}),
        ("clamp", "t", (0, 1), {"t": True}, None),
        ("shorten", "stop", (1,), {"stop": ["a", "b"]}, {"stop": ["a"]}),
        ("shorten", "user", (3,), {"user": "abcd"}, {"user": "abc"}),
        ("drop_blank", "stop", (), {"stop": [" ", "a"]}, {"stop": ["a"]}),
        ("drop_blank", "stop", (), {"stop": ["\n"]}, {}),
        ("make_room", "", (100, 40), {"max_tokens": 90}, {"max_tokens": 60}),
        ("make_room", "", (100, 0), {"max_tokens": 99}, {"max_tokens": 94}),
        ("make_room", "", (100, 0), {"max_tokens": 99, "messages": "x" * 400}, None),
        ("make_room", "", (100, 40), {}, None),
    ],
)
def test_operations_on_members(operation: str, path: str, values: tuple[Any, ...], body: Any, expected: Any) -> None:
    assert done(operation, body, *values, path=path) == expected
