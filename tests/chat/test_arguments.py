"""The arguments of a call."""

from __future__ import annotations

import pytest

from bm.chat.arguments import parse_arguments


@pytest.mark.parametrize(
    ("raw", "arguments"),
    [
        ('{"a": 1}', {"a": 1}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ("", {}),
        ("  ", {}),
        ("null", {}),
        ('""', {}),
        ("[1]", {"input": "[1]"}),
        ('{"a":', {"input": '{"a":'}),
        ('"\ud800"', {"input": '"?"'}),
    ],
)
def test_arguments_are_always_an_object(raw: str, arguments: dict[str, object]) -> None:
    assert parse_arguments(raw) == arguments
