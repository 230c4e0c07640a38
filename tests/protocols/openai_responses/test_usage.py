from __future__ import annotations

from typing import Any

import pytest

from bm.chat.events import Finish, Usage
from bm.protocols.openai_responses.usage import decode_usage, encode_usage, ending, finish_of


@pytest.mark.parametrize(
    ("finish", "refused", "status"),
    [
        (None, False, ("completed", None)),
        (Finish("stop"), False, ("completed", None)),
        (Finish("length"), False, ("incomplete", "max_output_tokens")),
        (Finish("refusal"), False, ("incomplete", "content_filter")),
        (Finish("refusal"), True, ("completed", None)),
    ],
)
def test_the_status_of_an_answer(finish: Finish | None, refused: bool, status: tuple[str, str | None]) -> None:
    assert ending(finish, refused=refused) == status


@pytest.mark.parametrize(
    ("response", "called", "finish"),
    [
        ({"status": "completed"}, False, Finish("stop", native="completed")),
        ({"status": "completed"}, True, Finish("tool_calls", native="completed")),
        ({}, False, Finish("stop", native="completed")),
        ({"status": "incomplete"}, True, Finish("length", native="incomplete")),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            False,
            Finish("refusal", native="content_filter"),
        ),
    ],
)
def test_how_an_upstreams_answer_ended(response: dict[str, Any], called: bool, finish: Finish) -> None:
    assert finish_of(response, called=called, refused=False) == finish


WIRE = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 50},
    "output_tokens": 250,
    "output_tokens_details": {"reasoning_tokens": 200},
    "total_tokens": 1250,
}


def test_usage_in_both_directions() -> None:
    usage = Usage(input=150, cache_read=800, cache_write=50, output=250, thinking=200)
    assert decode_usage({"usage": WIRE}) == usage
    assert encode_usage(usage) == WIRE


def test_what_else_changes_the_price_is_read() -> None:
    def search(action: str, status: str = "completed") -> dict[str, Any]:
        return {"type": "web_search_call", "status": status, "action": {"type": action}}

    items = [search("search"), search("open_page"), search("find_in_page"), search("search", "failed"), "x"]
    items += [{"type": "web_search_call", "status": "completed"}]
    found = decode_usage({"usage": {"cost_in_usd_ticks": 5}, "output": items, "service_tier": "priority"})
    assert found == Usage(searches=2, tier="priority", charged=5e-10)


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (None, None),
        ("x", None),
        ({}, Usage()),
        ({"input_tokens": 5, "output_tokens": 2}, Usage(5, 0, 0, 2)),
        ({"input_tokens": 5, "input_tokens_details": None, "output_tokens": None}, Usage(5)),
        ({"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9}}, Usage(0, 9)),
    ],
)
def test_usage_of_services_that_leave_things_out(wire: object, usage: Usage | None) -> None:
    assert decode_usage({"usage": wire}) == usage
