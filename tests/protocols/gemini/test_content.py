"""Media as Gemini gets it."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.events import (
    PartWhole,
)
from bm.chat.parts import Media, Opaque
from bm.protocols.gemini.content import decode_media, fetchable, opaque_part
from tests.protocols.gemini.kit import INLINE_PNG, PNG, chunk, contents, reported, user

MEDIA: list[tuple[Media, dict[str, Any]]] = [
    (PNG, INLINE_PNG),
    (Media("image", data="/9j/4AA"), {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/4AA"}}),
    (Media("audio", data="x"), {"inlineData": {"mimeType": "audio/wav", "data": "x"}}),
    (Media("document", text="T"), {"text": "T"}),
    (Media("document", text="T", name="Title"), {"text": "Title\n\nT"}),
    (
        Media("video", url="https://www.youtube.com/watch?v=x"),
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}},
    ),
    (
        Media("document", mime="application/pdf", url="gs://b/x"),
        {"fileData": {"fileUri": "gs://b/x", "mimeType": "application/pdf"}},
    ),
    (
        Media("image", url="https://generativelanguage.googleapis.com/v1beta/files/x"),
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
    ),
]


@pytest.mark.parametrize(("media", "part"), MEDIA)
def test_media(media: Media, part: dict[str, Any]) -> None:
    assert contents(user(media))[0]["parts"] == [part]


@pytest.mark.parametrize(
    ("url", "fetched"),
    [
        ("gs://bucket/x", True),
        ("https://generativelanguage.googleapis.com/v1beta/files/x", True),
        ("https://www.youtube.com/watch?v=x", True),
        ("https://youtu.be/x", True),
        ("https://youtube.com.a.example/x", False),
        ("https://a.example/gs://", False),
        ("http://169.254.169.254/", False),
    ],
)
def test_what_gemini_fetches_itself(url: str, fetched: bool) -> None:
    assert fetchable(url) is fetched


@pytest.mark.parametrize("blob", [None, 7, {}, {"mimeType": "image/png"}, {"mimeType": 7, "data": "x"}])
def test_what_is_no_media(blob: Any) -> None:
    assert decode_media({"inlineData": blob}) is None
    assert decode_media({"fileData": blob}) is None


def test_media_and_code_are_whole_parts() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    output = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}
    image = {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}
    events = reported(chunk(code, output, image, {"novelty": {}}, finish="STOP"))
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
