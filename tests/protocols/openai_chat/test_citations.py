from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Json
from bm.protocols.openai_chat.citations import citation

OWN: Json = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (OWN, OWN),
        (
            {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c"},
            {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 3, "end_index": 9}},
        ),
        (
            {"uri": "u", "title": None},
            {"type": "url_citation", "url_citation": {"url": "u", "title": "", "start_index": 3, "end_index": 9}},
        ),
        ({"type": "page_location", "document_index": 0}, None),
    ],
)
def test_citations_of_pages_become_annotations(raw: Json, expected: Any) -> None:
    assert citation(raw, 3, 9) == expected
