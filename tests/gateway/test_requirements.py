"""What is read from a body's bytes that a target must take."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from bm.dispatch.snapshot import Requirements
from bm.gateway.requirements import requirements_of
from bm.names import ProtocolName
from bm.protocols.words import words_of


def requirements(body: bytes, protocol: ProtocolName) -> Requirements:
    return requirements_of(body, protocol, words_of(body))


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
    (
        {"content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}]},
        Requirements(),
    ),
    ({"content": [{"type": "file", "file": {"file_data": "data:text/csv;base64,YSxi"}}]}, Requirements()),
    ({"content": [{"type": "input_file", "filename": "a.md", "file_data": "YSxi"}]}, Requirements()),
    (
        {
            "content": [
                {"type": "input_file", "filename": "a.md", "file_data": "YSxi"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "JVBERi0="},
            ]
        },
        Requirements(documents=True),
    ),
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
@pytest.mark.parametrize(("body", "needs"), TABLE)
def test_the_media_and_tools_in_a_body(body: Any, needs: Requirements, indent: int | None) -> None:
    found = requirements(json.dumps(body, indent=indent).encode(), "anthropic")
    assert msgspec.structs.replace(found, replaceable=frozenset()) == needs


def test_the_tokens_of_a_long_text_have_a_lower_bound() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "word " * 10_000}]}).encode()
    assert 5_000 <= requirements(body, "openai-chat").tokens <= 10_000


def test_the_tokens_of_a_body_with_media_are_unknown() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    body = json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode()
    assert requirements(body, "openai-chat").tokens == 0


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
TEXT = {"type": "text", "text": "look"}
SHOWN = {"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "see", "input": {}}]}
PICTURE = {"inlineData": {"mimeType": "image/png", "data": ""}}
RESPONSE = {"functionResponse": {"name": "see", "response": {}}}
LOOKS, FOUND = {"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "found"}
SEEN = {"type": "input_image", "image_url": "https://x"}


def sent(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def says(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


IN_THE_PAST: list[tuple[ProtocolName, Any, bool]] = [
    ("anthropic", {"messages": [sent(TEXT, IMAGE)]}, False),
    ("anthropic", {"messages": [sent(IMAGE), CALL, sent({"type": "text", "text": "and now?"})]}, True),
    ("anthropic", {"messages": [sent(TEXT), CALL, sent(SHOWN)]}, True),
    ("anthropic", {"messages": [sent(TEXT, IMAGE), CALL, sent(SHOWN)]}, False),
    ("anthropic", {"messages": [sent(TEXT), CALL, sent(SHOWN, IMAGE)]}, False),
    ("anthropic", {"messages": [sent(TEXT), CALL, sent(SHOWN, TEXT)]}, True),
    ("anthropic", {"messages": "no list", "other": IMAGE}, False),
    ("openai-chat", {"messages": [sent({"type": "image_url", "image_url": {"url": "https://x"}})]}, False),
    (
        "openai-chat",
        {"messages": [sent({"type": "image_url"}), {"role": "assistant", "content": "nice"}, sent(TEXT)]},
        True,
    ),
    ("openai-chat", {"messages": [sent(TEXT), {"role": "tool", "content": [{"type": "image_url"}]}]}, True),
    ("openai-chat", {"messages": [sent(TEXT), LOOKS, FOUND, sent(TEXT, {"type": "image_url"})]}, True),
    ("openai-chat", {"messages": [sent({"type": "image_url"}), LOOKS, FOUND, sent({"type": "image_url"})]}, False),
    ("openai-responses", {"input": [sent(SEEN)]}, False),
    ("openai-responses", {"input": [sent(SEEN), {"role": "user", "content": "and now?"}]}, True),
    ("openai-responses", {"input": [sent(TEXT), {"type": "function_call_output", "output": [SEEN]}]}, True),
    ("gemini", {"contents": [says(PICTURE)]}, False),
    ("gemini", {"contents": [{"parts": [PICTURE]}]}, False),
    ("gemini", {"contents": {"parts": [PICTURE]}}, False),
    ("gemini", {"contents": [says(PICTURE), says({"text": "nice"}, role="model"), says({"text": "and now?"})]}, True),
    ("gemini", {"contents": [says({"text": "see"}), says(RESPONSE, PICTURE)]}, True),
]


@pytest.mark.parametrize(("protocol", "body", "past"), IN_THE_PAST)
def test_whether_the_newest_message_holds_a_picture(protocol: ProtocolName, body: Any, past: bool) -> None:
    found = requirements(json.dumps(body).encode(), protocol)
    assert found.images and found.replaceable == (frozenset({"images"}) if past else frozenset())
