from __future__ import annotations

from collections import Counter

import pytest

from bm.config.schema import Chain, Choice, Config
from bm.providers.provider import Provider, effective
from bm.providers.resolve import (
    bare,
    disguised,
    family,
    holds,
    is_small,
    model_for,
    names_of,
    replaces,
    undisguised,
)

PROVIDERS = {provider.name: provider for provider in effective(Config())}
GEMINI, ANTHROPIC, GROQ, OPENROUTER = (PROVIDERS[name] for name in ("gemini", "anthropic", "groq", "openrouter"))
PLAIN = Provider(
    name="acme",
    enabled=True,
    mode="fallback",
    speaks=("openai-chat",),
    base_url="https://llm.example/v1",
    auth="bearer",
    protocols=("openai-chat",),
)


@pytest.mark.parametrize(
    ("asked", "plain"),
    [
        ("claude-opus-5-5[1m]", "claude-opus-5-5"),
        ("claude-opus-5-5[1M]", "claude-opus-5-5"),
        ("models/gemini-3.8-flash", "gemini-3.8-flash"),
        (" gpt-4o ", "gpt-4o"),
        ("gpt-4o", "gpt-4o"),
    ],
)
def test_what_only_the_client_knows_of_is_taken_off(asked: str, plain: str) -> None:
    assert bare(asked) == plain


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-opus-5-5", "opus"),
        ("claude-opus-5-5[1m]", "opus"),
        ("claude-3-5-haiku-20241022", "haiku"),
        ("anthropic/claude-sonnet-4.5", "sonnet"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "sonnet"),
        ("opus", "opus"),
        ("Haiku", "haiku"),
        ("sonnet-4.5", "sonnet"),
        ("claude-fable-5", ""),
        ("my-opus-model", ""),
        ("magnum-opus", ""),
        ("gpt-5.4", ""),
        ("", ""),
    ],
)
def test_the_family_of_a_name(model: str, expected: str) -> None:
    assert family(model) == expected


ALIASES: dict[str, Chain] = {
    "fast": "groq:llama",
    "quick": "fast",
    "smart": "claude-opus-5-5",
    "gpt-4o": "openai:gpt-4o",
    "claude-opus-5-5[1m]": "gemini:gemini-3.1-pro-preview",
    "same": "same",
    "best": ("gemini:pro", "anthropic:opus", "fast"),
    "nested": ("smart", "best", "fast"),
    "claude-sonnet-5-5": ("anthropic:claude-sonnet-5-5", "claude-sonnet-5-5"),
    "shared": Choice(weighted={"fast": 3, "anthropic:opus": 1}),
    "frugal": Choice(cheapest=("groq:llama", "together:llama")),
}


@pytest.mark.parametrize(
    ("asked", "provider", "model", "steps"),
    [
        ("gpt-5.4", "", "gpt-5.4", 0),
        ("fast", "groq", "llama", 1),
        ("quick", "groq", "llama", 2),
        ("smart", "", "claude-opus-5-5", 1),
        ("smart[1m]", "", "claude-opus-5-5", 1),
        ("claude-opus-5-5[1m]", "gemini", "gemini-3.1-pro-preview", 1),
        ("gpt-4o", "openai", "gpt-4o", 1),
        ("same", "", "same", 0),
        ("groq:smart", "groq", "claude-opus-5-5", 2),
        ("groq:fast", "groq", "llama", 2),
    ],
)
def test_prefix_then_alias(asked: str, provider: str, model: str, steps: int) -> None:
    (found,) = names_of(asked, PROVIDERS, ALIASES)
    assert (found.provider, found.model, len(found.steps)) == (provider, model, steps)


def test_a_prefix_is_stronger_than_the_one_of_an_alias() -> None:
    (found,) = names_of("together:fast", PROVIDERS, ALIASES)
    assert (found.provider, found.model) == ("together", "fast")
    assert found.steps[-1] == "the alias fast belongs to groq and is not used for together"


@pytest.mark.parametrize(
    ("asked", "draw", "expected"),
    [
        ("best", 0.0, ["gemini:pro", "anthropic:opus", "groq:llama"]),
        ("nested", 0.0, [":claude-opus-5-5", "gemini:pro", "anthropic:opus", "groq:llama"]),
        ("anthropic:best", 0.0, ["anthropic:opus"]),
        ("claude-sonnet-5-5", 0.0, ["anthropic:claude-sonnet-5-5", ":claude-sonnet-5-5"]),
        ("shared", 0.0, ["groq:llama", "anthropic:opus"]),
        ("shared", 0.74, ["groq:llama", "anthropic:opus"]),
        ("shared", 0.76, ["anthropic:opus", "groq:llama"]),
        ("shared", 0.9999, ["anthropic:opus", "groq:llama"]),
        ("frugal", 0.9999, ["groq:llama", "together:llama"]),
    ],
)
def test_a_chain_is_its_names_in_order(asked: str, draw: float, expected: list[str]) -> None:
    assert [f"{name.provider}:{name.model}" for name in names_of(asked, PROVIDERS, ALIASES, draw)] == expected


def test_weights_give_shares_and_every_name_follows() -> None:
    aliases = {"shared": Choice(weighted={"a": 5, "b": 2, "c": 1})}
    orders = [[name.model for name in names_of("shared", (), aliases, (n + 0.5) / 800)] for n in range(800)]
    assert Counter(order[0] for order in orders) == {"a": 500, "b": 200, "c": 100}
    assert Counter(order[1] for order in orders if order[0] == "a") == pytest.approx({"b": 333, "c": 167}, abs=1)
    assert {tuple(sorted(order)) for order in orders} == {("a", "b", "c")}


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("claude-haiku-5-5", True),
        ("claude-3-5-haiku-20241022", True),
        ("haiku", True),
        ("gemini-3.5-flash-lite", True),
        ("gpt-5-nano", True),
        ("claude-sonnet-5-5", False),
        ("gpt-5-mini", False),
        ("gemini-3.8-flash", False),
        ("nanotron", False),
    ],
)
def test_the_small_models_of_tools(name: str, small: bool) -> None:
    assert is_small(name) is small


def provider(**models: str) -> Provider:
    return Provider(**{name: getattr(PLAIN, name) for name in PLAIN.__struct_fields__} | {"models": models})


@pytest.mark.parametrize(
    ("models", "known", "asked", "mapped", "rule"),
    [
        ({"gpt-4o": "x", "default": "d"}, None, "gpt-4o", "x", "exact"),
        ({"claude-opus-5-5[1m]": "long", "opus": "o"}, None, "claude-opus-5-5[1m]", "long", "exact"),
        ({"claude-opus-5-5": "plain", "opus": "o"}, None, "claude-opus-5-5[1m]", "plain", "exact"),
        ({"opus": "o", "default": "d"}, None, "claude-opus-4-1", "o", "family"),
        ({"opus": "o", "default": "d"}, {"claude-opus-4-1"}, "claude-opus-4-1", "o", "family"),
        ({"opus": "o"}, None, "opus", "o", "family"),
        ({"default": "d"}, {"a", "b"}, "c", "d", "default"),
        ({"default": "d"}, {"a", "b"}, "a", "a", "as is"),
        ({"default": "d"}, {"models/a"}, "a", "a", "as is"),
        ({"default": "d"}, {"openai/gpt-5", "openai/gpt-5:free"}, "gpt-5", "openai/gpt-5", "listed"),
        ({}, {"accounts/fireworks/models/glm-5p3", "z-ai/GLM-5.3"}, "glm-5-3", "z-ai/GLM-5.3", "listed"),
        ({"default": "d"}, {"a/gpt-5", "b/gpt-5"}, "gpt-5", "d", "default"),
        ({"opus": "o"}, {"anthropic/claude-opus-5.5"}, "claude-opus-5-5", "o", "family"),
        ({"default": "d"}, None, "c", "c", "as is"),
        ({}, {"a"}, "c", "c", "as is"),
        ({}, None, "c[1m]", "c", "as is"),
    ],
)
def test_the_targets_own_mapping(
    models: dict[str, str], known: set[str] | None, asked: str, mapped: str, rule: str
) -> None:
    found = model_for(provider(**models), asked, known)
    assert (found.model, found.rule) == (mapped, rule)
    assert mapped in found.reason


@pytest.mark.parametrize(
    ("target", "asked", "mapped"),
    [
        (GEMINI, "gemini-2.5-flash", "gemini-2.5-flash"),
        (GEMINI, "gemini-99-flash", "gemini-99-flash"),
        (GEMINI, "models/gemini-2.5-flash", "gemini-2.5-flash"),
        (GEMINI, "text-embedding-004", "text-embedding-004"),
        (GEMINI, "gpt-4o", GEMINI.models["default"]),
        (GEMINI, "claude-fable-5", GEMINI.models["default"]),
        (GEMINI, "claude-3-5-haiku-latest", GEMINI.models["haiku"]),
        (ANTHROPIC, "claude-opus-4-1", "claude-opus-4-1"),
        (ANTHROPIC, "claude-99", "claude-99"),
        (ANTHROPIC, "opus", ANTHROPIC.words["opus"]),
        (ANTHROPIC, "gpt-4o", ANTHROPIC.models["default"]),
        (GROQ, "llama-3.3-70b-versatile", "llama-3.3-70b-versatile"),
        (GROQ, "claude-opus-5-5", GROQ.models["opus"]),
        (OPENROUTER, "claude-sonnet-4-6", OPENROUTER.models["sonnet"]),
        (OPENROUTER, "anthropic/claude-sonnet-4.6", "anthropic/claude-sonnet-4.6"),
        (GEMINI, "anthropic/claude-sonnet-4.6", GEMINI.models["sonnet"]),
    ],
)
def test_the_rows_of_the_catalog_map_sensibly(target: Provider, asked: str, mapped: str) -> None:
    assert model_for(target, asked).model == mapped


def test_a_vendors_own_names_stand_for_themselves() -> None:
    assert model_for(GEMINI, "gemini-2-5-pro", {"models/gemini-2.5-pro"}).rule == "default"


def test_a_known_list_is_stronger_than_the_vendors_habits() -> None:
    assert holds(GEMINI, "gemini-9", None)
    assert not holds(GEMINI, "gemini-9", {"gemini-2.5-pro"})
    assert holds(GEMINI, "odd-name", {"odd-name"})


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("gemini-2.5-pro", "claude-gemini-2.5-pro"),
        ("groq:openai/gpt-oss-120b", "claude-groq:openai/gpt-oss-120b"),
        ("quick", "claude-quick"),
        ("claude-opus-5", "claude-opus-5"),
    ],
)
def test_every_model_has_a_name_that_claude_code_lists(name: str, shown: str) -> None:
    assert disguised(name) == shown
    assert undisguised(shown, {"groq"}, {"quick": "groq:x"}) == name


@pytest.mark.parametrize("name", ["claude-opus-4-8", "claude-quick", "claude-acme:x", "gemini-2.5-pro"])
def test_other_names_are_what_they_are(name: str) -> None:
    assert undisguised(name, {"groq"}, {"claude-quick": "x", "quick": "y"}) == name


def test_a_name_of_claude_codes_list_leads_to_its_model() -> None:
    (found,) = names_of("claude-groq:llama", {"groq"}, {})
    assert (found.provider, found.model) == ("groq", "llama")
    assert found.steps[0] == "Claude Code says claude-groq:llama for groq:llama"


@pytest.mark.parametrize(
    ("asked", "model", "replaced"),
    [
        ("claude-opus-5-5", "claude-opus-5-5", False),
        ("anthropic:claude-opus-5-5[1m]", "claude-opus-5-5", False),
        ("claude-opus-5-5", "anthropic/claude-opus-5.5", False),
        ("claude-haiku-4-5", "claude-opus-5-5", True),
        ("unheard-of", "claude-opus-5-5", True),
        ("groq:unheard-of", "unheard-of", True),
    ],
)
def test_whether_bm_put_another_model_in_place(asked: str, model: str, replaced: bool) -> None:
    assert replaces(asked, "anthropic", model) is replaced
