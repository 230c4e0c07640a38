"""Searches of the web and citations, as Chat Completions and the services like it tell of them."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.parts import Citation, Json, Opaque, Search, Source
from bm.protocols.openai_chat.content import PROTOCOL


def decode_citation(raw: Json) -> Citation:
    """An annotation. OpenRouter's have no places: they begin and end at 0."""
    held = raw.get("url_citation")
    url = held.get("url") if isinstance(held, dict) else None
    if not isinstance(held, dict) or not isinstance(url, str) or not url:
        return Citation(PROTOCOL, raw)
    start, end = held.get("start_index"), held.get("end_index")
    placed = isinstance(start, int) and isinstance(end, int) and 0 <= start < end
    place = (start, end) if placed else (-1, -1)
    return Citation(PROTOCOL, raw, (Source(url, _word(held.get("title")), _word(held.get("content")), *place),))


def encode_citation(cited: Citation, start: int, end: int) -> list[Json]:
    """The annotations for a citation on a text that stands from `start` to `end` in the content, in characters."""
    if cited.protocol == PROTOCOL:
        return [cited.raw] if isinstance(cited.raw.get("url_citation"), dict) else []
    return [_annotation(source, start, end) for source in cited.sources]


def _annotation(source: Source, start: int, end: int) -> Json:
    if source.end > 0:
        start, end = start + source.start, min(start + source.end, end)
    inner = {"url": source.url, "title": source.title, "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": inner}


def executed_tool(tool: Json) -> Opaque:
    """A tool that Groq ran itself (console.groq.com, "Built-in tools"): a search with what it found, or code."""
    given = _object(tool.get("arguments"))
    results = tool.get("search_results")
    rows = results.get("results") if isinstance(results, dict) else None
    found = tuple(
        Source(row["url"], _word(row.get("title")), _word(row.get("content")))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict) and isinstance(row.get("url"), str)
    )
    query = given.get("query")
    searched = tool.get("type") in ("search", "browser_search", "web_search") or found
    search = Search((query,) if isinstance(query, str) and query else (), found) if searched else None
    code = given.get("code")
    shown = [text for text in (code, tool.get("output")) if isinstance(text, str) and text] if not searched else []
    return Opaque(PROTOCOL, "executed_tool", tool, "\n".join(f"```\n{text}\n```" for text in shown), search)


def _object(value: Any) -> Json:
    try:
        decoded = msgspec.json.decode(value) if isinstance(value, str) else value
    except msgspec.DecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""
