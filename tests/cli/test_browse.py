"""Keys in `bm top`: requests are chosen and explained, modes change, and every panel is left again."""

from __future__ import annotations

from typing import Any

import pytest

from bm.cli.browse import Browse, Step
from tests.cli.live import request

REQUESTS = [request(number) for number in (3, 2, 1)]
PROVIDERS: list[dict[str, Any]] = [{"name": "groq", "mode": "off"}, {"name": "xai", "mode": "exclusive"}]


def pressed(browse: Browse, *keys: str, requests: list[dict[str, Any]] = REQUESTS) -> Step | None:
    """What the last of the keys asks for."""
    step = None
    for key in keys:
        step = browse.press(key, requests, PROVIDERS)
    return step


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (("down",), 0),
        (("down", "down"), 1),
        (("end",), 0),
        (("down", "end"), 2),
        (("down", "end", "up"), 1),
        (("down", "up", "up"), 0),
        (("down", "pgdn"), 2),
        (("j", "j", "k"), 0),
        (("down", "esc"), -1),
        (("",), -1),
    ],
)
def test_a_request_is_chosen(keys: tuple[str, ...], chosen: int) -> None:
    browse = Browse()
    assert pressed(browse, *keys) is None
    assert browse.chosen(REQUESTS) == chosen


def test_a_chosen_request_stays_chosen_when_newer_ones_come() -> None:
    browse = Browse()
    pressed(browse, "down")
    newer = [request(5), request(4), *REQUESTS]
    assert browse.chosen(newer) == 2
    assert pressed(browse, "enter", requests=newer) == Step("why", "req_3")


def test_without_a_request_nothing_is_explained() -> None:
    assert pressed(Browse(), "down", "enter", requests=[]) is None


def test_an_explanation_is_scrolled_and_left() -> None:
    browse = Browse()
    browse.explain(["a", "b", "c"])
    pressed(browse, "down", "down", "down", "down")
    assert (browse.panel, browse.place) == ("why", 2)
    assert pressed(browse, "q") is None
    assert browse.panel == "requests"


def test_space_gives_the_chosen_provider_its_next_mode() -> None:
    browse = Browse()
    assert pressed(browse, "m", " ") == Step("mode", "groq", "exclusive")
    assert pressed(browse, "down", "enter") == Step("mode", "xai", "pooled")
    assert pressed(browse, "esc", "q") == Step("quit")


def test_a_message_stays_until_the_next_key() -> None:
    browse = Browse()
    browse.message = "groq is now pooled"
    pressed(browse, "")
    assert browse.message
    pressed(browse, "down")
    assert not browse.message
