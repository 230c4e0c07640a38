from __future__ import annotations

from typing import Any

import pytest

from bm.chat.events import Finish, Usage
from bm.protocols.anthropic.usage import UsageMeter, decode_finish, decode_usage, encode_finish, encode_usage


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        ({"input_tokens": 3, "output_tokens": 5}, Usage(input=3, output=5)),
        (
            {
                "input_tokens": 200,
                "cache_read_input_tokens": 800,
                "cache_creation_input_tokens": 7,
                "output_tokens": 250,
                "output_tokens_details": {"thinking_tokens": 200},
            },
            Usage(input=200, cache_read=800, cache_write=7, output=250, thinking=200),
        ),
        (
            {"cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}},
            Usage(cache_write=5, cache_write_1h=3),
        ),
        ({"input_tokens": None, "output_tokens_details": None}, Usage()),
    ],
)
def test_usage_is_read(wire: dict[str, Any], usage: Usage) -> None:
    assert decode_usage(wire) == usage
    assert decode_usage(encode_usage(usage)) == usage


def test_a_later_count_replaces_the_earlier_and_silence_keeps_it() -> None:
    meter = UsageMeter()
    assert meter.add({"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 1}) == Usage(10, 4, 0, 1)
    assert meter.add({"output_tokens": 30, "input_tokens": None}) == Usage(10, 4, 0, 30)
    assert meter.add({"output_tokens": 31, "input_tokens": 0}) == Usage(10, 4, 0, 31)
    assert meter.add(None) is None


def test_a_prompt_that_turns_out_to_be_cached_is_counted_once() -> None:
    meter = UsageMeter()
    meter.add({"input_tokens": 1000, "output_tokens": 1})
    assert meter.add({"input_tokens": 0, "cache_read_input_tokens": 1000, "output_tokens": 9}) == Usage(0, 1000, 0, 9)


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        ({"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1}}, Usage(searches=3)),
        ({"server_tool_use": None}, Usage()),
        ({"speed": "fast"}, Usage(tier="fast")),
        ({"speed": "standard", "service_tier": "standard"}, Usage()),
        ({"output_tokens": 3, "output_tokens_details": {"thinking_tokens": 9}}, Usage(output=3, thinking=3)),
        (
            {
                "input_tokens": 23_000,
                "output_tokens": 1_000,
                "iterations": [
                    {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
                    {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
                ],
            },
            Usage(input=203_000, output=4_500),
        ),
    ],
    ids=["searches", "none", "fast", "usual", "more thinking than output", "summarized before"],
)
def test_what_else_is_billed_is_read(wire: dict[str, Any], usage: Usage) -> None:
    assert decode_usage(wire) == usage


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "context_window"),
        ("refusal", "refusal"),
        ("pause_turn", "pause"),
    ],
)
def test_a_stop_reason_is_read_and_written(word: str, reason: str) -> None:
    finish = decode_finish({"stop_reason": word}, called=False)
    assert (finish.reason, finish.native) == (reason, word)
    assert encode_finish(finish, called=False)["stop_reason"] == word


def test_a_refusal_has_its_reason() -> None:
    details = {"type": "refusal", "category": None, "explanation": "No."}
    finish = decode_finish({"stop_reason": "refusal", "stop_details": details}, called=False)
    assert encode_finish(finish, called=False)["stop_details"] == details


def test_an_answer_with_an_unknown_reason_counts_as_cut() -> None:
    assert decode_finish({"stop_reason": "tired"}, called=False) == Finish("length", native="tired")


@pytest.mark.parametrize(
    ("reason", "called", "word"),
    [
        ("stop", True, "tool_use"),
        ("tool_calls", True, "tool_use"),
        ("tool_calls", False, "end_turn"),
        ("length", True, "max_tokens"),
        (None, False, "end_turn"),
        (None, True, "tool_use"),
    ],
)
def test_what_was_sent_counts_for_more_than_what_was_said(reason: Any, called: bool, word: str) -> None:
    finish = Finish(reason) if reason else None
    assert encode_finish(finish, called=called)["stop_reason"] == word
    assert decode_finish({}, called=called).reason == ("tool_calls" if called else "stop")
