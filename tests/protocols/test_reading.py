"""Typed members of JSON bodies: what is read, and how a wrong type is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bm.errors import RequestError
from bm.protocols import reading


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (reading.string, "a", "a"),
        (reading.string, None, ""),
        (reading.required_string, "", ""),
        (reading.number, 1.5, 1.5),
        (reading.number, None, None),
        (reading.integer, 3.0, 3),
        (reading.integer, None, None),
        (reading.boolean, False, False),
        (reading.boolean, None, None),
        (reading.array, [1], [1]),
        (reading.array, None, []),
        (reading.mapping, {"a": 1}, {"a": 1}),
        (reading.mapping, None, None),
        (reading.strings, ["a", ""], ["a", ""]),
        (reading.strings, "a", ["a"]),
        (reading.strings, None, []),
    ],
)
def test_a_member_is_read_and_null_is_absence(read: Callable[..., Any], value: Any, expected: Any) -> None:
    assert read({"key": value}, "key") == expected
    if value is None:
        assert read({}, "key") == expected


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (reading.string, 1, "tools[0].key: expected a string, got a number"),
        (reading.required_string, None, "tools[0].key: expected a string, got null"),
        (reading.filled_string, "", "tools[0].key: expected a string, got nothing"),
        (reading.filled_string, None, "tools[0].key: expected a string, got nothing"),
        (reading.number, True, "tools[0].key: expected a number, got a boolean"),
        (reading.integer, 1.5, "tools[0].key: expected an integer, got a number"),
        (reading.boolean, "yes", "tools[0].key: expected a boolean, got a string"),
        (reading.array, {}, "tools[0].key: expected an array, got an object"),
        (reading.required_array, None, "tools[0].key: expected an array, got null"),
        (reading.required_array, [], "tools[0].key: expected at least one element, got an empty array"),
        (reading.mapping, [], "tools[0].key: expected an object, got an array"),
        (reading.required_mapping, None, "tools[0].key: expected an object, got null"),
        (reading.strings, 1, "tools[0].key: expected an array, got a number"),
    ],
)
def test_the_wrong_type_names_the_place(read: Callable[..., Any], value: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        read({"key": value}, "key", "tools[0]")
    assert caught.value.failure.message == message
    assert caught.value.failure.param == "tools[0].key"
    assert caught.value.failure.kind == "bad_request"


def test_elements_carry_their_places() -> None:
    assert list(reading.elements({"tools": [{}, {"a": 1}]}, "tools", "x")) == [
        ({}, "x.tools[0]"),
        ({"a": 1}, "x.tools[1]"),
    ]
    assert list(reading.elements({}, "tools")) == []
    with pytest.raises(RequestError, match=r"tools\[1\]: expected an object, got null"):
        list(reading.elements({"tools": [{}, None]}, "tools"))
    with pytest.raises(RequestError, match=r"stop\[1\]: expected a string, got null"):
        reading.strings({"stop": ["a", None]}, "stop")


@pytest.mark.parametrize(
    ("protocol", "at"),
    [
        ("gemini", "contents[1].parts[2]"),
        ("anthropic", "messages[1].content[2]"),
        ("openai-chat", "messages[1].content[2]"),
        ("openai-responses", "input[1].content[2]"),
    ],
)
def test_a_place_is_spelled_as_the_client_would(protocol: Any, at: str) -> None:
    assert reading.place_of(protocol, 1, 2) == at


def test_a_fault_of_the_whole_body_names_no_place() -> None:
    assert reading.refuse("", "nothing there").failure.message == "nothing there"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("inlineData", "inline_data"),
        ("text", "text"),
        ("topK", "top_k"),
        ("parametersJsonSchema", "parameters_json_schema"),
    ],
)
def test_names_in_both_spellings(one: str, other: str) -> None:
    assert (reading.snake(one), reading.camel(other)) == (other, one)
    assert (reading.camel(one), reading.snake(other)) == (one, other)


def test_a_member_in_camel_case_is_found_in_either_spelling() -> None:
    assert reading.member({"topK": 1}, "topK") == reading.integer({"top_k": 1}, "topK") == 1
    assert reading.member({"topK": None, "top_k": 0}, "topK") == 0
    assert reading.member({}, "topK") is None
    assert reading.member({"topK": 1}, "top_k") is None


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (reading.string_of, "a", "a"),
        (reading.string_of, {"a": 1}, ""),
        (reading.count_of, 5, 5),
        (reading.count_of, 5.0, 5),
        (reading.count_of, -1, 0),
        (reading.count_of, "5", 0),
        (reading.object_of, {"a": 1}, {"a": 1}),
        (reading.object_of, [], {}),
        (reading.array_of, [1], [1]),
        (reading.array_of, "abc", []),
        (reading.objects_of, [{"a": 1}, None, "x", {}], [{"a": 1}, {}]),
        (reading.objects_of, {"a": 1}, []),
        (reading.json_of, b'{"a": 1}', {"a": 1}),
        (reading.json_of, b"\xff", None),
        (reading.json_of, "[", None),
        (reading.json_of, b"[" * 100_000, None),
    ],
)
def test_what_an_upstream_sends_in_another_type_counts_as_empty(
    read: Callable[[Any], Any], value: Any, expected: Any
) -> None:
    assert read(value) == expected
