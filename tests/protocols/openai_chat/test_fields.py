from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bm.errors import RequestError
from bm.protocols.openai_chat import fields


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (fields.string, "a", "a"),
        (fields.string, None, ""),
        (fields.number, 1.5, 1.5),
        (fields.number, None, None),
        (fields.integer, 3.0, 3),
        (fields.integer, None, None),
        (fields.boolean, False, False),
        (fields.boolean, None, None),
        (fields.array, [1], [1]),
        (fields.array, None, []),
        (fields.mapping, {"a": 1}, {"a": 1}),
        (fields.mapping, None, None),
    ],
)
def test_a_member_is_read_and_null_is_absence(read: Callable[..., Any], value: Any, expected: Any) -> None:
    assert read({"key": value}, "key") == expected
    if value is None:
        assert read({}, "key") == expected


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (fields.string, 1, "tools[0].key: expected a string, got a number"),
        (fields.number, True, "tools[0].key: expected a number, got a boolean"),
        (fields.integer, 1.5, "tools[0].key: expected a whole number, got a number"),
        (fields.boolean, "yes", "tools[0].key: expected a boolean, got a string"),
        (fields.array, {}, "tools[0].key: expected an array, got an object"),
        (fields.mapping, [], "tools[0].key: expected an object, got an array"),
    ],
)
def test_the_wrong_type_names_the_place(read: Callable[..., Any], value: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        read({"key": value}, "key", "tools[0]")
    assert caught.value.failure.message == message
    assert caught.value.failure.param == "tools[0].key"
    assert caught.value.failure.kind == "bad_request"


def test_an_element_must_be_an_object() -> None:
    assert fields.item({"a": 1}, "tools[0]") == {"a": 1}
    with pytest.raises(RequestError, match=r"tools\[0\]: expected an object, got null"):
        fields.item(None, "tools[0]")


def test_a_fault_of_the_whole_body_names_no_place() -> None:
    assert fields.refuse("", "nothing there").failure.message == "nothing there"
