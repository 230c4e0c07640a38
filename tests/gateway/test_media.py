"""Media that a request names by URL, fetched for models that do not fetch them."""

from __future__ import annotations

import base64

import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Media, Part, Text, ToolResult
from bm.chat.request import ChatRequest, Turn
from bm.errors import RequestError
from bm.gateway.media import MAX_FETCHES, inlined, urls_to_fetch
from bm.names import ProtocolName
from bm.upstream.fetch import FetchedMedia, NotFetched

PICTURE = Media(kind="image", url="https://pictures.example/cat.png")
PAPER = Media(kind="document", url="https://papers.example/paper.pdf")
INLINE = Media(kind="image", mime="image/png", data="AAAA")
FILE = Media(kind="image", file_id="file_1")
DATA = Media(kind="image", url="data:image/png;base64,AAAA")
GOOGLES = Media(kind="image", url="https://generativelanguage.googleapis.com/v1beta/files/abc")


def request(*parts: Part) -> ChatRequest:
    return ChatRequest(protocol="anthropic", model="m", turns=(Turn("user", parts),))


@pytest.mark.parametrize(
    ("protocol", "reads_urls", "urls"),
    [
        ("openai-chat", True, [PAPER.url]),
        ("openai-chat", False, [PICTURE.url, PAPER.url]),
        ("anthropic", True, []),
        ("anthropic", False, [PICTURE.url, PAPER.url]),
    ],
)
def test_the_urls_that_a_target_does_not_fetch(protocol: ProtocolName, reads_urls: bool, urls: list[str]) -> None:
    asked = request(Text("look"), PICTURE, PAPER, INLINE, FILE, DATA, PICTURE)
    assert urls_to_fetch(asked, protocol, Capabilities(image_urls=reads_urls)) == urls


def test_media_in_tool_results_counts() -> None:
    asked = request(ToolResult(call_id="1", parts=(Text("here"), PICTURE)))
    assert urls_to_fetch(asked, "openai-chat", Capabilities(image_urls=False)) == [PICTURE.url]


def test_gemini_fetches_its_own_files() -> None:
    assert urls_to_fetch(request(GOOGLES), "gemini", Capabilities()) == []


async def fetch(url: str) -> FetchedMedia:
    """The content of a few URLs."""
    found = {
        PICTURE.url: FetchedMedia("image/png", b"pixels"),
        PAPER.url: FetchedMedia("application/pdf", b"%PDF"),
        "https://notes.example/a.txt": FetchedMedia("text/plain", b"plain words"),
    }
    if url not in found:
        raise NotFetched("its server answered 404")
    return found[url]


async def test_the_fetched_content_replaces_the_url() -> None:
    note = Media(kind="document", url="https://notes.example/a.txt")
    asked = request(Text("look"), PICTURE, ToolResult(call_id="1", parts=(Text("here"), PAPER)), note, INLINE)
    filled = await inlined(asked, [PICTURE.url, PAPER.url, note.url], fetch)
    first, picture, result, text, inline = filled.turns[0].parts
    assert first == Text("look") and inline == INLINE
    assert picture == Media(kind="image", mime="image/png", data=base64.b64encode(b"pixels").decode())
    assert text == Media(kind="document", mime="text/plain", text="plain words")
    assert isinstance(result, ToolResult)
    assert result.parts[1] == Media(kind="document", mime="application/pdf", data=base64.b64encode(b"%PDF").decode())


async def test_a_url_that_cannot_be_fetched_is_reported_with_the_remedy() -> None:
    with pytest.raises(RequestError) as caught:
        await inlined(request(PICTURE), ["https://gone.example/x.png"], fetch)
    words = caught.value.failure.message
    assert "https://gone.example/x.png" in words and "404" in words and "send the data" in words


async def test_the_number_of_urls_is_limited() -> None:
    with pytest.raises(RequestError) as caught:
        await inlined(request(PICTURE), [PICTURE.url] * (MAX_FETCHES + 1), fetch)
    assert str(MAX_FETCHES) in caught.value.failure.message
