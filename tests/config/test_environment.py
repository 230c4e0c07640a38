"""Settings from variables: which setting a name stands for, which source wins, and limits on classic variables."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.config.load import InvalidConfig, Loaded, parse

KNOWN = ("anthropic", "groq", "openai", "together")
FILE = """
[providers.groq]
mode = "fallback"
api_key = "file:~/groq"
[providers.my-co]
protocol = "openai-chat"
base_url = "https://co.example/v1"
[aliases]
"my-fast" = "groq:a"
"""


def loaded(environ: dict[str, str], text: str = FILE) -> Loaded:
    return parse(text, environ, known=KNOWN, path="config.toml")


def at(loaded: Loaded, path: str) -> Any:
    value: Any = msgspec.json.decode(msgspec.json.encode(loaded.config))
    for part in path.split("."):
        value = value[part]
    return value


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("BM_SERVER_PORT", "9000", "server.port", 9000),
        ("BM_SERVER_HOST", "localhost", "server.host", "localhost"),
        ("BM_SERVER_ALLOWED_HOSTS", "a.lan, b.lan", "server.allowed_hosts", ["a.lan", "b.lan"]),
        ("BM_POOL_AFFINITY", "off", "pool.affinity", False),
        ("BM_TIMEOUTS_FIRST_BYTE", "2.5", "timeouts.first_byte", 2.5),
        ("BM_UPSTREAM_PROXY_URL", "http://p:1", "upstream_proxy.url", "http://p:1"),
        ("BM_GEMINI_API_VERSION", "v1", "gemini.api_version", "v1"),
        ("BM_GEMINI_TIMEOUTS_IDLE", "5", "gemini.timeouts.idle", 5.0),
        ("BM_GEMINI_MODELS_OPUS", "x", "gemini.models.opus", "x"),
        ("BM_LOG_LEVEL", "debug", "log.level", "debug"),
        ("BM_ALIASES_FAST", "groq:b", "aliases.fast", "groq:b"),
        ("BM_ALIASES_MY_FAST", "groq:b", "aliases.my-fast", "groq:b"),
        ("BM_PROVIDERS_GROQ_MODE", "pooled", "providers.groq.mode", "pooled"),
        ("BM_PROVIDERS_GROQ_API_KEY", "cmd:pass groq", "providers.groq.api_key", "cmd:pass groq"),
        ("BM_PROVIDERS_MY_CO_ENABLED", "yes", "providers.my-co.enabled", True),
        ("BM_PROVIDERS_MY_CO_TIMEOUTS_CONNECT", "1", "providers.my-co.timeouts.connect", 1.0),
        ("BM_PROVIDERS_OPENAI_MODELS", '{ opus = "gpt" }', "providers.openai.models", {"opus": "gpt"}),
        ("ANTHROPIC_ENABLED", "true", "providers.anthropic.enabled", True),
        ("ANTHROPIC_DISPATCH_MODE", "exclusive", "providers.anthropic.mode", "exclusive"),
        ("GROQ_DISPATCH_MODE", "off", "providers.groq.mode", "off"),
        ("TOGETHER_BASE_URL", "https://t.example/v1", "providers.together.base_url", "https://t.example/v1"),
        ("OPENAI_ENABLED", "1", "providers.openai.enabled", True),
        ("MY_CO_ENABLED", "1", "providers.my-co.enabled", True),
        ("GEMINI_ENABLED", "no", "gemini.enabled", False),
        ("GEMINI_BASE_URL", "https://g.example", "gemini.base_url", "https://g.example"),
    ],
)
def test_a_variable_sets(variable: str, text: str, path: str, value: Any) -> None:
    found = loaded({variable: text})
    assert at(found, path) == value
    assert found.sources == {path: variable}
    assert found.warnings == ()


def test_a_provider_can_be_defined_in_the_environment_only() -> None:
    found = loaded(
        {
            "BM_PROVIDERS_HOME_LAB_PROTOCOL": "openai-chat",
            "BM_PROVIDERS_HOME_LAB_BASE_URL": "http://10.0.0.2:8000/v1",
        }
    )
    assert found.config.providers["home-lab"].base_url == "http://10.0.0.2:8000/v1"


def test_a_bm_variable_overrides_a_classic_one_and_both_override_the_file() -> None:
    classic = {"GROQ_DISPATCH_MODE": "pooled"}
    assert loaded(classic).config.providers["groq"].mode == "pooled"
    both = loaded({**classic, "BM_PROVIDERS_GROQ_MODE": "exclusive"})
    assert both.config.providers["groq"].mode == "exclusive"
    assert both.sources == {"providers.groq.mode": "BM_PROVIDERS_GROQ_MODE"}


def test_a_literal_key_becomes_a_reference_to_its_variable() -> None:
    found = loaded({"BM_PROVIDERS_GROQ_API_KEY": "planted", "ANTHROPIC_API_KEY": "planted"})
    assert found.config.providers["groq"].api_key == "env:BM_PROVIDERS_GROQ_API_KEY"
    assert found.config.providers["anthropic"].api_key == "env:ANTHROPIC_API_KEY"
    assert b"planted" not in msgspec.json.encode(found)


def test_a_classic_key_is_only_a_default_and_enables_nothing() -> None:
    found = loaded({"GROQ_API_KEY": "x", "ANTHROPIC_API_KEY": "x"})
    assert found.config.providers["groq"].api_key == "file:~/groq"
    assert found.config.providers["anthropic"].enabled is False
    assert found.config.providers["anthropic"].mode == "off"


def test_providers_of_the_file_come_first_and_in_its_order() -> None:
    found = loaded({"TOGETHER_ENABLED": "1", "MY_CO_ENABLED": "1", "GROQ_ENABLED": "1"})
    assert list(found.config.providers) == ["groq", "my-co", "together"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8094", "http://localhost:8094/"])
@pytest.mark.parametrize("variable", ["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "GEMINI_BASE_URL"])
def test_a_base_url_that_points_at_bm_is_ignored_with_a_warning(variable: str, url: str) -> None:
    found = loaded({variable: url})
    assert found.config == loaded({}).config
    assert found.warnings == (f"{variable}: ignored, because it points at bm itself",)
    assert found.sources == {}


def test_variables_of_bm_env_cause_one_warning_per_reason() -> None:
    address, key = "http://127.0.0.1:8094", "bm-" + "k" * 43
    environ = {"ANTHROPIC_BASE_URL": address, "GROQ_BASE_URL": address, "TOGETHER_API_KEY": key, "OPENAI_API_KEY": key}
    found = loaded(environ)
    assert found.config == loaded({}).config
    assert found.warnings == (
        "GROQ_BASE_URL, ANTHROPIC_BASE_URL: ignored, because each points at bm itself",
        "TOGETHER_API_KEY, OPENAI_API_KEY: ignored, because each holds bm's own key",
    )


def test_a_key_with_the_prefix_of_bms_own_key_counts() -> None:
    assert loaded({"TOGETHER_API_KEY": "bm-" + "k" * 42}).sources == {"providers.together.api_key": "TOGETHER_API_KEY"}


def test_a_loop_is_detected_by_the_port_in_force() -> None:
    environ = {"BM_SERVER_PORT": "9000", "ANTHROPIC_BASE_URL": "http://localhost:9000"}
    assert loaded(environ).warnings == ("ANTHROPIC_BASE_URL: ignored, because it points at bm itself",)
    elsewhere = {**environ, "ANTHROPIC_BASE_URL": "http://localhost:8094"}
    assert loaded(elsewhere).config.providers["anthropic"].base_url == "http://localhost:8094"


@pytest.mark.parametrize(
    "environ",
    [
        {"GEMINI_API_KEY": "x", "GEMINI_DISPATCH_MODE": "pooled", "GOOGLE_GEMINI_BASE_URL": "http://x"},
        {"ANTHROPIC_ENABLED": "", "ANTHROPIC_BASE_URL": "", "ANTHROPIC_API_KEY": ""},
        {"MISTRAL_ENABLED": "1", "ANTHROPIC_AUTH_TOKEN": "x"},
        {"BM_HOME": "/x", "BM_SHARED": "/y", "BM_": "", "BM_SERVER": "x", "BMX_SERVER_PORT": "1"},
    ],
)
def test_variables_of_other_programs_are_ignored(environ: dict[str, str]) -> None:
    assert loaded(environ) == loaded({})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"BM_SERVER_PORT": "high"},
            'BM_SERVER_PORT: expected a whole number from 0 to 65535, got the string "high"',
        ),
        ({"BM_SERVER_PROT": "1"}, 'BM_SERVER_PROT: names no setting (did you mean "BM_SERVER_PORT"?)'),
        ({"BM_PROVIDERS_GROQ_NIX": "1"}, "BM_PROVIDERS_GROQ_NIX: names no setting"),
        ({"BM_POOL_AFFINITY": "x"}, 'BM_POOL_AFFINITY: expected true or false, got the string "x"'),
        ({"ANTHROPIC_ENABLED": "x"}, 'ANTHROPIC_ENABLED: expected true or false, got the string "x"'),
        (
            {"GROQ_DISPATCH_MODE": "poled"},
            'GROQ_DISPATCH_MODE: expected one of "exclusive", "fallback", "off", "pooled", got the string "poled"'
            ' (did you mean "pooled"?)',
        ),
        ({"TOGETHER_BASE_URL": "x"}, "TOGETHER_BASE_URL: is not an http or https URL"),
        (
            {"BM_PROVIDERS_GROQ_BASE_URL": "http://localhost:8094"},
            "BM_PROVIDERS_GROQ_BASE_URL: points at bm itself (write the address of the provider)",
        ),
        (
            {"BM_GEMINI_MODELS": "{ opus = 1 }"},
            "BM_GEMINI_MODELS: gemini.models.opus expected a string, got the number 1",
        ),
        ({"BM_GEMINI_MODELS": "x"}, 'BM_GEMINI_MODELS: expected a table, got the string "x"'),
        (
            {"BM_PROVIDERS_NEW_PROTOCOL": "gemini"},
            'BM_PROVIDERS_NEW_PROTOCOL: providers.new.base_url is missing (bm has no built-in provider "new")',
        ),
    ],
)
def test_a_bad_variable_is_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        loaded(environ)
    assert str(caught.value) == message


def test_a_misspelt_section_is_a_warning() -> None:
    found = loaded({"BM_SERVR_PORT": "9000"})
    assert found.warnings == ('BM_SERVR_PORT: names no setting (did you mean "BM_SERVER_PORT"?)',)
