from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.chat.events import FinishReason, Usage
from bm.chat.parts import Json
from bm.protocols.openai_chat.usage import (
    asks_for_usage,
    decode_usage,
    encode_usage,
    finish_reason,
    finish_word,
    with_usage,
    without_usage,
)


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 2}, Usage(10, 0, 0, 2)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(6, 4)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}}, Usage(3, 4, 3)),
        ({"input_tokens": 10, "output_tokens": 2}, Usage(10, 0, 0, 2)),
        ({"prompt_tokens": 10, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6}, Usage(6, 4)),
        ({"prompt_tokens": 10, "num_cached_tokens": 4}, Usage(6, 4)),
        ({"prompt_tokens": 10, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3}, Usage(3, 4, 3)),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 3}},
            Usage(10, 0, 0, 5, 3),
        ),
        ({"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 161}}, Usage(0, 7)),
        ({"prompt_tokens": 10, "prompt_tokens_details": None, "completion_tokens": None}, Usage(10)),
        ({"prompt_tokens": 0, "input_tokens": 10, "completion_tokens": None, "output_tokens": 2}, Usage(10, 0, 0, 2)),
        (
            {"prompt_tokens": 10, "prompt_tokens_details": {"audio_tokens": 7}},
            Usage(input=10, audio_input=7),
        ),
        (
            {"completion_tokens": 9, "completion_tokens_details": {"audio_tokens": 6}},
            Usage(output=9, audio_output=6),
        ),
        (None, None),
        ("many", None),
    ],
)
def test_usage_is_read_as_each_service_spells_it(wire: Any, usage: Usage | None) -> None:
    assert decode_usage(wire) == usage


def test_thinking_outside_of_the_completion_is_counted_in_where_the_total_shows_it() -> None:
    """xAI."""
    wire = {"prompt_tokens": 307, "completion_tokens": 26, "total_tokens": 588}
    assert decode_usage({**wire, "completion_tokens_details": {"reasoning_tokens": 255}}) == Usage(307, 0, 0, 281, 255)


def test_more_thinking_than_completion_is_counted_in_where_there_is_no_total() -> None:
    """xAI's streams, https://github.com/LiveBench/LiveBench/pull/503."""
    wire = {"prompt_tokens": 10, "completion_tokens": 237, "completion_tokens_details": {"reasoning_tokens": 1901}}
    assert decode_usage(wire) == Usage(10, 0, 0, 2138, 1901)
    assert decode_usage({**wire, "total_tokens": 247}) == Usage(10, 0, 0, 237, 237)


@pytest.mark.parametrize(
    ("wire", "charged"),
    [
        ({"cost": 0.95, "cost_details": {"upstream_inference_cost": 0.9}}, 0.95),
        ({"cost": 0.95, "is_byok": True, "cost_details": {"upstream_inference_cost": 19}}, 19.95),
        ({"cost": 0}, 0.0),
        ({"cost": {"input_tokens_cost": 0.001, "request_cost": 0.006, "total_cost": 0.007}}, 0.007),
        ({"cost_in_usd_ticks": 37_756_000}, 0.0037756),
        ({}, None),
        ({"cost": None}, None),
        ({"cost": "0.1"}, None),
        ({"cost": True}, None),
        ({"cost": -1}, None),
        ({"cost": 1e300}, None),
        ({"cost": 1, "is_byok": True, "cost_details": {"upstream_inference_cost": "19"}}, None),
    ],
)
def test_what_a_service_charges_is_read(wire: Json, charged: float | None) -> None:
    usage = decode_usage(wire)
    assert usage is not None and usage.charged == (None if charged is None else pytest.approx(charged))


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ("default", ""),
        ("auto", ""),
        ("on_demand", ""),
        ("flex", "flex"),
        ("priority", "priority"),
        ("PRIORITY", "priority"),
        (None, ""),
        (5, ""),
    ],
)
def test_the_tier_is_read(said: object, tier: str) -> None:
    usage = decode_usage({"prompt_tokens": 1}, said)
    assert usage is not None and usage.tier == tier


def test_usage_survives_both_ways() -> None:
    usage = Usage(input=200, cache_read=800, cache_write=50, output=250, thinking=200)
    wire: Json = encode_usage(usage)
    assert (wire["prompt_tokens"], wire["completion_tokens"], wire["total_tokens"]) == (1050, 250, 1300)
    assert decode_usage(wire) == usage


@pytest.mark.parametrize(
    ("native", "calls", "reason"),
    [
        ("stop", False, "stop"),
        ("stop", True, "tool_calls"),
        ("tool_calls", True, "tool_calls"),
        ("tool_calls", False, "stop"),
        ("function_call", True, "tool_calls"),
        ("eos", False, "stop"),
        ("length", True, "length"),
        ("model_length", False, "context_window"),
        ("content_filter", False, "refusal"),
        ("", True, "tool_calls"),
        ("", False, "stop"),
        ("STOP", False, "stop"),
        ("sensitive", False, "refusal"),
        ("model_context_window_exceeded", False, "context_window"),
        ("novelty", False, "length"),
    ],
)
def test_finish_reasons_are_read(native: str, calls: bool, reason: FinishReason) -> None:
    assert finish_reason(native, calls=calls) == reason


def test_finish_words_keep_to_the_answer() -> None:
    assert finish_word("stop", calls=True) == "tool_calls"
    assert finish_word("tool_calls", calls=False) == "stop"
    assert finish_word("tool_calls", calls=True, legacy=True) == "function_call"
    assert finish_word("length", calls=True) == "length"


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (
            b'{ "model":"m",  "messages":[1.0]}',
            b'{"stream_options":{"include_usage":true}, "model":"m",  "messages":[1.0]}',
        ),
        (b'{"a":1.0,"stream_options":{"x":1}}', b'{"a":1.0,"stream_options":{"x":1,"include_usage":true}}'),
        (b'{"a":1.0,"stream_options":null}', b'{"a":1.0,"stream_options":{"include_usage":true}}'),
    ],
    ids=["no options", "others", "null"],
)
def test_usage_is_asked_for_and_nothing_else_changes(body: bytes, asked: bytes) -> None:
    assert not asks_for_usage(body)
    sent = with_usage(body)
    assert asks_for_usage(sent)
    assert msgspec.json.decode(sent) == msgspec.json.decode(asked)
    assert b"1.0" in sent


def test_a_client_that_asks_for_usage_is_known_by_its_options_alone() -> None:
    assert asks_for_usage(b'{"stream_options":{"include_usage":true}}')
    assert not asks_for_usage(b'{"messages":[{"content":{"stream_options":{"include_usage":true}}}]}')
    assert not asks_for_usage(b'{"stream_options":{"include_usage":false}}')


def test_the_chunk_of_usage_alone_is_taken_out() -> None:
    said = b'data: {"choices":[{"index":0,"delta":{"content":"\\"choices\\":[]"}}],"usage":null}\n\n'
    usage = b'data: {"id":"c", "choices": [], "usage":{"prompt_tokens":1}}\r\n\r\n'
    filtered = b'data: {"choices":[],"prompt_filter_results":[]}\n\n'
    done = b"data: [DONE]\n\n"
    assert without_usage(said + filtered + usage + done) == said + filtered + done
    assert without_usage(said) is said
    assert without_usage(usage) == b""
