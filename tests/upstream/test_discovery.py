"""Each vendor's list of models, read over a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from bm.accounts.account import Access
from bm.config.schema import Config, Gemini, ProviderConfig, Timeouts, UpstreamProxy
from bm.providers.provider import Provider, effective
from bm.simulator import Simulator
from bm.upstream.client import UpstreamClient, UpstreamError
from bm.upstream.discovery import ListedModel, Refused, list_models, list_wires
from tests.upstream.wire import Exchange, Server, serving

GEMINI = {
    "models": [
        {
            "name": "models/gemini-3-flash",
            "displayName": "Gemini 3 Flash",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        },
        {"name": "models/gemini-embedding-001", "supportedGenerationMethods": ["embedContent"]},
        {"name": "models/imagen-5", "supportedGenerationMethods": ["predict"]},
    ]
}
ANTHROPIC = {
    "data": [
        {
            "type": "model",
            "id": "claude-opus-5-5",
            "display_name": "Claude Opus 5.5",
            "created_at": "2026-01-01T00:00:00Z",
            "max_input_tokens": 1000000,
            "max_tokens": 128000,
        }
    ],
    "has_more": False,
    "first_id": "claude-opus-5-5",
    "last_id": "claude-opus-5-5",
}
GROQ = {
    "object": "list",
    "data": [
        {
            "id": "openai/gpt-oss-120b",
            "object": "model",
            "created": 1754408224,
            "owned_by": "OpenAI",
            "context_window": 131072,
            "max_completion_tokens": 65536,
        }
    ],
}
TOGETHER = [
    {"id": "zai-org/GLM-5.3", "type": "chat", "display_name": "GLM 5.3", "context_length": 202752, "created": 1},
    {"id": "BAAI/bge-large", "type": "embedding", "display_name": "BGE"},
    {"id": "black-forest/flux", "type": "image"},
]
OPENROUTER = {"data": [{"id": "anthropic/claude", "name": "Claude", "context_length": 200000}]}

TABLE: list[tuple[str, Any, list[ListedModel]]] = [
    (
        "gemini",
        GEMINI,
        [
            ListedModel(
                id="gemini-3-flash", provider="gemini", title="Gemini 3 Flash", context=1048576, max_output=65536
            ),
            ListedModel(id="gemini-embedding-001", provider="gemini", generates=False, embeds=True),
            ListedModel(id="imagen-5", provider="gemini", generates=False),
        ],
    ),
    (
        "anthropic",
        ANTHROPIC,
        [
            ListedModel(
                id="claude-opus-5-5",
                provider="anthropic",
                title="Claude Opus 5.5",
                context=1000000,
                max_output=128000,
            )
        ],
    ),
    (
        "groq",
        GROQ,
        [ListedModel(id="openai/gpt-oss-120b", provider="groq", context=131072, max_output=65536, created=1754408224)],
    ),
    (
        "together",
        TOGETHER,
        [
            ListedModel(id="zai-org/GLM-5.3", provider="together", title="GLM 5.3", context=202752, created=1),
            ListedModel(id="BAAI/bge-large", provider="together", title="BGE", generates=False, embeds=True),
            ListedModel(id="black-forest/flux", provider="together", generates=False),
        ],
    ),
    ("openrouter", OPENROUTER, [ListedModel(id="anthropic/claude", provider="openrouter", context=200000)]),
]


@pytest.fixture
async def client() -> AsyncIterator[UpstreamClient]:
    client = UpstreamClient()
    yield client
    await client.close()


def provider(name: str, server: Server) -> Provider:
    config = Config(
        gemini=Gemini(base_url=server.url), providers={name: ProviderConfig(enabled=True, base_url=server.url)}
    )
    if name == "gemini":
        config = Config(gemini=Gemini(base_url=server.url))
    return next(each for each in effective(config) if each.name == name)


async def listed(client: UpstreamClient, name: str, server: Server) -> tuple[ListedModel, ...]:
    access = Access(key="the-key")
    return await list_models(client, provider(name, server), access, Timeouts(first_byte=5), UpstreamProxy())


@pytest.mark.parametrize(("name", "answer", "models"), TABLE, ids=[name for name, _, _ in TABLE])
async def test_each_vendors_list(client: UpstreamClient, name: str, answer: Any, models: list[ListedModel]) -> None:
    async def lists(exchange: Exchange) -> None:
        await exchange.answer(200, msgspec.json.encode(answer))

    async with serving(lists) as server:
        assert list(await listed(client, name, server)) == models
        (exchange,) = server.exchanges
        assert "the-key" in " ".join(exchange.headers.values())


PAGES: list[tuple[str, list[Any], list[dict[str, list[str]]]]] = [
    (
        "gemini",
        [{"models": [{"name": "models/a"}], "nextPageToken": "p/2"}, {"models": [{"name": "models/b"}]}],
        [{"pageSize": ["1000"]}, {"pageSize": ["1000"], "pageToken": ["p/2"]}],
    ),
    (
        "anthropic",
        [{"data": [{"id": "a"}], "has_more": True, "last_id": "a"}, {"data": [{"id": "b"}], "has_more": False}],
        [{"limit": ["1000"]}, {"limit": ["1000"], "after_id": ["a"]}],
    ),
]


@pytest.mark.parametrize(("name", "pages", "queries"), PAGES, ids=[name for name, _, _ in PAGES])
async def test_lists_come_in_pages(
    client: UpstreamClient, name: str, pages: list[Any], queries: list[dict[str, list[str]]]
) -> None:
    left = iter(pages)

    async def lists(exchange: Exchange) -> None:
        await exchange.answer(200, msgspec.json.encode(next(left)))

    async with serving(lists) as server:
        assert [model.id for model in await listed(client, name, server)] == ["a", "b"]
        assert [parse_qs(urlsplit(each.target).query) for each in server.exchanges] == queries


async def test_a_list_without_end_is_read_for_twenty_pages(client: UpstreamClient) -> None:
    async def lists(exchange: Exchange) -> None:
        await exchange.answer(200, b'{"models": [{"name": "models/a"}], "nextPageToken": "again"}')

    async with serving(lists) as server:
        assert len(await listed(client, "gemini", server)) == len(server.exchanges) == 20


@pytest.mark.parametrize("answer", [b"{}", b"[]", b'{"data": null}', b'{"data": [1, null, {"object": "model"}]}', b"3"])
async def test_a_response_without_models_is_an_empty_list(client: UpstreamClient, answer: bytes) -> None:
    async def lists(exchange: Exchange) -> None:
        await exchange.answer(200, answer)

    async with serving(lists) as server:
        assert await listed(client, "groq", server) == ()


async def test_an_unreadable_page_makes_the_whole_list_a_failure(client: UpstreamClient) -> None:
    pages = iter((b'{"models": [{"name": "models/a"}], "nextPageToken": "p2"}', b'{"error": "try later"}'))

    async def lists(exchange: Exchange) -> None:
        await exchange.answer(200, next(pages))

    async with serving(lists) as server:
        with pytest.raises(UpstreamError, match="no list of models"):
            await listed(client, "gemini", server)


async def test_no_json_is_a_failure(client: UpstreamClient) -> None:
    async def lists(exchange: Exchange) -> None:
        await exchange.answer(200, b"<html>")

    async with serving(lists) as server:
        with pytest.raises(UpstreamError) as caught:
            await listed(client, "groq", server)
    assert caught.value.failure.kind == "malformed" and "groq" in caught.value.failure.message


async def test_a_refusal_carries_what_its_codec_reads(client: UpstreamClient) -> None:
    async def refuses(exchange: Exchange) -> None:
        await exchange.answer(401, b'{"error": {}}', "x-request-id: 7")

    async with serving(refuses) as server:
        with pytest.raises(Refused) as caught:
            await listed(client, "groq", server)
    assert (caught.value.status, caught.value.body) == (401, b'{"error": {}}')
    assert caught.value.headers["x-request-id"] == "7"


async def test_the_list_of_vertex(client: UpstreamClient) -> None:
    access = Access(key="token", bearer=True, project="p-1", location="global")
    with Simulator() as sim:
        (vertex, *_) = effective(Config(gemini=Gemini(vertex_base_url=sim.url)))
        found = await list_models(client, vertex, access, Timeouts(), UpstreamProxy())
    assert "gemini-2.5-pro" in {model.id for model in found}
    assert all(model.generates for model in found)


@pytest.mark.parametrize(
    ("messages", "responses", "wires"),
    [
        ((400, b'{"error":"model is required"}'), (404, b"404 page not found"), ("anthropic",)),
        ((404, b'{"detail":"Not Found"}'), (422, b"{}"), ("openai-responses",)),
        ((200, b'{"error":"Unexpected endpoint"}'), (404, b'{"error":"model \'\' not found"}'), ("openai-responses",)),
        ((401, b"{}"), (500, b"{}"), ()),
    ],
)
async def test_the_wires_of_a_local_server(
    client: UpstreamClient, messages: tuple[int, bytes], responses: tuple[int, bytes], wires: tuple[str, ...]
) -> None:
    async def answers(exchange: Exchange) -> None:
        assert (exchange.method, exchange.body) == ("POST", b"{}")
        await exchange.answer(*{"/v1/messages": messages, "/v1/responses": responses}[exchange.target])

    async with serving(answers) as server:
        config = Config(providers={"ollama": ProviderConfig(enabled=True, base_url=f"{server.url}/v1")})
        ollama = next(each for each in effective(config) if each.name == "ollama")
        assert await list_wires(client, ollama, Access(), Timeouts(first_byte=5), UpstreamProxy()) == wires
