"""Searches of the web and citations, as the Responses API tells of them."""

from __future__ import annotations

from typing import Final

from bm.chat.parts import Citation, Json, Opaque, Search, Source
from bm.protocols.reading import object_of, objects_of, string_of

PROTOCOL: Final = "openai-responses"

_NEEDS = {
    "url_citation": {"url", "title", "start_index", "end_index"},
    "file_citation": {"file_id", "filename", "index"},
    "container_file_citation": {"container_id", "file_id", "filename", "start_index", "end_index"},
    "file_path": {"file_id", "index"},
}
"""The kinds of citations of OpenAI's, and what each must hold."""


def decode_citation(raw: Json) -> Citation:
    """An annotation of an answer's text."""
    url = raw.get("url")
    if raw.get("type") != "url_citation" or not isinstance(url, str) or not url:
        return Citation(PROTOCOL, raw)
    start, end = raw.get("start_index"), raw.get("end_index")
    place = (start, end) if isinstance(start, int) and isinstance(end, int) and 0 <= start < end else (-1, -1)
    return Citation(PROTOCOL, raw, (Source(url, string_of(raw.get("title")), "", *place),))


def encode_citation(cited: Citation, length: int) -> list[Json]:
    """The annotations for a citation on a text of `length` characters; OpenAI's own as they are, if complete."""
    if cited.protocol == PROTOCOL:
        needs = _NEEDS.get(str(cited.raw.get("type")))
        return [cited.raw] if needs is not None and needs <= cited.raw.keys() else []
    return [_annotation(source, length) for source in cited.sources]


def _annotation(source: Source, length: int) -> Json:
    start, end = (source.start, min(source.end, length)) if source.end > 0 else (0, length)
    named = {"url": source.url, "title": source.title or source.url}
    return {"type": "url_citation", **named, "start_index": start, "end_index": end}


def decode_search(item: Json) -> Opaque:
    """A search that OpenAI ran, with its words for models of other vendors."""
    asked = object_of(item.get("action"))
    rows = asked["queries"] if isinstance(asked.get("queries"), list) else [asked.get("query")]
    queries = tuple(dict.fromkeys(query for row in rows if (query := string_of(row))))
    pages = [page for page in objects_of(asked.get("sources")) if isinstance(page.get("url"), str)]
    found = tuple(Source(page["url"], string_of(page.get("title"))) for page in pages)
    url = asked.get("url")
    said = f"Searched the web for: {'; '.join(queries)}" if queries else f"Read {url}" if isinstance(url, str) else ""
    return Opaque(PROTOCOL, "web_search_call", item, said, Search(queries, found))


def encode_search(search: Search, item_id: str) -> Json | None:
    """The item of a search that another vendor ran; None for what only tells its results."""
    if not search.queries:
        return None
    action = {"type": "search", "query": search.queries[0], "queries": list(search.queries)}
    return {"id": item_id, "type": "web_search_call", "status": "completed", "action": action}
