"""Budgets as people write them."""

from __future__ import annotations

import pytest

from bm.config.budget import Limit, read_limit, said


@pytest.mark.parametrize(
    ("text", "limit", "words"),
    [
        ("20/day", Limit(20, "money", "day"), "$20/day"),
        ("$20/day", Limit(20, "money", "day"), "$20/day"),
        ("$ 0.5 / hour", Limit(0.5, "money", "hour"), "$0.50/hour"),
        (" 1200.75/month ", Limit(1200.75, "money", "month"), "$1,200.75/month"),
        ("500 tokens/hour", Limit(500, "tokens", "hour"), "500 tokens/hour"),
        ("500k tokens/day", Limit(500_000, "tokens", "day"), "500k tokens/day"),
        ("2M tokens/month", Limit(2_000_000, "tokens", "month"), "2M tokens/month"),
        ("1.5m tokens/day", Limit(1_500_000, "tokens", "day"), "1.5M tokens/day"),
        ("1234567 tokens/day", Limit(1_234_567, "tokens", "day"), "1,234,567 tokens/day"),
    ],
)
def test_what_is_written_and_how_it_is_said(text: str, limit: Limit, words: str) -> None:
    assert read_limit(text) == limit
    assert str(limit) == words
    assert read_limit(words.replace(",", "")) == limit


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a budget"),
        ("20", "not a budget"),
        ("-1/day", "not a budget"),
        ("20 EUR/day", "not a budget"),
        ("1e9/day", "not a budget"),
        ("20/week", "an hour, a day or a month"),
        ("20/days", "an hour, a day or a month"),
        ("2M/day", "say whether it is tokens"),
        ("$5 tokens/day", "money or tokens"),
        ("0/day", "above 0"),
        ("0.0 tokens/day", "above 0"),
    ],
)
def test_what_is_none_says_why(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_limit(text)


def test_small_amounts_are_rounded_to_cents() -> None:
    assert said(0.129, "money") == "$0.13"
