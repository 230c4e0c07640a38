"""The URL and the headers of each request, on the Gemini API, Vertex AI and elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from bm.accounts.account import Access
from bm.config.schema import Config, Gemini, ProviderConfig
from bm.dispatch.target import Target
from bm.names import ProtocolName
from bm.providers.provider import Provider, effective
from bm.upstream.endpoint import (
    ANTHROPIC_VERSION,
    USER_AGENT,
    credentials,
    forwarded_headers,
    models_url,
    offers,
    own_headers,
    url,
)

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
def test_the_url_of_the_list_of_models(name: str, expected: str) -> None:
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
def test_the_operations_of_each_protocol(protocol: Any, operation: Any, has: bool) -> None:
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
def test_headers_that_bm_builds(name: str, key: tuple[str, str]) -> None:
    headers = own_headers(provider(name), KEY)
    assert key in headers and ("user-agent", USER_AGENT) in headers and ("content-type", "application/json") in headers
    assert (("anthropic-version", ANTHROPIC_VERSION) in headers) is (name == "anthropic")


def test_a_service_without_keys_is_sent_none() -> None:
    assert not {"authorization", "x-api-key"} & dict(own_headers(provider("ollama"), Access())).keys()


def test_headers_of_the_codec_replace_the_defaults() -> None:
    headers = own_headers(provider("anthropic"), KEY, [("anthropic-version", "2099-01-01"), ("anthropic-beta", "x")])
    assert [value for name, value in headers if name == "anthropic-version"] == ["2099-01-01"]
    assert ("anthropic-beta", "x") in headers


def test_forwarded_headers_carry_the_providers_key() -> None:
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


PLACE = "/v1beta1/projects/p-1/locations"


def vertex(**settings: Any) -> Provider:
    return effective(Config(gemini=Gemini(**settings)))[0]


def vertex_access(location: str = "global") -> Access:
    return Access(key="token", bearer=True, project="p-1", location=location)


def vertex_address(location: str, model: str = "m", operation: Any = "generate", **options: Any) -> str:
    target = Target("gemini", "a", model, "gemini")
    return url(vertex(), target, operation, vertex_access(location), **{"stream": False} | options)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (vertex_address("global"), f"https://aiplatform.googleapis.com{PLACE}/global"),
        (vertex_address("us"), f"https://aiplatform.us.rep.googleapis.com{PLACE}/us"),
        (vertex_address("eu"), f"https://aiplatform.eu.rep.googleapis.com{PLACE}/eu"),
        (vertex_address("europe-west4"), f"https://europe-west4-aiplatform.googleapis.com{PLACE}/europe-west4"),
    ],
)
def test_vertex_has_a_host_for_each_kind_of_location(found: str, expected: str) -> None:
    assert found == f"{expected}/publishers/google/models/m:generateContent"


@pytest.mark.parametrize(
    ("found", "end"),
    [
        (
            vertex_address("us", stream=True, query="alt=sse"),
            "/publishers/google/models/m:streamGenerateContent?alt=sse",
        ),
        (vertex_address("us", operation="count_tokens", stream=True), "/publishers/google/models/m:countTokens"),
        (vertex_address("us", "endpoints/123"), "/locations/us/endpoints/123:generateContent"),
        (
            vertex_address("us", "publishers/google/models/x"),
            "/locations/us/publishers/google/models/x:generateContent",
        ),
    ],
)
def test_the_vertex_url_of_each_operation_and_of_tuned_models(found: str, end: str) -> None:
    assert found.endswith(end)


@pytest.mark.parametrize(
    ("client", "called"), [("", "v1beta1"), ("v1beta", "v1beta1"), ("v1alpha", "v1beta1"), ("v1", "v1")]
)
def test_versions_of_the_gemini_api_are_mapped_to_those_of_vertex(client: str, called: str) -> None:
    assert f".com/{called}/projects/" in vertex_address("global", version=client)


def test_a_configured_vertex_host_serves_all_locations() -> None:
    own = vertex(vertex_base_url="https://vertex.example/")
    found = url(own, Target("gemini", "a", "m", "gemini"), "generate", vertex_access("us"), stream=False)
    assert found.startswith(f"https://vertex.example{PLACE}/us/")
    assert models_url(own, vertex_access("us")) == "https://vertex.example/v1beta1/publishers/google/models"


def test_only_a_users_token_names_the_project_to_bill() -> None:
    assert credentials(vertex(), vertex_access()) == [("authorization", "Bearer token")]
    billed = Access(key="token", bearer=True, billed="p-2")
    assert credentials(vertex(), billed) == [("authorization", "Bearer token"), ("x-goog-user-project", "p-2")]


def test_vertex_embeds_one_text_at_a_time() -> None:
    assert offers("gemini", "embed", vertex_access())
    assert not offers("gemini", "batch_embed", vertex_access())
    assert offers("gemini", "batch_embed", Access(key="k"))
