"""Web searches and citations in OpenAI's two APIs and compatible services."""

from __future__ import annotations

from bm.chat.parts import Citation, Json, Opaque, Search, Source
from bm.names import CHAT, RESPONSES, ProtocolName
from bm.protocols.reading import json_of, object_of, objects_of, string_of

_REQUIRED = {
    "url_citation": {"url", "title", "start_index", "end_index"},
    "file_citation": {"file_id", "filename", "index"},
    "container_file_citation": {"container_id", "file_id", "filename", "start_index", "end_index"},
    "file_path": {"file_id", "index"},
}
"""The citations of the Responses API, and the members that each must have."""


def decode_citation(raw: Json, protocol: ProtocolName) -> Citation:
    """An annotation of a text. Chat Completions nests its members; OpenRouter's begin and end at 0."""
    held = object_of(raw.get("url_citation")) if protocol == CHAT else raw
    url = string_of(held.get("url"))
    if not url or raw.get("type", "url_citation") != "url_citation":
        return Citation(protocol, raw)
    start, end = held.get("start_index"), held.get("end_index")
    placed = isinstance(start, int) and isinstance(end, int) and 0 <= start < end
    place = (start, end) if placed else (-1, -1)
    return Citation(protocol, raw, (Source(url, string_of(held.get("title")), string_of(held.get("content")), *place),))


def encode_citation(cited: Citation, protocol: ProtocolName, start: int, end: int) -> list[Json]:
    """The annotations for a citation on a text from `start` to `end`, in characters; the protocol's own if complete."""
    if cited.protocol == protocol == CHAT:
        return [cited.raw] if isinstance(cited.raw.get("url_citation"), dict) else []
    if cited.protocol == protocol:
        required = _REQUIRED.get(str(cited.raw.get("type")))
        return [cited.raw] if required is not None and required <= cited.raw.keys() else []
    notes = [_annotation(source, start, end) for source in cited.sources]
    return [
        {"type": "url_citation", "url_citation": note} if protocol == CHAT else {"type": "url_citation", **note}
        for note in notes
    ]


def _annotation(source: Source, start: int, end: int) -> Json:
    if source.end > 0:
        start, end = start + source.start, min(start + source.end, end)
    return {"url": source.url, "title": source.title or source.url, "start_index": start, "end_index": end}


def decode_search(item: Json) -> Opaque:
    """A search that OpenAI ran, with a summary for models of other vendors."""
    asked = object_of(item.get("action"))
    rows = asked["queries"] if isinstance(asked.get("queries"), list) else [asked.get("query")]
    queries = tuple(dict.fromkeys(query for row in rows if (query := string_of(row))))
    url = string_of(asked.get("url"))
    summary = f"Searched the web for: {'; '.join(queries)}" if queries else f"Read {url}" if url else ""
    return Opaque(RESPONSES, "web_search_call", item, summary, Search(queries, _found(asked.get("sources"))))


def _found(rows: object) -> tuple[Source, ...]:
    pages = [page for page in objects_of(rows) if isinstance(page.get("url"), str)]
    return tuple(Source(page["url"], string_of(page.get("title")), string_of(page.get("content"))) for page in pages)


def encode_search(search: Search, item_id: str) -> Json | None:
    """The item of a search that another vendor ran; None for what only reports its results."""
    if not search.queries:
        return None
    action = {"type": "search", "query": search.queries[0], "queries": list(search.queries)}
    return {"id": item_id, "type": "web_search_call", "status": "completed", "action": action}


def executed_tool(tool: Json) -> Opaque:
    """A tool that Groq ran itself (console.groq.com, "Built-in tools"): a search with what it found, or code."""
    arguments = tool.get("arguments")
    given = object_of(json_of(arguments) if isinstance(arguments, str) else arguments)
    found = _found(object_of(tool.get("search_results")).get("results"))
    if found or tool.get("type") in ("search", "browser_search", "web_search"):
        query = string_of(given.get("query"))
        return Opaque(CHAT, "executed_tool", tool, search=Search((query,) if query else (), found))
    shown = [text for value in (given.get("code"), tool.get("output")) if (text := string_of(value))]
    return Opaque(CHAT, "executed_tool", tool, "\n".join(f"```\n{text}\n```" for text in shown))
