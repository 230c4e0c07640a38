"""Searches of the web and citations, as the Responses API tells of them."""

from __future__ import annotations

from typing import Any, Final

from bm.chat.parts import Citation, Json, Opaque, Search, Source

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
    return Citation(PROTOCOL, raw, (Source(url, _word(raw.get("title")), "", *place),))


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
    action = item.get("action")
    asked: Json = action if isinstance(action, dict) else {}
    rows = asked.get("queries") if isinstance(asked.get("queries"), list) else [asked.get("query")]
    queries = tuple(dict.fromkeys(row for row in rows or () if isinstance(row, str) and row))
    pages = asked.get("sources")
    found = tuple(
        Source(page["url"], _word(page.get("title")))
        for page in (pages if isinstance(pages, list) else ())
        if isinstance(page, dict) and isinstance(page.get("url"), str)
    )
    url = asked.get("url")
    said = f"Searched the web for: {'; '.join(queries)}" if queries else f"Read {url}" if isinstance(url, str) else ""
    return Opaque(PROTOCOL, "web_search_call", item, said, Search(queries, found))


def encode_search(search: Search, item_id: str) -> Json | None:
    """The item of a search that another vendor ran; None for what only tells its results."""
    if not search.queries:
        return None
    action = {"type": "search", "query": search.queries[0], "queries": list(search.queries)}
    return {"id": item_id, "type": "web_search_call", "status": "completed", "action": action}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""
