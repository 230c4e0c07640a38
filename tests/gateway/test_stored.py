"""Requests about stored responses."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from bm.accounts.account import Access
from bm.accounts.google import Fetched
from bm.config.schema import Config
from bm.errors import RequestError
from bm.gateway.stored import answer
from bm.gateway.stores import ResponseStore
from bm.providers.provider import effective
from tests.gateway.world import World

SAID = [{"type": "message", "role": "user", "content": text} for text in ("a", "b", "c")]
RESPONSE = {"id": "resp_1", "object": "response", "output": []}


class Upstream:
    """Answers each request with `body`."""

    def __init__(self, body: bytes = b"{}", status: int = 200) -> None:
        self.found = Fetched(status=status, headers={}, body=body)
        self.requests: list[Any] = []

    async def fetch(self, request: Any, timeouts: Any, proxy: Any, *, limit: int) -> Fetched:
        self.requests.append(request)
        return self.found


class Tokens:
    """Every credential is a key."""

    async def access(self, credential: Any) -> Access:
        return Access(key="sk-1")


def services(upstream: Upstream | None = None, account: tuple[str, str] | None = None, *, known: bool = True) -> Any:
    responses = ResponseStore()
    responses.keep(json.dumps({"input": SAID}).encode(), RESPONSE, account)
    config = Config()
    settings = SimpleNamespace(providers={each.name: each for each in effective(config)}, config=config)
    pool = SimpleNamespace(credential=lambda account: "key" if known else None)
    return SimpleNamespace(responses=responses, settings=settings, pool=pool, tokens=Tokens(), client=upstream)


async def test_a_response_of_bms_is_read_and_deleted() -> None:
    here = services()
    assert await answer(here, "GET", "resp_1", "", "") == RESPONSE
    assert (await answer(here, "DELETE", "resp_1", "", ""))["deleted"] is True
    with pytest.raises(RequestError) as caught:
        await answer(here, "GET", "resp_1", "", "")
    assert (caught.value.failure.code, caught.value.failure.http_status) == ("response_not_found", 404)


async def test_only_what_is_made_in_the_background_can_be_cancelled() -> None:
    with pytest.raises(RequestError):
        await answer(services(), "POST", "resp_1", "cancel", "")


@pytest.mark.parametrize(
    ("query", "texts", "more"),
    [
        ("", "cba", False),
        ("order=asc", "abc", False),
        ("order=asc&limit=2", "ab", True),
        ("order=asc&limit=2&after=item_1", "c", False),
        ("after=item_0", "", False),
    ],
)
async def test_the_items_of_a_request(query: str, texts: str, more: bool) -> None:
    page = await answer(services(), "GET", "resp_1", "input_items", query)
    assert ("".join(row["content"] for row in page["data"]), page["has_more"]) == (texts, more)


async def test_a_limit_that_is_no_number() -> None:
    with pytest.raises(RequestError):
        await answer(services(), "GET", "resp_1", "input_items", "limit=x")


async def test_the_account_that_stores_a_response_is_asked() -> None:
    upstream = Upstream(json.dumps({"id": "resp_1", "status": "queued"}).encode())
    here = services(upstream, ("openai", "a"))
    assert (await answer(here, "POST", "resp_1", "cancel", ""))["status"] == "queued"
    [request] = upstream.requests
    assert (request.method, request.url) == ("POST", "https://api.openai.com/v1/responses/resp_1/cancel")
    assert ("authorization", "Bearer sk-1") in request.headers


async def test_what_that_account_refuses_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        await answer(services(Upstream(b'{"error":{"message":"no"}}', 400), ("openai", "a")), "GET", "resp_1", "", "")
    assert caught.value.failure.message == "no"
    with pytest.raises(RequestError):
        await answer(services(account=("openai", "a"), known=False), "GET", "resp_1", "", "")


def test_a_response_is_read_over_http(world: World) -> None:
    made = world.send("openai-responses", "/v1/responses", {"model": "gpt-5", "input": "hi"}).json
    with httpx.Client(base_url=world.daemon.url, trust_env=False, verify=False, timeout=10) as http:
        key = {"authorization": f"Bearer {world.daemon.key}"}
        read = http.get(f"/v1/responses/{made['id']}", headers=key)
        assert (read.status_code, read.json()) == (200, made)
        assert http.get("/v1/responses/resp_9", headers=key).status_code == 404
