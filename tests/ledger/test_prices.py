"""The cost of usage at list prices."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence

import genai_prices
import pytest

from bm.chat.events import Usage
from bm.ledger import prices
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


def test_writing_to_a_one_hour_cache_costs_more_where_the_price_list_says_so() -> None:
    def cost(model: str, hour: int) -> float:
        found = cost_of("anthropic", model, Usage(cache_write=100_000, cache_write_1h=hour))
        assert found is not None
        return found

    assert cost("claude-sonnet-4-5", 100_000) == pytest.approx(cost("claude-sonnet-4-5", 0) * 2 / 1.25)
    assert cost("claude-3-haiku-20240307", 100_000) > 0


@pytest.mark.parametrize(("provider", "model"), [("acme", "gemini-2.5-flash"), ("gemini", "no-such-model")])
def test_unknown_models_have_no_price(provider: str, model: str) -> None:
    assert cost_of(provider, model, Usage(input=1)) is None


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("cerebras", "qwen-3-coder-480b", Usage(input=1, output=1)),
        ("openai", "whisper-1", Usage(input=1)),
        ("mistral", "mistral-ocr-2512", Usage(input=1, output=1)),
        ("openai", "text-embedding-3-small", Usage(input=1, output=1)),
        ("deepseek", "deepseek-chat", Usage(input=1, searches=1)),
        ("gemini", "gemini-2.5-flash", Usage(input=1, tier="priority")),
        ("openai", "gpt-6-luna", Usage(input=1, tier="ultrafast")),
    ],
    ids=["no price", "by the hour", "by the page", "output of embeddings", "searches", "tier", "tier that is new"],
)
def test_what_the_price_data_does_not_price_is_unknown_and_not_free(provider: str, model: str, usage: Usage) -> None:
    assert cost_of(provider, model, usage) is None


@pytest.mark.parametrize(("provider", "model"), [("openrouter", "new/model:free"), ("gemini", "gemma-4-31b-it")])
def test_what_is_free_costs_nothing(provider: str, model: str) -> None:
    assert cost_of(provider, model, Usage(input=9, output=9)) == 0


def test_a_service_that_says_what_it_charges_is_believed() -> None:
    assert cost_of("openrouter", "openrouter/auto", Usage(input=1, charged=0.25)) == 0.25
    assert cost_of("openrouter", "anthropic/claude-opus-5.5", Usage(input=1_000_000, charged=0.0)) == 0
    assert cost_of("acme", "acme-1", Usage(input=1, charged=0.25)) is None, "in what currency is unknown"


@pytest.mark.parametrize(
    ("provider", "model", "tier", "factor"),
    [
        ("anthropic", "claude-opus-5-5", "fast", 2),
        ("openai", "gpt-6.1-sol", "priority", 2),
        ("openai", "gpt-5.5", "priority", 2.5),
        ("openai", "gpt-5-mini", "priority", 1.8),
        ("openai", "gpt-6.1-sol", "flex", 0.5),
        ("gemini", "gemini-2.5-flash", "flex", 0.5),
        ("groq", "openai/gpt-oss-120b", "flex", 1),
    ],
)
def test_another_tier_has_another_price(provider: str, model: str, tier: str, factor: float) -> None:
    usual, other = (cost_of(provider, model, Usage(input=90, cache_read=9, output=9, tier=word)) for word in ("", tier))
    assert usual is not None and other == pytest.approx(usual * factor)


def test_searches_audio_and_images_have_their_own_prices() -> None:
    assert cost_of("anthropic", "claude-opus-5-5", Usage(searches=3)) == pytest.approx(0.03)
    assert cost_of("gemini", "gemini-2.5-flash", Usage(input=9, audio_input=5)) == pytest.approx((4 * 0.3 + 5) / 1e6)
    audio = cost_of("openai", "gpt-audio", Usage(output=9, audio_output=5))
    assert audio == pytest.approx((4 * 10 + 5 * 64) / 1e6)
    image = cost_of("gemini", "gemini-2.5-flash-image", Usage(output=1_300, image_output=1_290))
    assert image == pytest.approx((10 * 2.5 + 1_290 * 30) / 1e6)
    assert cost_of("anthropic", "claude-opus-5-5", Usage(input=9, audio_input=9)) == pytest.approx(36 / 1e6)


def test_inconsistent_counts_have_no_price() -> None:
    assert cost_of("gemini", "gemini-2.5-flash", Usage(input=-50, cache_read=10)) is None
    assert cost_of("gemini", "gemini-2.5-flash", Usage(input=10**30)) is None


@pytest.mark.parametrize(
    ("provider", "model", "its_id"),
    [
        ("anthropic", "claude-sonnet-4-5", "anthropic"),
        ("gemini", "gemini-2.5-pro", "google"),
        ("groq", "openai/gpt-oss-120b", "groq"),
        ("deepseek", "deepseek-chat", "deepseek"),
    ],
)
@pytest.mark.parametrize("prompt", [0, 1, 199_999, 200_000, 200_001, 900_000])
def test_a_cost_equals_that_of_the_price_data(provider: str, model: str, its_id: str, prompt: int) -> None:
    usage = Usage(input=prompt - prompt // 3 - prompt // 5, cache_read=prompt // 3, cache_write=prompt // 5, output=777)
    tokens = genai_prices.Usage(
        input_tokens=prompt, cache_read_tokens=prompt // 3, cache_write_tokens=prompt // 5, output_tokens=777
    )
    exact = genai_prices.calc_price(tokens, model_ref=model, provider_id=its_id).total_price
    assert cost_of(provider, model, usage) == pytest.approx(float(exact))


def test_a_long_prompt_costs_more_per_token_where_the_price_has_tiers() -> None:
    shorter, longer = Usage(input=200_000), Usage(input=200_001)
    below, beyond = cost_of("gemini", "gemini-2.5-pro", shorter), cost_of("gemini", "gemini-2.5-pro", longer)
    assert below is not None and beyond is not None and beyond > below * 1.5


TIERED = (("gemini", "gemini-2.5-pro"), ("anthropic", "claude-sonnet-4-5"), ("acme", "none"))


def test_another_process_says_what_this_one_would(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [cost_of(*model, Usage(input=300_000, output=5)) for model in TIERED]
    monkeypatch.setattr(prices, "_known", {})
    monkeypatch.setattr(prices, "_look_up", prices._in_another)
    monkeypatch.setattr(prices, "_IDLE", 0.01)
    assert [cost_of(*model, Usage(input=300_000, output=5)) for model in TIERED] == expected
    process = prices._reader._process
    assert process is None or process.wait(10) == 0, "it ends by itself"


@pytest.mark.parametrize("program", ["/nowhere", shutil.which("true")])
def test_without_another_process_this_one_reads_the_data(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(sys, "executable", program)
    prices._reader.end()
    monkeypatch.setattr(prices, "_known", {})
    monkeypatch.setattr(prices, "_look_up", prices._in_another)
    assert cost_of("gemini", "gemini-2.5-pro", Usage(input=1)) is not None
    assert prices._look_up is prices._in_process


def test_models_in_use_are_looked_up_together_when_prices_may_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[prices.Model]] = []

    def look_up(models: Sequence[prices.Model]) -> list[prices._Card | None]:
        asked.append(list(models))
        return [None] * len(models)

    clock = 1_000_000 * 1800.0
    monkeypatch.setattr(prices, "_known", {})
    monkeypatch.setattr(prices, "_look_up", look_up)
    monkeypatch.setattr(time, "time", lambda: clock)
    for later, model in ((0, "a"), (1, "b"), (1, "a"), (1800, "b"), (1801, "a"), (7200, "b")):
        monkeypatch.setattr(time, "time", lambda later=later: clock + later)
        cost_of("acme", model, Usage(input=1))
    assert asked == [[("acme", "a")], [("acme", "b")], [("acme", "b"), ("acme", "a")], [("acme", "b")]]
