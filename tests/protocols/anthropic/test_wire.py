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
        ({"max_tokens": "100"}, "max_tokens", "max_tokens: expected an integer, found a string"),
        ({"max_tokens": 1.5}, "max_tokens", "max_tokens: expected an integer, found a number"),
        ({"max_tokens": -1}, "max_tokens", "max_tokens: must not be negative"),
        ({"temperature": True}, "temperature", "temperature: expected a number, found a boolean"),
        ({"stream": "yes"}, "stream", "stream: expected a boolean, found a string"),
        ({"system": {"text": "x"}}, "system", "system: expected an array, found an object"),
        ({"system": [{"type": "text"}]}, "system[0].text", "system[0].text: expected a string, found null"),
        ({"tools": [{"type": "custom"}]}, "tools[0].name", "tools[0].name: expected a string, found null"),
        ({"model": None}, "model", "model: expected a string, found null"),
        ({"messages": None}, "messages", "messages: expected an array, found null"),
        ({"messages": []}, "messages", "messages: at least one message is required"),
        ({"messages": ["Hi"]}, "messages[0]", "messages[0]: expected an object, found a string"),
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


def test_a_whole_number_may_be_spelled_with_a_point() -> None:
    assert wire.integer(5.0, "max_tokens") == 5


@pytest.mark.parametrize(
    ("value", "mark"),
    [({"type": "ephemeral"}, CacheMark()), ({"type": "ephemeral", "ttl": "1h"}, CacheMark("1h"))],
)
def test_a_cache_mark_is_read_and_written(value: dict[str, Any], mark: CacheMark) -> None:
    assert wire.cache_mark({"cache_control": value}, "tools[0]") == mark
    assert wire.cache_control(mark) == value
