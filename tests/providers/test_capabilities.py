from __future__ import annotations

import pytest

from bm.chat.capabilities import Capabilities, Dialect
from bm.names import PROTOCOLS, ProtocolName, SamplingRule
from bm.providers.capabilities import capabilities_of
from bm.providers.catalog import CATALOG, COMPATIBLE, Row

DIALECTS = {"compatible": COMPATIBLE, **{name: row.dialect for name, row in CATALOG.items()}}


def claude(model: str) -> Capabilities:
    return capabilities_of("anthropic", Dialect(), model)


def gemini(model: str) -> Capabilities:
    return capabilities_of("gemini", Dialect(), model)


def openai(model: str) -> Capabilities:
    return capabilities_of("openai-chat", CATALOG["openai"].dialect, model)


def at(service: str, model: str) -> Capabilities:
    return capabilities_of("openai-chat", DIALECTS[service], model)


@pytest.mark.parametrize(
    ("model", "thinking", "levels", "off", "sampling", "prefill"),
    [
        ("claude-3-haiku-20240307", "none", 0, "omit", True, True),
        ("claude-3-5-haiku-20241022", "none", 0, "omit", True, True),
        ("claude-3-7-sonnet-latest", "budget", 0, "omit", True, True),
        ("claude-opus-4-20250514", "budget", 0, "omit", True, True),
        ("claude-sonnet-4-0", "budget", 0, "omit", True, True),
        ("claude-opus-4-1", "budget", 0, "omit", True, True),
        ("claude-sonnet-4-5-20250929", "budget", 0, "omit", True, True),
        ("claude-haiku-4-5", "budget", 0, "omit", True, True),
        ("claude-opus-4-5", "budget", 3, "omit", True, True),
        ("claude-opus-4-6", "adaptive", 4, "omit", True, False),
        ("claude-sonnet-4-6", "adaptive", 4, "omit", True, False),
        ("claude-opus-4-7", "adaptive", 5, "omit", False, False),
        ("claude-opus-4-8", "adaptive", 5, "omit", False, False),
        ("claude-opus-5", "adaptive", 5, "say", False, False),
        ("claude-opus-5-5", "adaptive", 5, "never", False, False),
        ("claude-sonnet-5-5", "adaptive", 5, "between_tools", False, False),
        ("claude-sonnet-5", "adaptive", 5, "say", False, False),
        ("claude-haiku-5-5", "adaptive", 5, "say", False, False),
        ("claude-fable-5-1", "adaptive", 5, "never", False, False),
        ("claude-mythos-5-2", "adaptive", 5, "never", False, False),
    ],
)
def test_claude_families(model: str, thinking: str, levels: int, off: str, sampling: bool, prefill: bool) -> None:
    found = claude(model)
    assert (found.thinking, len(found.levels), found.thinking_off) == (thinking, levels, off)
    assert (found.sampling, found.prefill, found.family) == (sampling, prefill, "claude")


@pytest.mark.parametrize(
    ("model", "forced"),
    [
        ("claude-3-5-sonnet", "always"),
        ("claude-opus-4-5", "without_budget"),
        ("claude-opus-4-6", "without_budget"),
        ("claude-opus-5", "always"),
        ("claude-fable-5", "always"),
        ("claude-fable-5-2", "never"),
        ("claude-opus-5-5", "never"),
        ("claude-haiku-5-5", "always"),
    ],
)
def test_when_claude_may_be_forced_to_call(model: str, forced: str) -> None:
    assert claude(model).forced_tools == forced


@pytest.mark.parametrize(
    ("model", "turns"),
    [("claude-opus-4-7", False), ("claude-opus-4-8", True), ("claude-opus-5-5", True), ("claude-sonnet-5", False)],
)
def test_which_claude_takes_instructions_in_mid_conversation(model: str, turns: bool) -> None:
    assert claude(model).system_turns is turns


def test_a_budget_leaves_room_below_the_models_output() -> None:
    models = ("claude-3-7-sonnet-latest", "claude-opus-4-0", "claude-opus-4-1", "claude-sonnet-4-5", "claude-haiku-4-5")
    assert all(claude(model).budget[1] < claude(model).max_output for model in models)


def test_another_vendors_model_behind_the_anthropic_wire_is_no_claude() -> None:
    assert (claude("glm-5.2").family, claude("glm-5.2").thinking) == ("", "none")


@pytest.mark.parametrize(
    ("model", "thinking", "budget", "levels", "off"),
    [
        ("gemini-1.5-flash", "none", (0, 0), "", "omit"),
        ("gemini-2.0-flash", "none", (0, 0), "", "omit"),
        ("gemini-2.5-pro", "budget", (128, 32_768), "", "never"),
        ("gemini-2.5-flash", "budget", (0, 24_576), "", "say"),
        ("gemini-2.5-flash-lite", "budget", (512, 24_576), "", "say"),
        ("gemini-3-pro-preview", "level", (0, 0), "low high", "never"),
        ("gemini-3.1-pro-preview", "level", (0, 0), "low medium high", "never"),
        ("gemini-3-flash-preview", "level", (0, 0), "minimal low medium high", "never"),
        ("gemini-3.7-flash", "level", (0, 0), "low medium high", "never"),
        ("gemini-3.8-flash", "level", (0, 0), "low medium high", "never"),
        ("gemini-4-hydrogen", "level", (0, 0), "low medium high xhigh", "never"),
        ("models/gemini-3.5-flash-lite", "level", (0, 0), "minimal low medium high", "never"),
        ("gemini-flash-latest", "level", (0, 0), "low medium high", "never"),
    ],
)
def test_gemini_thinking(model: str, thinking: str, budget: tuple[int, int], levels: str, off: str) -> None:
    found = gemini(model)
    assert (found.thinking, found.budget, found.levels) == (thinking, budget, tuple(levels.split()))
    assert found.thinking_off == off


@pytest.mark.parametrize(
    ("model", "third"),
    [
        ("gemini-2.0-flash", False),
        ("gemini-2.5-pro", False),
        ("gemini-3-pro-preview", True),
        ("gemini-3.8-flash", True),
    ],
)
def test_what_came_with_gemini_3(model: str, third: bool) -> None:
    found = gemini(model)
    assert (
        found.call_ids is found.signatures_required is found.structured_with_tools is found.search_with_tools is third
    )
    assert found.choices is not third


@pytest.mark.parametrize(
    ("model", "sampling"),
    [
        ("gemini-2.5-flash", True),
        ("gemini-3.1-pro-preview", True),
        ("gemini-3.5-flash", True),
        ("gemini-3.5-flash-lite", False),
        ("gemini-3.6-flash", False),
        ("gemini-3.8-flash", False),
    ],
)
def test_newer_flash_models_ignore_sampling(model: str, sampling: bool) -> None:
    assert gemini(model).sampling is sampling


@pytest.mark.parametrize(
    ("model", "native"), [("gemini-1.5-pro", False), ("gemini-2.0-flash", False), ("gemini-2.5-pro", True)]
)
def test_json_schemas_are_native_since_2_5(model: str, native: bool) -> None:
    assert gemini(model).json_schema is native


@pytest.mark.parametrize(
    "model", ["gemini-2.5-flash-image", "gemini-3-pro-image-preview", "gemini-3.1-flash-tts-preview"]
)
def test_models_that_draw_or_speak_call_no_tools(model: str) -> None:
    assert not gemini(model).tools


@pytest.mark.parametrize(
    ("model", "thinking", "images", "sampling"),
    [
        ("gpt-3.5-turbo", "none", False, True),
        ("gpt-4", "none", False, True),
        ("gpt-4-turbo", "none", True, True),
        ("gpt-4o", "none", True, True),
        ("gpt-4.1-mini", "none", True, True),
        ("o3-mini", "effort", True, False),
        ("gpt-5", "effort", True, False),
        ("gpt-5-mini-2025-08-07", "effort", True, False),
        ("gpt-5.4", "effort", True, "without_thinking"),
        ("gpt-6.1-sol", "effort", True, False),
        ("gpt-99", "effort", True, False),
        ("ft:gpt-4o:acme::id", "none", True, True),
        ("tomorrow", "none", True, True),
    ],
)
def test_openai_models(model: str, thinking: str, images: bool, sampling: SamplingRule) -> None:
    found = openai(model)
    assert (found.thinking, found.images, found.sampling) == (thinking, images, sampling)
    assert found.dialect.name == "openai"


@pytest.mark.parametrize(
    ("service", "model", "thinking", "off", "images"),
    [
        ("groq", "openai/gpt-oss-120b", "effort", "never", False),
        ("groq", "qwen/qwen3-32b", "effort", "say", False),
        ("groq", "qwen/qwen3.8-27b", "effort", "say", True),
        ("groq", "llama-3.3-70b-versatile", "none", "omit", False),
        ("groq", "meta-llama/llama-4-scout-17b-16e-instruct", "none", "omit", True),
        ("together", "deepseek-ai/DeepSeek-R1", "effort", "never", False),
        ("together", "moonshotai/Kimi-K3", "effort", "never", True),
        ("openrouter", "anthropic/claude-opus-5.5", "effort", "never", True),
        ("xai", "grok-4.7", "effort", "never", True),
        ("xai", "grok-4-fast-reasoning", "none", "omit", True),
        ("mistral", "mistral-small-latest", "effort", "say", True),
        ("mistral", "mistral-large-latest", "none", "omit", True),
        ("compatible", "something-new", "none", "omit", True),
    ],
)
def test_open_models(service: str, model: str, thinking: str, off: str, images: bool) -> None:
    found = at(service, model)
    assert (found.thinking, found.thinking_off, found.images) == (thinking, off, images)
    assert found.dialect is DIALECTS[service]
    assert found.max_stop == DIALECTS[service].max_stop


def test_another_vendors_responses_api_is_not_openais() -> None:
    found = capabilities_of("openai-responses", DIALECTS["xai"], "grok-4.7")
    assert (found.family, found.dialect.name) == ("", "xai")


def test_groq_does_not_combine_structured_output_with_tools() -> None:
    assert not at("groq", "openai/gpt-oss-120b").structured_with_tools
    assert at("openai", "gpt-4o").structured_with_tools


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_model_that_no_row_knows_is_a_capable_one(protocol: ProtocolName) -> None:
    found = capabilities_of(protocol, DIALECTS["compatible"], "never-heard-of")
    assert found.tools and found.images


@pytest.mark.parametrize("row", [row for row in CATALOG.values() if row.models], ids=lambda row: row.name)
def test_what_the_catalog_maps_to_calls_tools(row: Row) -> None:
    found = [capabilities_of(row.speaks[0], row.dialect, model) for model in row.models.values()]
    assert all(each.tools for each in found)


def test_knowledge_hangs_on_the_model_whoever_serves_it() -> None:
    kimi = at("compatible", "kimi-k2.6")
    assert (kimi.replay, kimi.replay_required, kimi.sampling) == ("reasoning_content", True, False)
    assert at("openrouter", "anthropic/claude-sonnet-5.5").thinking_off == "never"
    assert at("compatible", "gpt-5").max_tokens_field == "max_completion_tokens"
    assert at("openrouter", "openai/gpt-5").max_tokens_field == ""


def test_chat_completions_lacks_the_highest_effort() -> None:
    responses = capabilities_of("openai-responses", DIALECTS["openai"], "gpt-6.1-sol")
    assert (openai("gpt-6.1-sol").levels[-1], responses.levels[-1]) == ("xhigh", "max")


def test_a_budget_is_asked_for_as_an_effort_over_the_openai_protocols() -> None:
    found = at("openrouter", "anthropic/claude-haiku-4.5")
    assert (found.thinking, found.levels) == ("effort", ("low", "medium", "high"))
