"""Token calibration, context limits and remedies."""

from __future__ import annotations

import msgspec
import pytest

from bm.dispatch.target import Target
from bm.gateway.learned import (
    KEEP_LIMIT,
    KEEP_REMEDY,
    LACKS,
    MAX_FACTOR,
    MAX_MODELS,
    MAX_REMEDIES,
    MIN_FACTOR,
    ContextLimits,
    LearnedRemedies,
    LearnedRemedy,
    Subject,
    TokenCalibration,
)
from bm.providers.provider import Provider
from bm.remedies.remedy import Remedy
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
    heir.restore({"p:y": 1.0})
    assert len(heir.saved()) == MAX_MODELS


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


FLASH = Target("groq", "one", "flash", "openai-chat")
SUBJECT: Subject = ("groq", "flash", "openai-chat")
NO_TOP_K = Remedy("drop", "top_k", reason="top_k is not supported")


def test_remedies_are_kept_for_a_model_and_a_protocol() -> None:
    learned = LearnedRemedies()
    learned.learn(GROQ, FLASH, NO_TOP_K, wall=NOW)
    assert learned.of(SUBJECT) == (NO_TOP_K,)
    assert learned.of(("groq", "flash", "anthropic")) == () == learned.of(("groq", "other", "openai-chat"))
    assert (
        [each.remedy for each in learned.about("groq:flash")]
        == [NO_TOP_K]
        == [each.remedy for each in learned.about("flash")]
    )


def test_a_remedy_replaces_one_for_the_same_member() -> None:
    learned = LearnedRemedies()
    learned.learn(GROQ, FLASH, Remedy("clamp", "max_tokens", (None, 100)), wall=NOW)
    learned.learn(GROQ, FLASH, Remedy("clamp", "max_tokens", (None, 50)), wall=NOW)
    assert learned.of(SUBJECT) == (Remedy("clamp", "max_tokens", (None, 50)),)


def test_the_length_of_a_prompt_is_not_learnt() -> None:
    learned = LearnedRemedies()
    learned.learn(GROQ, FLASH, Remedy("make_room", "", (32_768, 5_000)), wall=NOW)
    assert learned.of(SUBJECT) == (Remedy("make_room", "", (32_768, 0)),)


def test_remedies_are_restored_for_services_that_are_the_same() -> None:
    learned, restored = LearnedRemedies(), LearnedRemedies()
    learned.learn(GROQ, FLASH, NO_TOP_K, wall=NOW)
    moved = msgspec.structs.replace(GROQ, base_url="https://elsewhere.example")
    saved = msgspec.json.decode(msgspec.json.encode(learned.saved()), type=tuple[LearnedRemedy, ...])
    restored.restore(saved, [moved], wall=NOW)
    assert restored.saved() == ()
    restored.restore(saved, [GROQ], wall=NOW)
    assert restored.of(SUBJECT) == (NO_TOP_K,)


def test_remedies_are_believed_for_a_month() -> None:
    learned = LearnedRemedies()
    learned.learn(GROQ, FLASH, NO_TOP_K, wall=NOW - KEEP_REMEDY - 1)
    learned.learn(GROQ, FLASH, Remedy("drop", "seed"), wall=NOW)
    learned.expire(NOW)
    assert learned.of(SUBJECT) == (Remedy("drop", "seed"),)


def test_remedies_are_forgotten_by_model_and_by_provider() -> None:
    learned = LearnedRemedies()
    learned.learn(GROQ, FLASH, NO_TOP_K, wall=NOW)
    assert (learned.forget_model("other"), learned.forget_model("flash"), learned.saved()) == (0, 1, ())
    learned.learn(GROQ, FLASH, NO_TOP_K, wall=NOW)
    learned.forget("groq")
    assert learned.saved() == ()


def test_the_latest_remedies_are_kept() -> None:
    learned = LearnedRemedies()
    for number in range(MAX_REMEDIES + 1):
        learned.learn(GROQ, FLASH, Remedy("drop", f"member-{number}"), wall=NOW)
    assert len(learned.of(SUBJECT)) == MAX_REMEDIES
    for number in range(MAX_MODELS + 1):
        learned.learn(GROQ, Target("groq", "one", f"model-{number}", "anthropic"), NO_TOP_K, wall=NOW)
    assert len({each.model for each in learned.saved()}) == MAX_MODELS


def test_media_that_a_model_lacks_are_facts_for_dispatch() -> None:
    learned = LearnedRemedies()
    learned.learn(GROQ, FLASH, Remedy(LACKS, values=("documents", "images")), wall=NOW)
    assert learned.facts("groq") == {"flash": {"documents": False, "images": False}}
    assert learned.facts("other") == {}
