"""Media as Gemini gets it."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Media
from bm.protocols.gemini.media import decode_file, decode_inline, fetchable
from tests.protocols.gemini.kit import INLINE_PNG, PNG, contents, user

MEDIA: list[tuple[Media, dict[str, Any]]] = [
    (PNG, INLINE_PNG),
    (Media("image", data="/9j/4AA"), {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/4AA"}}),
    (Media("audio", data="x"), {"inlineData": {"mimeType": "audio/wav", "data": "x"}}),
    (Media("document", text="T"), {"text": "T"}),
    (Media("document", text="T", name="Title"), {"text": "Title\nT"}),
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
    assert decode_inline(blob) is None
    assert decode_file(blob) is None
