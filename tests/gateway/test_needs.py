"""What a request cannot do without, seen without parsing it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from bm.dispatch.snapshot import Requirements
from bm.gateway.needs import requirements_of
from bm.names import ProtocolName

TABLE: list[tuple[Any, Requirements]] = [
    ({"messages": [{"role": "user", "content": "hello"}]}, Requirements()),
    (
        {"content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png"}}]},
        Requirements(images=True),
    ),
    ({"content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}, Requirements(images=True)),
    ({"content": [{"type": "input_image", "image_url": "https://x"}]}, Requirements(images=True)),
    ({"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}, Requirements(images=True)),
    ({"parts": [{"inline_data": {"mime_type": "image/webp"}}]}, Requirements(images=True)),
    ({"content": [{"type": "document", "source": {"media_type": "application/pdf"}}]}, Requirements(documents=True)),
    ({"content": [{"type": "input_file", "file_data": ""}]}, Requirements(documents=True)),
    ({"parts": [{"fileData": {"mimeType": "application/pdf"}}]}, Requirements(documents=True)),
    ({"content": [{"type": "input_audio", "input_audio": {"format": "wav"}}]}, Requirements(audio=True)),
    ({"parts": [{"inlineData": {"mimeType": "audio/mp3"}}]}, Requirements(audio=True)),
    ({"parts": [{"fileData": {"mimeType": "video/mp4"}}]}, Requirements(video=True)),
    ({"content": [{"type": "video_url"}]}, Requirements(video=True)),
    ({"tools": [{"name": "x"}]}, Requirements(tools=True)),
    ({"tools": []}, Requirements()),
    ({"content": 'he wrote "type": "image" and "tools": [{'}, Requirements()),
    ({"tools": [{"input_schema": {"properties": {"image": {"type": "string"}}}}]}, Requirements(tools=True)),
    ({"content": 'see "image/png"'}, Requirements()),
]


@pytest.mark.parametrize("indent", [None, 2], ids=["dense", "indented"])
@pytest.mark.parametrize(("body", "requirements"), TABLE)
def test_what_a_body_holds(body: Any, requirements: Requirements, indent: int | None) -> None:
    found = requirements_of(json.dumps(body, indent=indent).encode(), "anthropic")
    assert msgspec.structs.replace(found, past=frozenset()) == requirements


def test_a_long_text_has_at_least_so_many_tokens() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "word " * 10_000}]}).encode()
    assert 5_000 <= requirements_of(body, "openai-chat").tokens <= 10_000


def test_where_media_stand_for_most_of_the_bytes_nothing_is_said_of_tokens() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    assert (
        requirements_of(json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode(), "openai-chat").tokens
        == 0
    )


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
TEXT = {"type": "text", "text": "look"}
SHOWN = {"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "see", "input": {}}]}
PICTURE = {"inlineData": {"mimeType": "image/png", "data": ""}}
RESPONSE = {"functionResponse": {"name": "see", "response": {}}}
SEEN = {"type": "input_image", "image_url": "https://x"}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def says(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


IN_THE_PAST: list[tuple[ProtocolName, Any, bool]] = [
    ("anthropic", {"messages": [user(TEXT, IMAGE)]}, False),
    ("anthropic", {"messages": [user(IMAGE), CALL, user({"type": "text", "text": "and now?"})]}, True),
    ("anthropic", {"messages": [user(TEXT), CALL, user(SHOWN)]}, True),
    ("anthropic", {"messages": [user(TEXT, IMAGE), CALL, user(SHOWN)]}, False),
    ("anthropic", {"messages": [user(TEXT), CALL, user(SHOWN, IMAGE)]}, False),
    ("anthropic", {"messages": [user(TEXT), CALL, user(SHOWN, TEXT)]}, True),
    ("anthropic", {"messages": "no list", "other": IMAGE}, False),
    ("openai-chat", {"messages": [user({"type": "image_url", "image_url": {"url": "https://x"}})]}, False),
    (
        "openai-chat",
        {"messages": [user({"type": "image_url"}), {"role": "assistant", "content": "nice"}, user(TEXT)]},
        True,
    ),
    ("openai-chat", {"messages": [user(TEXT), {"role": "tool", "content": [{"type": "image_url"}]}]}, True),
    ("openai-responses", {"input": [user(SEEN)]}, False),
    ("openai-responses", {"input": [user(SEEN), {"role": "user", "content": "and now?"}]}, True),
    ("openai-responses", {"input": [user(TEXT), {"type": "function_call_output", "output": [SEEN]}]}, True),
    ("gemini", {"contents": [says(PICTURE)]}, False),
    ("gemini", {"contents": [{"parts": [PICTURE]}]}, False),
    ("gemini", {"contents": {"parts": [PICTURE]}}, False),
    ("gemini", {"contents": [says(PICTURE), says({"text": "nice"}, role="model"), says({"text": "and now?"})]}, True),
    ("gemini", {"contents": [says({"text": "see"}), says(RESPONSE, PICTURE)]}, True),
]


@pytest.mark.parametrize(("protocol", "body", "past"), IN_THE_PAST)
def test_whether_the_person_has_just_sent_a_picture(protocol: ProtocolName, body: Any, past: bool) -> None:
    requirements = requirements_of(json.dumps(body).encode(), protocol)
    assert requirements.images and requirements.past == (frozenset({"images"}) if past else frozenset())
