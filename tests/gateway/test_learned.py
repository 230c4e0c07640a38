"""Token calibration, context limits and refused schemas."""

from __future__ import annotations

import msgspec
import pytest

from bm.chat.request import ChatRequest, OutputFormat, Tool
from bm.gateway.learned import (
    KEEP_LIMIT,
    MAX_FACTOR,
    MAX_MODELS,
    MAX_SCHEMA_SETS,
    MIN_FACTOR,
    ContextLimits,
    RefusedSchemas,
    TokenCalibration,
)
from bm.providers.provider import Provider
from tests.gateway.matrix import providers
from tests.gateway.world import World

MODEL = ("groq", "llama")


def test_an_unknown_models_estimate_is_not_corrected() -> None:
    assert TokenCalibration().correct(MODEL, 1_000) == 1_000


def test_the_first_answer_sets_the_factor_and_later_ones_move_it() -> None:
    calibration = TokenCalibration()
    calibration.learn(MODEL, estimated=1_000, counted=1_200)
    assert calibration.correct(MODEL, 500) == 600
    calibration.learn(MODEL, estimated=1_000, counted=1_000)
    assert 500 < calibration.correct(MODEL, 500) < 600
    assert calibration.correct(("groq", "other"), 500) == 500


@pytest.mark.parametrize(("counted", "factor"), [(1_000_000, MAX_FACTOR), (200, MIN_FACTOR)])
def test_a_factor_has_bounds(counted: int, factor: float) -> None:
    calibration = TokenCalibration()
    calibration.learn(MODEL, estimated=10_000, counted=counted)
    assert calibration.correct(MODEL, 100) == 100 * factor


def test_a_short_prompt_is_ignored() -> None:
    calibration = TokenCalibration()
    calibration.learn(MODEL, estimated=10, counted=70)
    assert calibration.saved() == {}


def test_the_models_used_last_are_kept() -> None:
    calibration, heir = TokenCalibration(), TokenCalibration()
    for number in range(MAX_MODELS + 5):
        calibration.learn(("p", str(number)), 1_000, 1_100)
    assert len(calibration.saved()) == MAX_MODELS and "p:4" not in calibration.saved()
    heir.restore(calibration.saved() | {"p:x": 50.0})
    assert heir.correct(("p", "x"), 100) == 100 * MAX_FACTOR


def test_the_usage_of_answers_corrects_the_next_count(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"})
    body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hello " * 400}]}
    before = world.send("anthropic", "/v1/messages/count_tokens", body)
    answered = world.send("anthropic", "/v1/messages", body)
    after = world.send("anthropic", "/v1/messages/count_tokens", body)
    used = answered.json["usage"]["input_tokens"] + answered.json["usage"].get("cache_read_input_tokens", 0)
    assert abs(after.json["input_tokens"] - used) <= abs(before.json["input_tokens"] - used)
    assert after.json["input_tokens"] != before.json["input_tokens"] or used == before.json["input_tokens"]


NOW = 1_800_000_000.0
GROQ = providers()["groq"]
MOVED = msgspec.structs.replace(GROQ, base_url="https://elsewhere.example")


def test_a_refusal_overrides_the_list_whichever_came_first() -> None:
    limits = ContextLimits()
    limits.set_listed("groq", {"large": 200_000, "small": 8_000, "unknown": 0})
    limits.learn(GROQ, "large", 128_000, wall=NOW)
    assert limits.of("groq") == {"large": 128_000, "small": 8_000}
    limits.set_listed("groq", {"large": 200_000})
    assert limits.of("groq") == {"large": 128_000}
    assert limits.of("other") == {}


@pytest.mark.parametrize(("provider", "limits"), [(GROQ, {"large": 128_000}), (MOVED, {})])
def test_only_refusals_of_the_same_service_are_restored(provider: Provider, limits: dict[str, int]) -> None:
    before, after = ContextLimits(), ContextLimits()
    before.set_listed("groq", {"small": 8_000})
    before.learn(GROQ, "large", 128_000, wall=NOW)
    after.restore(before.saved(), [provider], wall=NOW)
    assert after.of("groq") == limits


def test_the_limits_of_a_provider_that_is_another_service_now_are_dropped() -> None:
    limits = ContextLimits()
    limits.set_listed("groq", {"small": 8_000})
    limits.learn(GROQ, "large", 128_000, wall=NOW)
    limits.forget("groq")
    assert (limits.of("groq"), limits.saved()) == ({}, ())


def test_a_refusal_is_believed_for_a_week() -> None:
    limits = ContextLimits()
    limits.learn(GROQ, "old", 1_000, wall=NOW - KEEP_LIMIT - 1)
    limits.learn(GROQ, "new", 2_000, wall=NOW - KEEP_LIMIT + 1)
    assert limits.of("groq") == {"old": 1_000, "new": 2_000}
    limits.expire(NOW)
    assert limits.of("groq") == {"new": 2_000}


def test_the_latest_refusals_are_kept() -> None:
    limits = ContextLimits()
    for number in range(MAX_MODELS + 2):
        limits.learn(GROQ, f"model-{number}", 1_000, wall=NOW)
    assert (len(limits.of("groq")), "model-1" in limits.of("groq")) == (MAX_MODELS, False)


FLASH = ("gemini", "gemini-3-flash")
GOOD = Tool("good", schema={"type": "object", "properties": {"a": {"type": "string"}}})
BAD = Tool("bad", schema={"type": "object", "properties": {"a": {"type": "string", "pattern": "["}}})


def asking(*tools: Tool, output: OutputFormat | None = None) -> ChatRequest:
    return ChatRequest(protocol="anthropic", model="m", turns=(), tools=tools, output=output or OutputFormat())


def test_a_set_that_contains_a_refused_one_is_refused() -> None:
    refused = RefusedSchemas()
    refused.learn(FLASH, asking(BAD))
    assert refused.refuses(FLASH, asking(GOOD, BAD))
    assert not refused.refuses(FLASH, asking(GOOD))
    assert not refused.refuses(FLASH, asking())
    assert not refused.refuses(("gemini", "gemini-3-pro"), asking(BAD))


def test_a_smaller_refused_set_replaces_a_larger_one() -> None:
    refused = RefusedSchemas()
    refused.learn(FLASH, asking(GOOD, BAD))
    assert not refused.refuses(FLASH, asking(BAD))
    refused.learn(FLASH, asking(BAD))
    assert refused.refuses(FLASH, asking(BAD))


def test_a_tool_with_another_schema_is_another_tool() -> None:
    refused = RefusedSchemas()
    refused.learn(FLASH, asking(BAD))
    assert not refused.refuses(FLASH, asking(Tool("bad", schema={"type": "object"})))
    assert refused.refuses(FLASH, asking(Tool("bad", description="other words", schema=BAD.schema)))


def test_the_schema_of_the_answer_counts_like_a_tool() -> None:
    refused, output = RefusedSchemas(), OutputFormat("schema", BAD.schema)
    refused.learn(FLASH, asking(output=output))
    assert refused.refuses(FLASH, asking(GOOD, output=output))
    assert not refused.refuses(FLASH, asking(BAD))


def test_a_request_without_schemas_is_ignored() -> None:
    refused = RefusedSchemas()
    refused.learn(FLASH, asking(Tool("bare")))
    assert not refused.refuses(FLASH, asking(Tool("bare")))


def test_the_latest_refused_sets_are_kept() -> None:
    refused = RefusedSchemas()
    tools = [Tool(f"tool-{number}", schema={}) for number in range(MAX_SCHEMA_SETS + 1)]
    for tool in tools:
        refused.learn(FLASH, asking(tool))
    assert not refused.refuses(FLASH, asking(tools[0]))
    assert all(refused.refuses(FLASH, asking(tool)) for tool in tools[1:])
