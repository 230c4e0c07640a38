"""Searches of the web and citations in OpenAI's two APIs."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Citation, Json, Search, Source
from bm.names import CHAT, RESPONSES
from bm.protocols.openai.citations import (
    decode_citation,
    decode_search,
    encode_citation,
    encode_search,
    executed_tool,
)

OWN: Json = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}


def chat_note(title: str, start: int, end: int) -> Json:
    inner = {"url": "u", "title": title, "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": inner}


@pytest.mark.parametrize(
    ("cited", "expected"),
    [
        (Citation("openai-chat", OWN), [OWN]),
        (Citation("anthropic", {}, (Source("u", "t", "c"),)), [chat_note("t", 3, 9)]),
        (
            Citation("gemini", {}, (Source("u", start=1, end=4), Source("u", start=2, end=90))),
            [chat_note("u", 4, 7), chat_note("u", 5, 9)],
        ),
        (Citation("anthropic", {"type": "page_location"}), []),
    ],
)
def test_citations_of_pages_become_annotations(cited: Citation, expected: list[Json]) -> None:
    assert encode_citation(cited, CHAT, 3, 9) == expected


@pytest.mark.parametrize(
    ("raw", "sources"),
    [
        (OWN, (Source("u", "t", start=0, end=1),)),
        (chat_note("t", 0, 0), (Source("u", "t"),)),
        ({"type": "file_citation"}, ()),
        ({"type": "url_citation", "url_citation": {"title": "t"}}, ()),
    ],
)
def test_annotations_name_their_page(raw: Json, sources: tuple[Source, ...]) -> None:
    assert decode_citation(raw, CHAT) == Citation("openai-chat", raw, sources)


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


PAGE = "https://kiwi.example/"


def note(start: int, end: int, title: str = "Kiwi") -> Json:
    return {"type": "url_citation", "url": PAGE, "title": title, "start_index": start, "end_index": end}


@pytest.mark.parametrize(
    ("raw", "sources"),
    [
        (note(7, 24), (Source(PAGE, "Kiwi", start=7, end=24),)),
        (note(7, 7), (Source(PAGE, "Kiwi"),)),
        (note(-3, 7), (Source(PAGE, "Kiwi"),)),
        ({"type": "url_citation", "url": PAGE}, (Source(PAGE),)),
        ({"type": "url_citation", "url": PAGE, "title": None, "start_index": 0}, (Source(PAGE),)),
        ({"type": "url_citation", "url": ""}, ()),
        ({"type": "url_citation", "url": 3}, ()),
        ({"type": "file_citation", "file_id": "f", "url": PAGE}, ()),
    ],
)
def test_an_annotation_names_its_page_and_its_words(raw: Json, sources: tuple[Source, ...]) -> None:
    assert decode_citation(raw, RESPONSES) == Citation("openai-responses", raw, sources)


@pytest.mark.parametrize(
    "raw",
    [
        note(0, 4),
        {"type": "file_citation", "file_id": "f", "filename": "a.txt", "index": 3},
        {
            "type": "container_file_citation",
            "container_id": "c",
            "file_id": "f",
            "filename": "a.txt",
            "start_index": 0,
            "end_index": 4,
        },
        {"type": "file_path", "file_id": "f", "index": 3},
    ],
    ids=lambda raw: raw["type"],
)
def test_an_annotation_of_openais_own_is_written_as_it_came_if_nothing_is_missing(raw: Json) -> None:
    assert encode_citation(decode_citation(raw, RESPONSES), RESPONSES, 0, 9) == [raw]
    for missing in raw:
        cut = {name: value for name, value in raw.items() if name != missing}
        assert encode_citation(Citation("openai-responses", cut), RESPONSES, 0, 9) == []


@pytest.mark.parametrize(
    ("sources", "written"),
    [
        ((Source(PAGE, "Kiwi", "90 g"),), [note(0, 9)]),
        ((Source(PAGE),), [note(0, 9, title=PAGE)]),
        ((Source(PAGE, "Kiwi", start=2, end=5), Source(PAGE, "Kiwi", start=4, end=90)), [note(2, 5), note(4, 9)]),
        ((), []),
    ],
)
def test_a_citation_of_another_vendor_bounds_words_of_the_text(
    sources: tuple[Source, ...], written: list[Json]
) -> None:
    assert encode_citation(Citation("anthropic", {"type": "other"}, sources), RESPONSES, 0, 9) == written


@pytest.mark.parametrize(
    ("action", "search", "said"),
    [
        (
            {"type": "search", "query": "kiwi", "sources": [{"type": "url", "url": PAGE}]},
            Search(("kiwi",), (Source(PAGE),)),
            "Searched the web for: kiwi",
        ),
        (
            {"type": "search", "query": "kiwi", "queries": ["kiwi", "", "kiwi", 3, "weight"]},
            Search(("kiwi", "weight")),
            "Searched the web for: kiwi; weight",
        ),
        ({"type": "open_page", "url": PAGE}, Search(), f"Read {PAGE}"),
        ({"type": "search", "sources": [None, {"title": "Kiwi"}, {"url": 3}]}, Search(), ""),
        ({"type": "search", "sources": "none"}, Search(), ""),
        (None, Search(), ""),
    ],
)
def test_openais_search_has_a_summary_for_others(action: Any, search: Search, said: str) -> None:
    item = {"id": "ws_1", "type": "web_search_call", "action": action}
    part = decode_search(item)
    assert (part.protocol, part.kind, part.raw) == ("openai-responses", "web_search_call", item)
    assert (part.search, part.summary) == (search, said)


def test_a_search_of_another_vendor_becomes_an_item() -> None:
    item = encode_search(Search(("kiwi", "weight"), (Source(PAGE),)), "ws_1")
    assert item == {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "kiwi", "queries": ["kiwi", "weight"]},
    }
    assert decode_search(item).search == Search(("kiwi", "weight"))


def test_results_alone_are_no_search() -> None:
    assert encode_search(Search((), (Source(PAGE),)), "ws_1") is None
