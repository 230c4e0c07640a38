"""Puts media that a request names by URL into the request, for models that fetch nothing themselves."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Media, Part, ToolResult
from bm.chat.repair import media_of
from bm.chat.request import ChatRequest, Turn
from bm.errors import Failure, RequestError
from bm.names import ProtocolName
from bm.protocols.gemini.content import fetchable
from bm.protocols.media import kind_of_type
from bm.upstream.fetch import FetchedMedia, NotFetched

MAX_FETCHES = 20

Fetch = Callable[[str], Awaitable[FetchedMedia]]


def wanted(request: ChatRequest, protocol: ProtocolName, capabilities: Capabilities) -> list[str]:
    """The URLs that the target cannot read itself."""
    named = [media for media in media_of(request) if media.url.startswith(("http://", "https://"))]
    unread = [media.url for media in named if not _reads(media, protocol, capabilities)]
    return list(dict.fromkeys(unread))


def _reads(media: Media, protocol: ProtocolName, capabilities: Capabilities) -> bool:
    """Whether the target follows the URL itself."""
    if protocol == "gemini":
        return fetchable(media.url)
    if protocol == "openai-chat" and media.kind == "document":
        # Chat Completions has no member for a document's URL.
        return False
    return capabilities.image_urls


async def inlined(request: ChatRequest, urls: list[str], fetch: Fetch) -> ChatRequest:
    """The request with what the URLs held in their place.

    Raises:
        RequestError: one of them cannot be had; names it and the reason.
    """
    if len(urls) > MAX_FETCHES:
        message = (
            f"the request names {len(urls)} URLs; this model fetches none itself, and bm no more than {MAX_FETCHES}"
        )
        raise RequestError(Failure(kind="bad_request", message=message))
    fetched = await asyncio.gather(*(_fetched(url, fetch) for url in urls))
    found = dict(zip(urls, fetched, strict=True))
    return msgspec.structs.replace(request, turns=tuple(_turn(turn, found) for turn in request.turns))


async def _fetched(url: str, fetch: Fetch) -> FetchedMedia:
    try:
        return await fetch(url)
    except NotFetched as error:
        message = f"{url} cannot be fetched for a model that does not fetch itself: {error}; send the data instead"
        raise RequestError(Failure(kind="bad_request", message=message)) from error


def _turn(turn: Turn, found: dict[str, FetchedMedia]) -> Turn:
    return Turn(turn.role, tuple(_part(part, found) for part in turn.parts))


def _part(part: Part, found: dict[str, FetchedMedia]) -> Part:
    if isinstance(part, ToolResult):
        inner = tuple(_filled(each, found) if isinstance(each, Media) else each for each in part.parts)
        return msgspec.structs.replace(part, parts=inner)
    return _filled(part, found) if isinstance(part, Media) else part


def _filled(media: Media, found: dict[str, FetchedMedia]) -> Media:
    held = found.get(media.url)
    if held is None:
        return media
    if held.mime == "text/plain":
        text = held.data.decode("utf-8", "replace")
        return msgspec.structs.replace(media, kind="document", mime=held.mime, text=text, url="")
    data = base64.b64encode(held.data).decode()
    return msgspec.structs.replace(media, kind=kind_of_type(held.mime), mime=held.mime, data=data, url="")
