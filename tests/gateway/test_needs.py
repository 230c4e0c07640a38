"""What a request cannot do without, seen without parsing it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.dispatch.snapshot import Needs
from bm.gateway.needs import needs_of

TABLE: list[tuple[Any, Needs]] = [
    ({"messages": [{"role": "user", "content": "hello"}]}, Needs()),
    ({"content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png"}}]}, Needs(images=True)),
    ({"content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}, Needs(images=True)),
    ({"content": [{"type": "input_image", "image_url": "https://x"}]}, Needs(images=True)),
    ({"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}, Needs(images=True)),
    ({"parts": [{"inline_data": {"mime_type": "image/webp"}}]}, Needs(images=True)),
    ({"content": [{"type": "document", "source": {"media_type": "application/pdf"}}]}, Needs(documents=True)),
    ({"content": [{"type": "input_file", "file_data": ""}]}, Needs(documents=True)),
    ({"parts": [{"fileData": {"mimeType": "application/pdf"}}]}, Needs(documents=True)),
    ({"content": [{"type": "input_audio", "input_audio": {"format": "wav"}}]}, Needs(audio=True)),
    ({"parts": [{"inlineData": {"mimeType": "audio/mp3"}}]}, Needs(audio=True)),
    ({"parts": [{"fileData": {"mimeType": "video/mp4"}}]}, Needs(video=True)),
    ({"content": [{"type": "video_url"}]}, Needs(video=True)),
    ({"tools": [{"name": "x"}]}, Needs(tools=True)),
    ({"tools": []}, Needs()),
    ({"content": 'he wrote "type": "image" and "tools": [{'}, Needs()),
    ({"tools": [{"input_schema": {"properties": {"image": {"type": "string"}}}}]}, Needs(tools=True)),
    ({"content": 'see "image/png"'}, Needs()),
]


@pytest.mark.parametrize("indent", [None, 2], ids=["dense", "indented"])
@pytest.mark.parametrize(("body", "needs"), TABLE)
def test_what_a_body_holds(body: Any, needs: Needs, indent: int | None) -> None:
    assert needs_of(json.dumps(body, indent=indent).encode()) == needs


def test_a_long_text_has_at_least_so_many_tokens() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "word " * 10_000}]}).encode()
    assert 5_000 <= needs_of(body).tokens <= 10_000


def test_where_media_stand_for_most_of_the_bytes_nothing_is_said_of_tokens() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    assert needs_of(json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode()).tokens == 0
