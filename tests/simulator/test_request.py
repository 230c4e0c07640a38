"""Which path is whose."""

from __future__ import annotations

import httpx
import pytest

from bm.simulator import Simulator
from bm.simulator.request import Target, credential, masked, tail, target


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/messages", Target("anthropic", "generate", "")),
        ("/v1/messages/count_tokens", Target("anthropic", "count", "")),
        ("/v1/chat/completions", Target("openai-chat", "generate", "")),
        ("/openai/v1/chat/completions", Target("openai-chat", "generate", "/openai")),
        ("/groq/v1/chat/completions", Target("openai-chat", "generate", "/groq")),
        ("/groq/openai/v1/responses", Target("openai-responses", "generate", "/groq/openai")),
        ("/v1/embeddings", Target("openai-chat", "embed", "")),
        (
            "/v1beta/models/gemini-3-pro:generateContent",
            Target("gemini", "generate", "", "gemini-3-pro", "generateContent"),
        ),
        ("/models/gemini-3-pro:countTokens", Target("gemini", "count", "", "gemini-3-pro", "countTokens")),
        (
            "/v1/projects/p/locations/global/publishers/google/models/g:streamGenerateContent",
            Target(
                "gemini",
                "generate",
                "/v1/projects/p/locations/global/publishers/google",
                "g",
                "streamGenerateContent",
            ),
        ),
        ("/v1/elsewhere", None),
    ],
)
def test_what_a_posted_path_asks_for(path: str, expected: Target | None) -> None:
    assert target("POST", path, {}) == expected


@pytest.mark.parametrize(
    ("path", "headers", "api"),
    [
        ("/v1/models", {}, "openai-chat"),
        ("/v1/models", {"anthropic-version": "2023-06-01"}, "anthropic"),
        ("/v1/models", {"x-goog-api-key": "k"}, "gemini"),
        ("/v1beta/models", {}, "gemini"),
        ("/groq/openai/v1/models/openai/gpt-oss-120b", {}, "openai-chat"),
    ],
)
def test_headers_tell_three_model_lists_apart(path: str, headers: dict[str, str], api: str) -> None:
    found = target("GET", path, headers)
    assert found is not None
    assert (found.api, found.operation) == (api, "models")


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({"x-api-key": "a"}, {}, "a"),
        ({"x-goog-api-key": "b"}, {}, "b"),
        ({"authorization": "Bearer c"}, {}, "c"),
        ({}, {"key": "d"}, "d"),
        ({"x-api-key": "a", "authorization": "Bearer c"}, {}, "a"),
        ({"authorization": "Basic e"}, {}, ""),
    ],
)
def test_where_a_key_may_stand(headers: dict[str, str], query: dict[str, str], key: str) -> None:
    assert credential(headers, query) == key


SECRET = "a-very-secret-key-123456"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-api-key": SECRET}, {}),
        ({"authorization": f"Bearer {SECRET}"}, {}),
        ({"x-goog-api-key": SECRET}, {}),
        ({}, {"key": SECRET}),
    ],
)
def test_a_key_shows_only_its_tail(sim: Simulator, headers: dict[str, str], query: dict[str, str]) -> None:
    httpx.post(f"{sim.url}/v1beta/models/gemini-2.5-flash:countTokens", headers=headers, params=query, json={})
    log = httpx.get(f"{sim.url}/__sim/log")
    assert SECRET not in log.text
    assert log.json()[0]["account"] == "123456"


def test_other_headers_are_shown() -> None:
    assert masked({"user-agent": "a", "cookie": "b"}) == {"user-agent": "a", "cookie": "***"}


def test_a_short_key_is_its_own_tail() -> None:
    assert tail("abc") == "abc"
