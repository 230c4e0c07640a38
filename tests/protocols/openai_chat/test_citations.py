from __future__ import annotations

import pytest

from bm.chat.parts import Citation, Json, Search, Source
from bm.protocols.openai_chat.citations import decode_citation, encode_citation, executed_tool

OWN: Json = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}


def note(title: str, start: int, end: int) -> Json:
    inner = {"url": "u", "title": title, "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": inner}


@pytest.mark.parametrize(
    ("cited", "expected"),
    [
        (Citation("openai-chat", OWN), [OWN]),
        (Citation("anthropic", {}, (Source("u", "t", "c"),)), [note("t", 3, 9)]),
        (
            Citation("gemini", {}, (Source("u", start=1, end=4), Source("u", start=2, end=90))),
            [note("", 4, 7), note("", 5, 9)],
        ),
        (Citation("anthropic", {"type": "page_location"}), []),
    ],
)
def test_citations_of_pages_become_annotations(cited: Citation, expected: list[Json]) -> None:
    assert encode_citation(cited, 3, 9) == expected


@pytest.mark.parametrize(
    ("raw", "sources"),
    [
        (OWN, (Source("u", "t", start=0, end=1),)),
        (note("t", 0, 0), (Source("u", "t"),)),
        ({"type": "file_citation"}, ()),
        ({"type": "url_citation", "url_citation": {"title": "t"}}, ()),
    ],
)
def test_annotations_name_their_page(raw: Json, sources: tuple[Source, ...]) -> None:
    assert decode_citation(raw) == Citation("openai-chat", raw, sources)


@pytest.mark.parametrize(
    ("tool", "search", "summary"),
    [
        (
            {
                "type": "search",
                "arguments": '{"query": "kiwi"}',
                "search_results": {"results": [{"url": "u", "title": "t", "content": "c"}, {"title": "none"}]},
            },
            Search(("kiwi",), (Source("u", "t", "c"),)),
            "",
        ),
        ({"type": "python", "arguments": {"code": "1+1"}, "output": "2"}, None, "```\n1+1\n```\n```\n2\n```"),
        ({"type": "search", "arguments": "{cut", "output": "x"}, Search(), ""),
    ],
)
def test_what_groq_ran_itself_is_a_search_or_code(tool: Json, search: Search | None, summary: str) -> None:
    part = executed_tool(tool)
    assert (part.search, part.summary) == (search, summary)
