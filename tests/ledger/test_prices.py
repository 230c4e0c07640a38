"""List prices for what was used."""

from __future__ import annotations

import pytest

from bm.chat.events import Usage
from bm.ledger.prices import cost_of


@pytest.mark.parametrize(
    ("provider", "model"),
    [("gemini", "gemini-2.5-flash"), ("anthropic", "claude-sonnet-4-5"), ("groq", "openai/gpt-oss-120b")],
)
def test_known_models_have_a_price(provider: str, model: str) -> None:
    cost = cost_of(provider, model, Usage(input=1_000_000, output=1_000_000))
    assert cost is not None and cost > 0


def test_cached_tokens_are_cheaper() -> None:
    plain = cost_of("anthropic", "claude-sonnet-4-5", Usage(input=100_000))
    cached = cost_of("anthropic", "claude-sonnet-4-5", Usage(cache_read=100_000))
    assert plain is not None and cached is not None and cached < plain / 5


@pytest.mark.parametrize(("provider", "model"), [("acme", "gemini-2.5-flash"), ("gemini", "no-such-model")])
def test_unknown_ones_have_none(provider: str, model: str) -> None:
    assert cost_of(provider, model, Usage(input=1)) is None


def test_counts_that_make_no_sense_have_none() -> None:
    assert cost_of("gemini", "gemini-2.5-flash", Usage(input=-50, cache_read=10)) is None
