"""Reads a provider's list of models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

import msgspec

from bm.accounts.account import Access
from bm.config.schema import Timeouts, UpstreamProxy
from bm.dispatch.target import Target
from bm.errors import UNREADABLE, Failure
from bm.names import ANTHROPIC, RESPONSES, ProtocolName
from bm.providers.listing import Facts, listed_facts, listed_limits, listed_retirement
from bm.providers.provider import Provider
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest
from bm.upstream.endpoint import models_url, own_headers, url

MAX_LIST_BYTES = 16 * 1024 * 1024
_MAX_PAGES = 20
_COMPLAINTS, _NOT_FOUND = (400, 422), 404
_NOT_CHAT = frozenset({"image", "audio", "embedding", "rerank", "moderation", "transcribe", "video"})
"""Together's types of models that do not chat; any other type does."""


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its provider lists it. `context` and `max_output` are in tokens, 0 if not given.

    `generates` is False for models that do not chat: embeddings, images, speech. `takes` is what the list says of its
    capabilities.
    """

    id: str
    provider: str
    title: str = ""
    context: int = 0
    max_output: int = 0
    created: int = 0
    generates: bool = True
    embeds: bool = False
    takes: Facts = {}
    retires: date | None = None

    @property
    def facts(self) -> Facts:
        """What the list says of the model's capabilities and of its longest answer."""
        return {**self.takes, "max_output": self.max_output} if self.max_output else self.takes


class Refused(Exception):
    """The provider refused to list its models. Carries status, headers and body for its codec to decode."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body
        super().__init__(f"status {status}")


async def list_models(
    client: UpstreamClient, provider: Provider, access: Access, timeouts: Timeouts, proxy: UpstreamProxy
) -> tuple[ListedModel, ...]:
    """The models the account can reach, in the provider's order. None at all means that they are not known.

    Raises:
        UpstreamError: the provider cannot be reached, or its response cannot be parsed.
        Refused: it responded with an error.
    """
    found: list[ListedModel] = []
    page: Mapping[str, str] = _FIRST_PAGE.get(provider.protocol, {})
    for _ in range(_MAX_PAGES):
        address = models_url(provider, access) + (f"?{urlencode(page)}" if page else "")
        request = UpstreamRequest(provider.name, "GET", address, own_headers(provider, access))
        body = await _read(client, request, timeouts, proxy)
        rows = _rows(body)
        if rows is None and body and found:
            message = f"{provider.name} sent no list of models after the first page"
            raise UpstreamError(Failure(kind="malformed", message=message))
        found += (_listed(provider, row) for row in rows or () if isinstance(row, dict))
        page = _next_page(body)
        if not page:
            break
    return tuple(model for model in found if model.id)


async def list_wires(
    client: UpstreamClient, provider: Provider, access: Access, timeouts: Timeouts, proxy: UpstreamProxy
) -> tuple[ProtocolName, ...]:
    """The protocols beside Chat Completions that a local server speaks: it is sent requests that lack everything.

    Where the endpoint is there, it complains about the request, Ollama also with 404 about a model without a name.

    Raises:
        UpstreamError: the server cannot be reached.
    """
    found: list[ProtocolName] = []
    for protocol in (ANTHROPIC, RESPONSES):
        address = url(provider, Target(provider.name, "", "", protocol), "generate", access, stream=False)
        request = UpstreamRequest(provider.name, "POST", address, own_headers(provider, access), b"{}")
        answer = await client.fetch(request, timeouts, proxy, limit=MAX_LIST_BYTES)
        if answer.status in _COMPLAINTS or (answer.status == _NOT_FOUND and b"model" in answer.body):
            found.append(protocol)
    return tuple(found)


_FIRST_PAGE: dict[str, Mapping[str, str]] = {"gemini": {"pageSize": "1000"}, "anthropic": {"limit": "1000"}}


async def _read(client: UpstreamClient, request: UpstreamRequest, timeouts: Timeouts, proxy: UpstreamProxy) -> Any:
    found = await client.fetch(request, timeouts, proxy, limit=MAX_LIST_BYTES)
    if found.status != 200:
        raise Refused(found.status, found.headers, found.body)
    try:
        return msgspec.json.decode(found.body)
    except UNREADABLE as error:
        message = f"{request.provider} sent no list of models: {error}"
        raise UpstreamError(Failure(kind="malformed", message=message)) from error


def _rows(body: Any) -> list[Any] | None:
    """The models in `data`, Gemini's `models`, Vertex AI's `publisherModels`, or Together's bare list; None without."""
    if isinstance(body, dict):
        body = next((body[name] for name in ("data", "models", "publisherModels") if name in body), None)
    return body if isinstance(body, list) else None


def _next_page(body: Any) -> Mapping[str, str]:
    match body:
        case {"nextPageToken": str(token)} if token:
            return {"pageSize": "1000", "pageToken": token}
        case {"has_more": True, "last_id": str(last)} if last:
            return {"limit": "1000", "after_id": last}
        case _:
            return {}


def _listed(provider: Provider, row: Mapping[str, Any]) -> ListedModel:
    methods = row.get("supportedGenerationMethods")
    kind = str(row.get("type", ""))
    name = str(row.get("id") or row.get("name") or "")
    if name.startswith(_VERTEX):
        return _of_vertex(provider, name.removeprefix(_VERTEX))
    embeds = "embedContent" in methods if isinstance(methods, list) else kind == "embedding"
    context, max_output = listed_limits(row)
    created = row.get("created")
    return ListedModel(
        id=name.removeprefix("models/"),
        provider=provider.name,
        title=str(row.get("display_name") or row.get("displayName") or ""),
        context=context,
        max_output=max_output,
        created=created if isinstance(created, int) else 0,
        generates="generateContent" in methods if isinstance(methods, list) else kind not in _NOT_CHAT,
        embeds=embeds,
        takes=listed_facts(row),
        retires=listed_retirement(row),
    )


_VERTEX = "publishers/google/models/"


def _of_vertex(provider: Provider, name: str) -> ListedModel:
    """Vertex AI lists only names, of everything that Google publishes there."""
    embeds = "embedding" in name
    return ListedModel(
        id=name, provider=provider.name, generates=name.startswith(("gemini", "gemma")) and not embeds, embeds=embeds
    )
