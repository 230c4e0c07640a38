"""Where each provider takes a request, and with which headers."""

from __future__ import annotations

from typing import Any

import pytest

from bm.accounts.account import Access
from bm.config.schema import Config, Gemini, ProviderConfig
from bm.dispatch.target import Target
from bm.names import ProtocolName
from bm.providers.provider import Provider, effective
from bm.upstream.endpoint import ANTHROPIC_VERSION, USER_AGENT, forwarded_headers, models_url, offers, own_headers, url

KEY = Access(key="the-key")


def provider(name: str, **settings: Any) -> Provider:
    if name == "gemini":
        return effective(Config(gemini=Gemini(**settings)))[0]
    section = ProviderConfig(enabled=True, mode="pooled", **settings)
    return next(each for each in effective(Config(providers={name: section})) if each.name == name)


def address(name: str, operation: Any, model: str = "m", protocol: ProtocolName | None = None, **options: Any) -> str:
    at = provider(name)
    return url(at, Target(name, "a", model, protocol or at.protocol), operation, KEY, **{"stream": False} | options)


GOOGLE = "https://generativelanguage.googleapis.com"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (address("anthropic", "generate"), "https://api.anthropic.com/v1/messages"),
        (address("anthropic", "generate", query="beta=true"), "https://api.anthropic.com/v1/messages?beta=true"),
        (address("anthropic", "count_tokens"), "https://api.anthropic.com/v1/messages/count_tokens"),
        (address("groq", "generate"), "https://api.groq.com/openai/v1/chat/completions"),
        (address("groq", "embed"), "https://api.groq.com/openai/v1/embeddings"),
        (address("together", "generate", stream=True), "https://api.together.ai/v1/chat/completions"),
        (address("openai", "generate", protocol="openai-responses"), "https://api.openai.com/v1/responses"),
        (
            address("openai", "count_tokens", protocol="openai-responses"),
            "https://api.openai.com/v1/responses/input_tokens",
        ),
        (address("gemini", "generate"), f"{GOOGLE}/v1beta/models/m:generateContent"),
        (
            address("gemini", "generate", stream=True, query="alt=sse"),
            f"{GOOGLE}/v1beta/models/m:streamGenerateContent?alt=sse",
        ),
        (address("gemini", "count_tokens", stream=True), f"{GOOGLE}/v1beta/models/m:countTokens"),
        (address("gemini", "embed"), f"{GOOGLE}/v1beta/models/m:embedContent"),
        (address("gemini", "generate", version="v1alpha"), f"{GOOGLE}/v1alpha/models/m:generateContent"),
        (address("gemini", "generate", "tunedModels/mine"), f"{GOOGLE}/v1beta/tunedModels/mine:generateContent"),
        (address("gemini", "generate", "a?b#c d"), f"{GOOGLE}/v1beta/models/a%3Fb%23c%20d:generateContent"),
    ],
)
def test_the_url(found: str, expected: str) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gemini", f"{GOOGLE}/v1beta/models"),
        ("anthropic", "https://api.anthropic.com/v1/models"),
        ("groq", "https://api.groq.com/openai/v1/models"),
    ],
)
def test_where_models_are_listed(name: str, expected: str) -> None:
    assert models_url(provider(name)) == expected


def test_a_base_url_may_end_in_a_slash_and_hold_a_path() -> None:
    at = provider("groq", base_url="http://127.0.0.1:9/proxy/groq/v1/")
    assert models_url(at) == "http://127.0.0.1:9/proxy/groq/v1/models"


@pytest.mark.parametrize(
    ("protocol", "operation", "has"),
    [
        ("anthropic", "count_tokens", True),
        ("openai-chat", "count_tokens", False),
        ("openai-chat", "embed", True),
        ("anthropic", "embed", False),
        ("openai-responses", "count_tokens", True),
        ("gemini", "embed", True),
    ],
)
def test_what_a_wire_offers(protocol: str, operation: Any, has: bool) -> None:
    assert offers(protocol, operation, KEY) is has


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("anthropic", ("x-api-key", "the-key")),
        ("groq", ("authorization", "Bearer the-key")),
        ("gemini", ("x-goog-api-key", "the-key")),
        ("ollama", ("authorization", "Bearer the-key")),
    ],
)
def test_headers_of_our_own(name: str, key: tuple[str, str]) -> None:
    headers = own_headers(provider(name), KEY)
    assert key in headers and ("user-agent", USER_AGENT) in headers and ("content-type", "application/json") in headers
    assert (("anthropic-version", ANTHROPIC_VERSION) in headers) is (name == "anthropic")


def test_a_service_without_keys_is_sent_none() -> None:
    assert not {"authorization", "x-api-key"} & dict(own_headers(provider("ollama"), Access())).keys()


def test_what_a_codec_asks_for_replaces_the_default() -> None:
    headers = own_headers(provider("anthropic"), KEY, [("anthropic-version", "2099-01-01"), ("anthropic-beta", "x")])
    assert [value for name, value in headers if name == "anthropic-version"] == ["2099-01-01"]
    assert ("anthropic-beta", "x") in headers


def test_a_clients_headers_go_on_with_the_providers_key_in_place_of_ours() -> None:
    client = [("x-api-key", "local"), ("authorization", "Bearer local"), ("user-agent", "claude-cli/2"), ("host", "h")]
    headers = forwarded_headers(provider("anthropic"), KEY, [*client, ("anthropic-version", "2024-01-01")])
    assert sorted(headers) == [
        ("anthropic-version", "2024-01-01"),
        ("user-agent", "claude-cli/2"),
        ("x-api-key", "the-key"),
    ]


def test_anthropic_gets_its_version_also_from_clients_that_send_none() -> None:
    assert ("anthropic-version", ANTHROPIC_VERSION) in forwarded_headers(provider("anthropic"), KEY, [])
    assert "anthropic-version" not in dict(forwarded_headers(provider("groq"), KEY, []))


def test_headers_of_the_configuration_replace_the_clients() -> None:
    at = provider("groq", headers={"User-Agent": "mine", "X-Team": "blue"})
    headers = forwarded_headers(at, KEY, [("user-agent", "claude-cli/2")])
    assert ("user-agent", "mine") in headers and ("x-team", "blue") in headers and len(dict(headers)) == len(headers)
