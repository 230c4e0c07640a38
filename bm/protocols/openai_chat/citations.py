"""Searches of the web and citations, as Chat Completions and the services like it tell of them."""

from __future__ import annotations

from bm.chat.parts import Citation, Json, Opaque, Search, Source
from bm.protocols.openai_chat.content import PROTOCOL
from bm.protocols.reading import json_of, object_of, objects_of, string_of


def decode_citation(raw: Json) -> Citation:
    """An annotation. OpenRouter's have no places: they begin and end at 0."""
    held = object_of(raw.get("url_citation"))
    url = string_of(held.get("url"))
    if not url:
        return Citation(PROTOCOL, raw)
    start, end = held.get("start_index"), held.get("end_index")
    placed = isinstance(start, int) and isinstance(end, int) and 0 <= start < end
    place = (start, end) if placed else (-1, -1)
    return Citation(PROTOCOL, raw, (Source(url, string_of(held.get("title")), string_of(held.get("content")), *place),))


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
    arguments = tool.get("arguments")
    given = object_of(json_of(arguments) if isinstance(arguments, str) else arguments)
    rows = objects_of(object_of(tool.get("search_results")).get("results"))
    found = tuple(
        Source(row["url"], string_of(row.get("title")), string_of(row.get("content")))
        for row in rows
        if isinstance(row.get("url"), str)
    )
    query = string_of(given.get("query"))
    searched = tool.get("type") in ("search", "browser_search", "web_search") or found
    search = Search((query,) if query else (), found) if searched else None
    code = given.get("code")
    shown = [text for text in (code, tool.get("output")) if isinstance(text, str) and text] if not searched else []
    return Opaque(PROTOCOL, "executed_tool", tool, "\n".join(f"```\n{text}\n```" for text in shown), search)
