from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import CacheMark
from bm.errors import RequestError
from bm.protocols.anthropic import wire
from tests.protocols.anthropic.examples import decoded


@pytest.mark.parametrize(
    ("member", "place", "expected"),
    [
        ({"max_tokens": "100"}, "max_tokens", "max_tokens: expected an integer, got a string"),
        ({"max_tokens": 1.5}, "max_tokens", "max_tokens: expected an integer, got a number"),
        ({"max_tokens": -1}, "max_tokens", "max_tokens: must not be negative"),
        ({"temperature": True}, "temperature", "temperature: expected a number, got a boolean"),
        ({"stream": "yes"}, "stream", "stream: expected a boolean, got a string"),
        ({"system": {"text": "x"}}, "system", "system: expected an array, got an object"),
        ({"system": [{"type": "text"}]}, "system[0].text", "system[0].text: expected a string, got null"),
        ({"tools": [{"type": "custom"}]}, "tools[0].name", "tools[0].name: expected a string, got null"),
        ({"model": None}, "model", "model: expected a string, got null"),
        ({"messages": None}, "messages", "messages: expected an array, got null"),
        ({"messages": []}, "messages", "messages: expected at least one element, got an empty array"),
        ({"messages": ["Hi"]}, "messages[0]", "messages[0]: expected an object, got a string"),
    ],
)
def test_a_wrong_type_is_told_with_its_place(member: dict[str, Any], place: str, expected: str) -> None:
    with pytest.raises(RequestError) as caught:
        decoded(**member)
    assert (caught.value.failure.param, caught.value.failure.message) == (place, expected)
    assert caught.value.failure.http_status == 400


@pytest.mark.parametrize("name", ["system", "tools", "tool_choice", "thinking", "metadata", "stop_sequences", "stream"])
def test_null_is_the_same_as_absent(name: str) -> None:
    assert decoded(**{name: None}) == decoded()


@pytest.mark.parametrize(
    ("value", "mark"),
    [({"type": "ephemeral"}, CacheMark()), ({"type": "ephemeral", "ttl": "1h"}, CacheMark("1h"))],
)
def test_a_cache_mark_is_read_and_written(value: dict[str, Any], mark: CacheMark) -> None:
    assert wire.cache_mark({"cache_control": value}, "tools[0]") == mark
    assert wire.cache_control(mark) == value
