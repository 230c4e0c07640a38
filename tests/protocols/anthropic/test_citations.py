"""Searches and citations in Claude's form: Claude's own, and those of other vendors with bm's mark."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Citation, Json, Search, Source
from bm.protocols.anthropic.citations import (
    MARK,
    decode_citation,
    decode_search,
    encode_search,
    encode_source,
    is_our_citation,
    is_ours,
)
from bm.protocols.codec import IdFactory

PAGE = "https://kiwi.example/"
OWN: Json = {
    "type": "web_search_result_location",
    "url": PAGE,
    "title": "Kiwi",
    "cited_text": "90 g",
    "encrypted_index": "RW5jcnlwdGVk",
}
IDS = IdFactory(new_id=lambda prefix: f"{prefix}7", now=0)


@pytest.mark.parametrize(
    ("raw", "sources"),
    [
        (OWN, (Source(PAGE, "Kiwi", "90 g"),)),
        ({"type": "search_result_location", "source": PAGE, "title": None}, (Source(PAGE),)),
        ({"type": "web_search_result_location", "url": "", "source": ""}, ()),
        ({"type": "web_search_result_location", "url": 3}, ()),
        ({"type": "page_location", "document_index": 0, "cited_text": "90 g"}, ()),
    ],
)
def test_a_citation_is_kept_with_the_page_it_names(raw: Json, sources: tuple[Source, ...]) -> None:
    assert decode_citation(raw) == Citation("anthropic", raw, sources)


@pytest.mark.parametrize(
    ("source", "title"), [(Source(PAGE, "Kiwi", "90 g", 3, 9), "Kiwi"), (Source(PAGE, "", "90 g"), PAGE)]
)
def test_a_source_of_another_vendor_is_a_citation_with_a_mark(source: Source, title: str) -> None:
    written = encode_source(source)
    assert written == OWN | {"title": title, "encrypted_index": MARK}
    assert decode_citation(written).sources == (Source(PAGE, title, "90 g"),)


@pytest.mark.parametrize(
    ("block", "search"),
    [
        ({"type": "server_tool_use", "name": "web_search", "input": {"query": "kiwi"}}, Search(("kiwi",))),
        ({"type": "server_tool_use", "name": "web_search", "input": {}}, Search()),
        ({"type": "server_tool_use", "name": "web_search", "input": None}, Search()),
        ({"type": "server_tool_use", "name": "web_search", "input": {"query": ["kiwi"]}}, Search()),
        ({"type": "server_tool_use", "name": "code_execution", "input": {"query": "kiwi"}}, None),
        (
            {"type": "web_search_tool_result", "content": [{"url": PAGE, "title": "Kiwi"}, {"title": "x"}, "x"]},
            Search(sources=(Source(PAGE, "Kiwi"),)),
        ),
        ({"type": "web_search_tool_result", "content": {"error_code": "max_uses_exceeded"}}, Search()),
        ({"type": "web_search_tool_result"}, None),
        ({"type": "text", "text": "kiwi"}, None),
    ],
)
def test_what_a_block_tells_of_a_search(block: Json, search: Search | None) -> None:
    assert decode_search(block) == search


def test_a_search_of_another_vendor_is_a_call_and_its_result() -> None:
    call, result = encode_search(Search(("kiwi", "weight"), (Source(PAGE, "Kiwi"), Source("https://b.example/"))), IDS)
    assert call["id"] == result["tool_use_id"]
    assert decode_search(call) == Search(("kiwi | weight",))
    assert decode_search(result) == Search(
        sources=(Source(PAGE, "Kiwi"), Source("https://b.example/", "https://b.example/"))
    )
    assert {row["encrypted_content"] for row in result["content"]} == {MARK}
    assert {row["page_age"] for row in result["content"]} == {None}


@pytest.mark.parametrize("found", [(), (Source(PAGE),)], ids=["nothing-found", "found"])
def test_both_blocks_of_a_search_are_known_again(found: tuple[Source, ...]) -> None:
    assert all(is_ours(block) for block in encode_search(Search(("kiwi",), found), IDS))


@pytest.mark.parametrize(
    "block", [{"id": "srvtoolu_01A"}, {"tool_use_id": "srvtoolu_01A"}, {"id": "toolu_1"}, {"id": None}, {"id": 3}, {}]
)
def test_claudes_own_blocks_are_not_taken_for_them(block: Json) -> None:
    assert not is_ours(block)


@pytest.mark.parametrize(
    ("raw", "ours"),
    [(encode_source(Source(PAGE)), True), (OWN, False), ({"encrypted_index": None}, False), ("x", False)],
)
def test_a_citation_with_the_mark_is_known_again(raw: Any, ours: bool) -> None:
    assert is_our_citation(raw) is ours
