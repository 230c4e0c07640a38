from __future__ import annotations

from typing import Any

import pytest

from bm.config.schema import GEMINI_MODELS, CapabilityOverrides, Config, Gemini, ProviderConfig
from bm.names import ANTHROPIC, PROTOCOLS, ProtocolName
from bm.providers.catalog import CATALOG, KNOWN
from bm.providers.provider import Provider, effective


def of(name: str, **section: object) -> Provider:
    config = Config(providers={name: ProviderConfig(**section)})  # type: ignore[arg-type]
    return next(provider for provider in effective(config) if provider.name == name)


def test_the_order_is_gemini_then_the_file_then_the_rest_of_the_catalog() -> None:
    config = Config(providers={"together": ProviderConfig(), "acme": ProviderConfig(), "anthropic": ProviderConfig()})
    found = effective(config)
    assert [provider.name for provider in found[:4]] == ["gemini", "together", "acme", "anthropic"]
    assert {provider.name for provider in found[4:]} == set(KNOWN) - {"together", "anthropic"}
    assert [provider.configured for provider in found[:4]] == [True] * 4
    assert not any(provider.configured or provider.enabled for provider in found[4:])
    assert {provider.mode for provider in found[4:]} == {"off"}


def test_gemini_is_the_pool_and_takes_every_client() -> None:
    gemini = effective(Config())[0]
    assert (gemini.pool, gemini.enabled, gemini.protocols) == (True, True, PROTOCOLS)
    assert (gemini.auth, gemini.models_path) == ("x-goog-api-key", "/v1beta/models")
    assert [provider.name for provider in effective(Config()) if provider.pool] == ["gemini"]


def test_the_entries_of_the_file_are_laid_over_the_defaults() -> None:
    gemini = effective(Config(gemini=Gemini(models={"opus": "mine"}, api_version="v1")))[0]
    assert gemini.models == GEMINI_MODELS | {"opus": "mine"}
    assert gemini.models_path == "/v1/models"
    groq = of("groq", models={"haiku": "mine", "exact": "too"})
    assert groq.models == CATALOG["groq"].models | {"haiku": "mine", "exact": "too"}


def test_the_configuration_wins_over_the_row() -> None:
    groq = of(
        "groq",
        enabled=True,
        mode="pooled",
        base_url="http://proxy.example/v1/",
        protocols=("anthropic",),
        match_models=("claude-*",),
        allow_failover=True,
        headers={"x-team": "a"},
        cache_control="keep",
    )
    assert (groq.enabled, groq.mode, groq.base_url) == (True, "pooled", "http://proxy.example/v1")
    assert (groq.protocols, groq.match_models, groq.allow_failover) == (("anthropic",), ("claude-*",), True)
    assert (groq.headers, groq.cache_control, groq.dialect.name) == ({"x-team": "a"}, "keep", "groq")


@pytest.mark.parametrize(
    ("protocol", "auth", "protocols", "path", "cache"),
    [
        ("openai-chat", "bearer", ("openai-chat", "openai-responses"), "/models", "strip"),
        ("openai-responses", "bearer", ("openai-chat", "openai-responses"), "/models", "strip"),
        ("anthropic", "x-api-key", ("anthropic",), "/v1/models", "keep"),
        ("gemini", "x-goog-api-key", ("gemini",), "/v1beta/models", "strip"),
    ],
)
def test_a_provider_of_the_users_own_needs_no_code(
    protocol: ProtocolName, auth: str, protocols: tuple[str, ...], path: str, cache: str
) -> None:
    acme = of("my-llm", protocol=protocol, base_url="https://llm.example")
    assert (acme.speaks, acme.auth, acme.protocols) == ((protocol,), auth, protocols)
    assert (acme.models_path, acme.cache_control, acme.dialect.name) == (path, cache, "compatible")
    assert (acme.key_env, acme.models, acme.pool) == ("MY_LLM_API_KEY", {}, False)


def test_another_wire_than_the_rows_brings_its_own_manners() -> None:
    deepseek = of("deepseek", protocol="anthropic", base_url="https://api.deepseek.com/anthropic")
    assert (deepseek.protocol, deepseek.auth, deepseek.models_path) == ("anthropic", "x-api-key", "/v1/models")
    assert deepseek.cache_control == "keep"


def test_the_clients_own_wire_is_chosen_where_the_provider_speaks_it() -> None:
    openai = of("openai")
    assert openai.speaks_with("openai-responses", "gpt-4o") == "openai-responses"
    assert openai.speaks_with("openai-chat", "gpt-4o") == "openai-chat"
    assert openai.speaks_with("anthropic", "gpt-4o") == openai.speaks_with("gemini", "gpt-4o") == "openai-chat"
    assert openai.speaks_with("anthropic", "gpt-6-luna") == "openai-responses"


def test_the_clients_own_wire_is_chosen_where_a_local_server_was_found_to_speak_it() -> None:
    ollama = of("ollama")
    assert ollama.speaks_with("anthropic", "qwen3", wires=(ANTHROPIC,)) == ANTHROPIC
    assert ollama.speaks_with("openai-responses", "qwen3", wires=(ANTHROPIC,)) == "openai-chat"
    assert ollama.speaks_with("openai-chat", "qwen3", tools=True, wires=(ANTHROPIC,)) == "openai-chat"


@pytest.mark.parametrize(
    ("name", "more", "local"),
    [
        ("ollama", {}, True),
        ("lmstudio", {"base_url": "http://gpu.example:1234/v1"}, False),
        ("vllm", {"protocol": "openai-chat", "base_url": "http://localhost:8000/v1"}, True),
        ("mine", {"protocol": "openai-responses", "base_url": "http://localhost:8000/v1"}, False),
        ("groq", {"base_url": "http://127.0.0.1:1/v1"}, False),
    ],
)
def test_servers_that_may_speak_more_than_is_configured(name: str, more: dict[str, Any], local: bool) -> None:
    assert of(name, **more).local is local


@pytest.mark.parametrize(
    ("model", "tools", "effort", "wire"),
    [
        ("gpt-4o", True, "", "openai-chat"),
        ("gpt-5.4", True, "", "openai-chat"),
        ("gpt-5.4", True, "high", "openai-responses"),
        ("gpt-6-luna", True, "", "openai-responses"),
        ("gpt-6-luna", True, "none", "openai-chat"),
        ("gpt-6.1-sol", False, "", "openai-chat"),
        ("gpt-6.1-sol", True, "none", "openai-responses"),
        ("gpt-5.5-pro", False, "", "openai-responses"),
    ],
)
def test_a_chat_client_meets_responses_where_chat_does_not_serve_it(
    model: str, tools: bool, effort: str, wire: str
) -> None:
    assert of("openai").speaks_with("openai-chat", model, tools=tools, effort=effort) == wire
    assert of("groq").speaks_with("openai-chat", model, tools=tools, effort=effort) == "openai-chat"


@pytest.mark.parametrize(
    ("patterns", "model", "fits"),
    [
        ((), "anything", True),
        (("claude-*",), "claude-opus-5-5", True),
        (("claude-*",), "Claude-Opus", True),
        (("claude-*",), "gpt-4o", False),
        (("gpt-*", "o?"), "o3", True),
    ],
)
def test_match_models_are_glob_patterns(patterns: tuple[str, ...], model: str, fits: bool) -> None:
    assert of("groq", match_models=patterns).fits(model) is fits


def test_headers_do_not_leak_into_logs() -> None:
    assert "secret" not in repr(of("groq", headers={"x-key": "secret"}))


def test_the_dialect_of_a_row_bears_its_name() -> None:
    paid = [row for name, row in CATALOG.items() if name not in ("gemini", "anthropic")]
    assert [row.dialect.name for row in paid] == [row.name for row in paid]


@pytest.mark.parametrize("name", CATALOG)
def test_base_urls_are_as_the_vendor_writes_them(name: str) -> None:
    row = CATALOG[name]
    versioned = row.base_url.endswith(("/v1", "/v1beta/openai"))
    assert versioned is all(wire.startswith("openai") for wire in row.speaks)
    assert not row.base_url.endswith("/")
    assert row.name == name


@pytest.mark.parametrize(
    ("name", "protocols"),
    [
        ("anthropic", ("anthropic",)),
        ("groq", ("openai-chat", "openai-responses")),
        ("together", ("openai-chat", "openai-responses")),
    ],
)
def test_what_a_row_matches_by_default(name: str, protocols: tuple[str, ...]) -> None:
    assert of(name).protocols == protocols


def test_a_fallback_serves_every_client_by_default() -> None:
    assert of("groq", mode="fallback").protocols == of("anthropic", mode="fallback").protocols == PROTOCOLS
    assert of("groq", mode="fallback", protocols=("openai-chat",)).protocols == ("openai-chat",)
    assert of("groq", mode="pooled").protocols == ("openai-chat", "openai-responses")


def test_cache_control_is_kept_for_anthropic_and_removed_where_it_is_refused() -> None:
    assert of("anthropic").cache_control == "keep"
    assert of("anthropic", cache_control="strip").cache_control == "strip"
    assert of("groq").cache_control == of("together").cache_control == "strip"


def test_the_configuration_knows_models_better_than_the_tables() -> None:
    said = {
        "acme-*": CapabilityOverrides(images=False, context=9_000),
        "groq:acme-?": CapabilityOverrides(context=8_000, levels=("low", "high")),
    }
    providers = {each.name: each for each in effective(Config(capabilities=said))}
    groq = providers["groq"].capabilities("openai-chat", "Acme-1")
    assert (groq.images, groq.context, groq.levels) == (False, 8_000, ("low", "high"))
    together = providers["together"].capabilities("openai-chat", "acme-1")
    assert (together.images, together.context) == (False, 9_000)
    other = providers["groq"].capabilities("openai-chat", "else")
    assert other == of("groq").capabilities("openai-chat", "else")
