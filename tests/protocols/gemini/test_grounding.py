"""`groundingMetadata`, read for other clients and written for Gemini's."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Json, Search, Source
from bm.protocols.gemini.grounding import Grounding, decode_grounding

TEXT = "Größe: Kiwis weigh 90 g."
PAGE, OTHER = "https://kiwi.example/", "https://fruit.example/"
CHUNKS = [{"web": {"uri": PAGE, "title": "Kiwi"}}, {"web": {"uri": OTHER}}]


def grounded(start: Any = 9, end: Any = 26, numbers: Any = (0,)) -> Json:
    """Metadata whose support lies between these bytes and names these chunks."""
    segment = {"startIndex": start, "endIndex": end}
    support = {"segment": segment, "groundingChunkIndices": list(numbers)}
    return {"webSearchQueries": ["kiwi"], "groundingChunks": CHUNKS, "groundingSupports": [support]}


FOUND = Search(("kiwi",), (Source(PAGE, "Kiwi"), Source(OTHER)))


@pytest.mark.parametrize(
    ("metadata", "cited"),
    [
        (grounded(), (Source(PAGE, "Kiwi", start=7, end=24),)),
        (grounded(start=None), (Source(PAGE, "Kiwi", start=0, end=24),)),
        (grounded(end=900), (Source(PAGE, "Kiwi", start=7, end=24),)),
        (grounded(end=7), (Source(PAGE, "Kiwi"),)),
        (grounded(start=900, end=901), (Source(PAGE, "Kiwi"),)),
        (grounded(start=-9), (Source(PAGE, "Kiwi"),)),
        (grounded(end=None), (Source(PAGE, "Kiwi"),)),
        (grounded(start="9"), (Source(PAGE, "Kiwi"),)),
        (grounded(numbers=(1, 0)), (Source(OTHER, start=7, end=24), Source(PAGE, "Kiwi", start=7, end=24))),
    ],
)
def test_bytes_become_characters(metadata: Json, cited: tuple[Source, ...]) -> None:
    assert decode_grounding(metadata, TEXT) == (cited, FOUND)


def test_a_text_in_several_parts_has_no_offsets() -> None:
    assert decode_grounding(grounded(), None) == ((Source(PAGE, "Kiwi"),), FOUND)


@pytest.mark.parametrize("numbers", [(), (7,), (-1,), ("0",), (None,)])
def test_what_was_found_is_cited_where_no_support_names_it(numbers: tuple[Any, ...]) -> None:
    assert decode_grounding(grounded(numbers=numbers), TEXT) == (FOUND.sources, FOUND)


def test_snake_case_is_read_too() -> None:
    metadata = {"web_search_queries": ["kiwi"], "grounding_chunks": CHUNKS[:1]}
    assert decode_grounding(metadata, TEXT) == ((Source(PAGE, "Kiwi"),), Search(("kiwi",), (Source(PAGE, "Kiwi"),)))


@pytest.mark.parametrize("kind", ["web", "retrievedContext", "retrieved_context", "maps"])
def test_a_chunk_is_a_page_whatever_found_it(kind: str) -> None:
    cited, _ = decode_grounding({"groundingChunks": [{kind: {"uri": PAGE, "title": "Kiwi"}}]}, TEXT)
    assert cited == (Source(PAGE, "Kiwi"),)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        "x",
        {},
        {"webSearchQueries": [], "searchEntryPoint": {"renderedContent": "<p>"}},
        {"webSearchQueries": "kiwi", "groundingChunks": {}, "groundingSupports": ["x"]},
        {"groundingChunks": [None, {}, {"web": None}, {"web": {"title": "Kiwi"}}, {"web": {"uri": ""}}]},
    ],
)
def test_where_nothing_was_searched_there_is_nothing(metadata: Any) -> None:
    assert decode_grounding(metadata, TEXT) == ((), None)


def test_geminis_metadata_is_written_as_it_was_read() -> None:
    cited, search = decode_grounding(grounded(numbers=(0, 1)), TEXT)
    grounding = Grounding()
    assert search is not None
    grounding.found(search)
    grounding.add(TEXT, cited)
    segment = {"startIndex": 9, "endIndex": 26, "text": "Kiwis weigh 90 g."}
    assert grounding.metadata() == {
        "webSearchQueries": ["kiwi"],
        "groundingChunks": [CHUNKS[0], {"web": {"uri": OTHER, "title": OTHER}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [number]} for number in (0, 1)],
    }


@pytest.mark.parametrize(
    ("source", "before", "segment"),
    [
        (Source(PAGE), 0, {"startIndex": 0, "endIndex": 26, "text": TEXT}),
        (Source(PAGE), 10, {"startIndex": 10, "endIndex": 36, "text": TEXT}),
        (Source(PAGE, start=0, end=5), 10, {"startIndex": 10, "endIndex": 17, "text": "Größe"}),
        (Source(PAGE, start=7, end=900), 0, {"startIndex": 9, "endIndex": 26, "text": "Kiwis weigh 90 g."}),
    ],
)
def test_offsets_count_bytes_of_the_whole_answer(source: Source, before: int, segment: Json) -> None:
    grounding = Grounding()
    grounding.add("x" * before, ())
    grounding.add(TEXT, (source,))
    [support] = grounding.metadata()["groundingSupports"]
    assert support == {"segment": segment, "groundingChunkIndices": [0]}


def test_pages_and_queries_are_listed_once() -> None:
    grounding = Grounding()
    for _ in range(2):
        grounding.found(Search(("kiwi",), (Source(PAGE, "Kiwi"),)))
        grounding.add("Kiwi", (Source(PAGE, "Kiwi", "90 g"),))
    reported = grounding.metadata()
    assert (reported["webSearchQueries"], reported["groundingChunks"]) == (["kiwi"], CHUNKS[:1])


def test_a_citation_of_no_words_supports_nothing() -> None:
    grounding = Grounding()
    grounding.add(TEXT, (Source(PAGE, "Kiwi", start=50, end=60),))
    assert grounding.metadata() == {"groundingChunks": CHUNKS[:1]}
    assert Grounding().metadata() == {}
