"""The four wires offer the same, and read carelessly made requests without falling over."""

from __future__ import annotations

from typing import Any

import pytest

from bm.simulator.app import WIRES
from bm.simulator.wire import Wire, blocks, dump, items, text_of


def test_every_wire_offers_what_is_asked_of_it() -> None:
    wanted = {name for name in vars(Wire) if not name.startswith("_")}
    for wire in WIRES.values():
        assert wanted <= set(vars(wire))


@pytest.mark.parametrize(("value", "found"), [([{"a": 1}, 2, None], [{"a": 1}]), ("text", []), (None, []), ({}, [])])
def test_items_are_the_objects_of_a_list(value: Any, found: list[Any]) -> None:
    assert items(value) == found


@pytest.mark.parametrize(
    ("content", "text"),
    [("a", "a"), ([{"text": "a"}, {"image": 1}, {"text": "b"}], "a b"), (None, ""), ([{"text": None}], "")],
)
def test_the_text_of_content(content: Any, text: str) -> None:
    assert text_of(content) == text


def test_a_string_is_one_block() -> None:
    assert blocks("a") == [{"type": "text", "text": "a"}]


def test_text_is_dumped_as_it_is() -> None:
    assert (dump("a"), dump({"b": 1, "a": 2})) == ("a", '{"b":1,"a":2}')
