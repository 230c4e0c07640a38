"""Tokens, from Gemini's counts."""

from __future__ import annotations

import pytest

from bm.chat.events import (
    Usage,
    UsageUpdate,
)
from bm.protocols.gemini.usage import decode_usage, encode_usage
from tests.protocols.gemini.kit import chunk, told


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
    assert UsageUpdate(usage) in told(body)


def test_the_last_usage_counts_and_an_unchanged_one_is_told_once() -> None:
    one, two = {"promptTokenCount": 1}, {"promptTokenCount": 1, "candidatesTokenCount": 2}
    events = told(
        chunk({"text": "a"}, usageMetadata=one),
        chunk({"text": "b"}, usageMetadata=one),
        chunk(finish="STOP", usageMetadata=two),
    )
    assert [event for event in events if isinstance(event, UsageUpdate)] == [
        UsageUpdate(Usage(input=1)),
        UsageUpdate(Usage(input=1, output=2)),
    ]


def test_a_client_is_told_the_same_counts() -> None:
    for usage in (Usage(), Usage(input=200, cache_read=800, output=250, thinking=200), Usage(input=3, output=1)):
        assert decode_usage(encode_usage(usage)) == usage
    assert encode_usage(Usage(input=1, cache_write=2, output=5))["totalTokenCount"] == 8
