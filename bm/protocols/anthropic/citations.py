"""Web searches and their citations, decoded from Claude's answers and encoded for Anthropic clients.

Another vendor's results are written in Claude's form with a mark of bm in place of Anthropic's encrypted content, so
that `sanitize` recognizes them and removes them before Claude, which could not decrypt them, gets the history.
"""

from __future__ import annotations

from typing import Any

from bm.chat.parts import Citation, Json, Search, Source
from bm.chat.signature import Signature, unwrap, wrap
from bm.names import ANTHROPIC
from bm.protocols.codec import IdFactory
from bm.protocols.reading import object_of, objects_of, string_of

MARK = wrap(Signature("bm", ""), "search")
"""Stands where Claude's own results hold encrypted content."""
ID_PREFIX = "srvtoolu_bm1"
"""The prefix of the ids of searches that bm wrote: a search without results has no place for the mark."""


def decode_citation(raw: Json) -> Citation:
    """A citation by Claude, with the web page or the client's search result that it cites."""
    url = string_of(raw.get("url") or raw.get("source"))
    if not url:
        return Citation(ANTHROPIC, raw)
    return Citation(ANTHROPIC, raw, (Source(url, string_of(raw.get("title")), string_of(raw.get("cited_text"))),))


def decode_search(block: Json) -> Search | None:
    """The query or the results in a block of a search; None for any other block."""
    match block:
        case {"type": "server_tool_use", "name": "web_search"}:
            query = string_of(object_of(block.get("input")).get("query"))
            return Search(queries=(query,) if query else ())
        case {"type": "web_search_tool_result", "content": content}:
            rows = [row for row in objects_of(content) if row.get("url")]
            return Search(sources=tuple(Source(string_of(row["url"]), string_of(row.get("title"))) for row in rows))
        case _:
            return None


def encode_source(source: Source) -> Json:
    """A citation of a page for a client."""
    return {
        "type": "web_search_result_location",
        "url": source.url,
        "title": source.title or source.url,
        "cited_text": source.quote,
        "encrypted_index": MARK,
    }


def encode_search(search: Search, ids: IdFactory) -> tuple[Json, Json]:
    """The two blocks for a search: its query and its results."""
    identity = f"{ID_PREFIX}{ids.new_id('')}"
    asked = {"query": " | ".join(search.queries)}
    row = {"type": "web_search_result", "encrypted_content": MARK, "page_age": None}
    found = [{**row, "url": source.url, "title": source.title or source.url} for source in search.sources]
    return (
        {"type": "server_tool_use", "id": identity, "name": "web_search", "input": asked},
        {"type": "web_search_tool_result", "tool_use_id": identity, "content": found},
    )


def is_ours(block: Json) -> bool:
    """Whether bm wrote this block of a search."""
    return string_of(block.get("id") or block.get("tool_use_id")).startswith(ID_PREFIX)


def is_our_citation(raw: Any) -> bool:
    """Whether bm wrote this citation."""
    return unwrap(string_of(object_of(raw).get("encrypted_index"))) is not None
