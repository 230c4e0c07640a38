"""How far estimates of tokens are off."""

from __future__ import annotations

import pytest

from bm.gateway.factors import LEAST, MAX_MODELS, MOST, Factors
from tests.gateway.world import World

MODEL = ("groq", "llama")


def test_a_model_that_nobody_knows_is_estimated_as_it_is() -> None:
    assert Factors().corrected(MODEL, 1_000) == 1_000


def test_the_first_answer_sets_the_factor_and_later_ones_move_it() -> None:
    factors = Factors()
    factors.learn(MODEL, estimated=1_000, counted=1_200)
    assert factors.corrected(MODEL, 500) == 600
    factors.learn(MODEL, estimated=1_000, counted=1_000)
    assert 500 < factors.corrected(MODEL, 500) < 600
    assert factors.corrected(("groq", "other"), 500) == 500


@pytest.mark.parametrize(("counted", "factor"), [(1_000_000, MOST), (200, LEAST)])
def test_a_factor_has_bounds(counted: int, factor: float) -> None:
    factors = Factors()
    factors.learn(MODEL, estimated=10_000, counted=counted)
    assert factors.corrected(MODEL, 100) == 100 * factor


def test_a_short_prompt_tells_nothing() -> None:
    factors = Factors()
    factors.learn(MODEL, estimated=10, counted=70)
    assert factors.saved() == {}


def test_the_models_used_last_are_remembered() -> None:
    factors, heir = Factors(), Factors()
    for number in range(MAX_MODELS + 5):
        factors.learn(("p", str(number)), 1_000, 1_100)
    assert len(factors.saved()) == MAX_MODELS and "p:4" not in factors.saved()
    heir.adopt(factors.saved() | {"p:x": 50.0})
    assert heir.corrected(("p", "x"), 100) == 100 * MOST


def test_what_answers_tell_corrects_the_next_count(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"})
    body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hello " * 400}]}
    before = world.send("anthropic", "/v1/messages/count_tokens", body)
    answered = world.send("anthropic", "/v1/messages", body)
    after = world.send("anthropic", "/v1/messages/count_tokens", body)
    used = answered.json["usage"]["input_tokens"] + answered.json["usage"].get("cache_read_input_tokens", 0)
    assert abs(after.json["input_tokens"] - used) <= abs(before.json["input_tokens"] - used)
    assert after.json["input_tokens"] != before.json["input_tokens"] or used == before.json["input_tokens"]
