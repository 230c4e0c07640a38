"""Tokens, from Gemini's counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm import sse
from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    FinishReason,
    Start,
    Usage,
    UsageUpdate,
)
from bm.protocols.gemini.codec import CODEC
from bm.protocols.gemini.usage import decode_usage, encode_usage
from tests.protocols.gemini.ids import ids
from tests.protocols.gemini.kit import call_part, chunk, reported, sent
from tests.support import grammar_gemini


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ((1000, 800, 50, 200, 0, 1250), Usage(input=200, cache_read=800, output=250, thinking=200)),
        ((1000, 0, 250, 200, 0, 1250), Usage(input=1000, output=250, thinking=200)),
        ((10, 0, 5, 0, 7, 22), Usage(input=17, output=5)),
        ((10, 0, 0, 0, 0, 10), Usage(input=10)),
    ],
    ids=["thinking beside", "thinking included", "tools' own tokens", "nothing yet"],
)
def test_usage(metadata: tuple[int, ...], usage: Usage) -> None:
    names = (
        "promptTokenCount",
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "toolUsePromptTokenCount",
        "totalTokenCount",
    )
    body = chunk({"text": "a"}, finish="STOP", usageMetadata=dict(zip(names, metadata, strict=True)))
    assert UsageUpdate(usage) in reported(body)


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ({"promptTokenCount": 7, "cachedContentTokenCount": 161}, Usage(cache_read=7)),
        (
            {
                "promptTokenCount": 100,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 96}],
            },
            Usage(input=100, audio_input=96),
        ),
        (
            {"candidatesTokenCount": 1300, "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}]},
            Usage(output=1300, image_output=1290),
        ),
        ({"promptTokenCount": 1, "trafficType": "ON_DEMAND"}, Usage(input=1)),
        ({"promptTokenCount": 1, "trafficType": "ON_DEMAND_FLEX"}, Usage(input=1, tier="flex")),
        ({"promptTokenCount": 1, "trafficType": "ON_DEMAND_PRIORITY"}, Usage(input=1, tier="priority")),
        ({"promptTokenCount": 1, "serviceTier": "standard"}, Usage(input=1)),
        ({"promptTokenCount": 1, "serviceTier": "SERVICE_TIER_FLEX"}, Usage(input=1, tier="flex")),
        ({"promptTokenCount": 1, "promptTokensDetails": "x", "candidatesTokensDetails": [None]}, Usage(input=1)),
    ],
)
def test_what_else_changes_the_price(metadata: dict[str, Any], usage: Usage) -> None:
    assert decode_usage(metadata) == usage


def test_the_last_usage_counts_and_an_unchanged_one_is_reported_once() -> None:
    one, two = {"promptTokenCount": 1}, {"promptTokenCount": 1, "candidatesTokenCount": 2}
    events = reported(
        chunk({"text": "a"}, usageMetadata=one),
        chunk({"text": "b"}, usageMetadata=one),
        chunk(finish="STOP", usageMetadata=two),
    )
    assert [event for event in events if isinstance(event, UsageUpdate)] == [
        UsageUpdate(Usage(input=1)),
        UsageUpdate(Usage(input=1, output=2)),
    ]


def test_a_client_gets_the_same_counts() -> None:
    for usage in (Usage(), Usage(input=200, cache_read=800, output=250, thinking=200), Usage(input=3, output=1)):
        assert decode_usage(encode_usage(usage)) == usage
    assert encode_usage(Usage(input=1, cache_write=2, output=5))["totalTokenCount"] == 8


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "refusal"),
        ("RECITATION", "refusal"),
        ("IMAGE_SAFETY", "refusal"),
        ("OTHER", "length"),
        ("LANGUAGE", "length"),
        ("SOMETHING_NEW", "length"),
    ],
)
def test_a_finish_reason_with_content(native: str, reason: str) -> None:
    finish = reported(chunk({"text": "a"}, finish=native))[-2]
    assert isinstance(finish, Finish)
    assert (finish.reason, finish.native) == (reason, native)
    assert bool(finish.explanation) == (reason == "refusal")


def test_a_cut_answer_with_a_call_is_cut() -> None:
    assert reported(chunk(call_part("f"), finish="MAX_TOKENS"))[-2] == Finish("length", native="MAX_TOKENS")


@pytest.mark.parametrize(
    ("native", "kind", "should_retry"),
    [
        ("MALFORMED_FUNCTION_CALL", "malformed", True),
        ("UNEXPECTED_TOOL_CALL", "malformed", True),
        ("MALFORMED_RESPONSE", "malformed", True),
        ("TOO_MANY_TOOL_CALLS", "malformed", True),
        ("MISSING_THOUGHT_SIGNATURE", "malformed", True),
        ("PUP_LIMITED_DISABLED", "permission", None),
        ("OTHER", "server", True),
    ],
)
def test_an_upstreams_fault_is_a_failure_at_once(native: str, kind: str, should_retry: bool | None) -> None:
    decoder = CODEC.stream_decoder(ids())
    events = decoder.feed(sse.Event(json.dumps(chunk(finish=native)).encode()))
    assert isinstance(events[-1], Failed)
    failure = events[-1].failure
    assert (failure.kind, failure.should_retry, failure.code) == (kind, should_retry, native)


@pytest.mark.parametrize("candidates", [{}, {"candidates": []}])
def test_a_blocked_prompt_is_a_refusal(candidates: dict[str, Any]) -> None:
    usage = {"promptTokenCount": 5, "totalTokenCount": 5}
    events = reported({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage, **candidates})
    assert events == [
        Start(),
        UsageUpdate(Usage(input=5)),
        Finish("refusal", native="PROHIBITED_CONTENT", explanation="Gemini blocked the prompt: PROHIBITED_CONTENT"),
        End(),
    ]


@pytest.mark.parametrize(
    ("reason", "native", "wire"),
    [
        ("stop", "end_turn", "STOP"),
        ("stop_sequence", "stop_sequence", "STOP"),
        ("tool_calls", "tool_use", "STOP"),
        ("pause", "pause_turn", "MAX_TOKENS"),
        ("length", "max_tokens", "MAX_TOKENS"),
        ("context_window", "", "MAX_TOKENS"),
        ("refusal", "refusal", "SAFETY"),
        ("refusal", "RECITATION", "RECITATION"),
    ],
)
def test_a_finish_reason(reason: FinishReason, native: str, wire: str) -> None:
    events: list[Event] = [Finish(reason, native=native, explanation="why" if reason == "refusal" else ""), End()]
    candidate = grammar_gemini.check(sent(events), complete=True)[-1]["candidates"][0]
    assert candidate["finishReason"] == wire
    assert candidate.get("finishMessage") == ("why" if reason == "refusal" else None)
