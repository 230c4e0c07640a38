"""Parts that only Gemini knows."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.events import (
    PartWhole,
)
from bm.chat.parts import Media, Opaque
from bm.protocols.gemini.opaque import opaque_part
from tests.protocols.gemini.kit import chunk, told


def test_media_and_code_are_whole_parts() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    output = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}
    image = {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}
    events = told(chunk(code, output, image, {"novelty": {}}, finish="STOP"))
    assert [event.part for event in events if isinstance(event, PartWhole)] == [
        Opaque("gemini", "executableCode", code, "```python\n1+1\n```"),
        Opaque("gemini", "codeExecutionResult", output, "```\n2\n```"),
        Media("image", mime="image/png", data="aaaa"),
        Opaque("gemini", "novelty", {"novelty": {}}),
    ]


@pytest.mark.parametrize(
    ("raw", "kind", "summary"),
    [
        ({"executable_code": {"language": "LANGUAGE_UNSPECIFIED", "code": "1"}}, "executableCode", "```\n1\n```"),
        ({"codeExecutionResult": {"outcome": "OUTCOME_FAILED"}}, "codeExecutionResult", ""),
        ({"thoughtSignature": "x", "toolCall": {"a": 1}}, "toolCall", ""),
        ({"novelty": "text"}, "novelty", ""),
        ({}, "part", ""),
    ],
)
def test_an_unknown_part_is_kept_as_it_is(raw: dict[str, Any], kind: str, summary: str) -> None:
    assert opaque_part(raw) == Opaque("gemini", kind, raw, summary)
