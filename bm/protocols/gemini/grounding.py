"""Google's search behind an answer: `groundingMetadata`, in both directions.

Its offsets count bytes of UTF-8; those of all other protocols count characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bm.chat.parts import Json, Search, Source
from bm.protocols import reading

KIND = "groundingMetadata"
METADATA = (KIND, "citationMetadata", "urlContextMetadata", "logprobsResult")
"""What a candidate says about its text, beside it."""


def decode_grounding(metadata: Any, text: str | None) -> tuple[tuple[Source, ...], Search | None]:
    """The sources that the text cites, and the search that found them; None without a search.

    `text` is the text of the answer; None if it has several parts: then the offsets cannot be converted.
    """
    if not isinstance(metadata, dict):
        return (), None
    pages = [_page(chunk) for chunk in reading.array_of(reading.member(metadata, "groundingChunks"))]
    queries = tuple(
        query for query in reading.array_of(reading.member(metadata, "webSearchQueries")) if isinstance(query, str)
    )
    cited = tuple(
        source
        for support in reading.objects_of(reading.member(metadata, "groundingSupports"))
        for source in _supported(support, pages, text)
    )
    found = tuple(page for page in pages if page is not None)
    return cited or found, Search(queries, found) if queries or found else None


def _page(chunk: Any) -> Source | None:
    for kind in ("web", "retrievedContext", "maps"):
        held = reading.object_of(reading.member(reading.object_of(chunk), kind))
        if url := reading.string_of(held.get("uri")):
            return Source(url, reading.string_of(held.get("title")))
    return None


def _supported(support: Json, pages: list[Source | None], text: str | None) -> list[Source]:
    start, end = _place(reading.object_of(support.get("segment")), text)
    indices = reading.array_of(reading.member(support, "groundingChunkIndices"))
    numbers = [n for n in indices if isinstance(n, int) and 0 <= n < len(pages)]
    named = [page for number in numbers if (page := pages[number]) is not None]
    return [Source(page.url, page.title, start=start, end=end) for page in named]


def _place(segment: Json, text: str | None) -> tuple[int, int]:
    """The segment in characters; (-1, -1) if it cannot be converted."""
    start, end = reading.member(segment, "startIndex") or 0, reading.member(segment, "endIndex")
    if text is None or not isinstance(start, int) or not isinstance(end, int) or start < 0:
        return -1, -1
    raw = text.encode("utf-8", "surrogatepass")
    first, last = (len(raw[:at].decode("utf-8", "ignore")) for at in (start, end))
    return (first, last) if first < last else (-1, -1)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


class Grounding:
    """Gathers the citations and searches of another vendor's answer, for one candidate."""

    def __init__(self) -> None:
        self._queries: list[str] = []
        self._pages: list[Json] = []
        self._supports: list[Json] = []
        self._length = 0

    def add(self, text: str, sources: Iterable[Source]) -> None:
        """The next text of the answer, and what it cites."""
        for source in sources:
            number = self._number(source)
            start, end = (source.start, source.end) if source.end > 0 else (0, len(text))
            if words := text[start:end]:
                at = self._length + _size(text[:start])
                segment = {"startIndex": at, "endIndex": at + _size(words), "text": words}
                self._supports.append({"segment": segment, "groundingChunkIndices": [number]})
        self._length += _size(text)

    def found(self, search: Search) -> None:
        """The answer searched the web."""
        self._queries += [query for query in search.queries if query not in self._queries]
        for source in search.sources:
            self._number(source)

    def _number(self, source: Source) -> int:
        page = {"web": {"uri": source.url, "title": source.title or source.url}}
        if page not in self._pages:
            self._pages.append(page)
        return self._pages.index(page)

    def metadata(self) -> Json:
        """The `groundingMetadata`; empty when nothing was searched."""
        members = {
            "webSearchQueries": self._queries,
            "groundingChunks": self._pages,
            "groundingSupports": self._supports,
        }
        return {name: rows for name, rows in members.items() if rows}
