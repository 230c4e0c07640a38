"""Fetches media that a request names by URL, for models that do not fetch them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Media
from bm.chat.repair import media_of, replace_media
from bm.chat.request import ChatRequest
from bm.errors import Failure, RequestError
from bm.names import ProtocolName
from bm.protocols.gemini.content import fetchable
from bm.protocols.media import kind_of_type
from bm.upstream.fetch import FetchedMedia, NotFetched

MAX_FETCHES = 20
"""URLs that bm fetches for one request."""

Fetch = Callable[[str], Awaitable[FetchedMedia]]


def urls_to_fetch(request: ChatRequest, protocol: ProtocolName, capabilities: Capabilities) -> list[str]:
    """The URLs in the request that the target does not fetch itself."""
    named = [media for media in media_of(request) if media.url.startswith(("http://", "https://"))]
    return list(dict.fromkeys(media.url for media in named if not _fetches(media, protocol, capabilities)))


def _fetches(media: Media, protocol: ProtocolName, capabilities: Capabilities) -> bool:
    if protocol == "gemini":
        return fetchable(media.url)
    if protocol == "openai-chat" and media.kind == "document":
        # Chat Completions has no member for a document's URL.
        return False
    return capabilities.image_urls


async def inlined(request: ChatRequest, urls: Sequence[str], fetch: Fetch) -> ChatRequest:
    """The request with the content of the URLs in their place.

    Raises:
        RequestError: a URL cannot be fetched, or there are too many.
    """
    if len(urls) > MAX_FETCHES:
        message = (
            f"the request names {len(urls)} URLs; this model fetches none itself, and bm no more than {MAX_FETCHES}"
        )
        raise RequestError(Failure(kind="bad_request", message=message))
    fetched = dict(zip(urls, await asyncio.gather(*(_fetched(url, fetch) for url in urls)), strict=True))
    return replace_media(request, lambda media: _filled(media, fetched.get(media.url)))


async def _fetched(url: str, fetch: Fetch) -> FetchedMedia:
    try:
        return await fetch(url)
    except NotFetched as error:
        message = f"{url} cannot be fetched for a model that does not fetch itself: {error}; send the data instead"
        raise RequestError(Failure(kind="bad_request", message=message)) from error


def _filled(media: Media, content: FetchedMedia | None) -> Media:
    if content is None:
        return media
    if content.mime == "text/plain":
        text = content.data.decode("utf-8", "replace")
        return msgspec.structs.replace(media, kind="document", mime=content.mime, text=text, url="")
    data = base64.b64encode(content.data).decode()
    return msgspec.structs.replace(media, kind=kind_of_type(content.mime), mime=content.mime, data=data, url="")
