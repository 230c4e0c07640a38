"""Content parts, as clients of OpenAI's two APIs send them and as they are sent on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import CacheMark, Citation, Json, Media, Opaque, Refusal, Text, Thinking
from bm.errors import RequestError
from bm.names import CHAT, RESPONSES
from bm.protocols.openai.content import (
    chat_objection,
    decode_content,
    encode_chat_media,
    encode_responses_media,
    responses_objection,
)

FULL = Capabilities(audio=True, video=True, dialect=Dialect(takes=frozenset({"video_url", "document_url"})))

BOTH_WAYS: list[tuple[Json, Media]] = [
    (
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD", "detail": "low"}},
        Media("image", mime="image/png", data="QUJD", detail="low"),
    ),
    (
        {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
        Media("image", url="https://a.example/x.png"),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
        Media("audio", mime="audio/mpeg", data="QUJD"),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        Media("audio", mime="audio/wav", data="QUJD"),
    ),
    (
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        Media("document", mime="application/pdf", data="QUJD", name="a.pdf"),
    ),
    ({"type": "file", "file": {"file_id": "file-1"}}, Media("document", file_id="file-1")),
    (
        {"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}},
        Media("video", url="https://a.example/x.mp4"),
    ),
    (
        {"type": "document_url", "document_url": "https://a.example/x.pdf"},
        Media("document", url="https://a.example/x.pdf"),
    ),
]


@pytest.mark.parametrize(
    ("wire", "media"), BOTH_WAYS, ids=lambda case: case.get("type") if isinstance(case, dict) else ""
)
def test_media_are_read_and_written_alike(wire: Json, media: Media) -> None:
    assert decode_content([wire], "content", CHAT) == (media,)
    assert chat_objection(media, FULL) == ""
    assert encode_chat_media(media) == wire


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ()),
        ("", ()),
        ("a", (Text("a"),)),
        ([{"type": "text", "text": ""}], ()),
        ([{"type": "text", "text": "a"}, "b"], (Text("a"), Text("b"))),
        ([{"text": "a"}], (Text("a"),)),
        ({"type": "text", "text": "a"}, (Text("a"),)),
        (
            [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            (Text("a", cache=CacheMark("1h")),),
        ),
        ([{"type": "image_url", "image_url": "https://a.example"}], (Media("image", url="https://a.example"),)),
        ([{"type": "image_url", "image_url": "data:audio/wav;base64,QUJD"}], (Media("audio", "audio/wav", "QUJD"),)),
        (
            [{"type": "file", "file": {"file_data": "data:video/mp4;base64,QUJD"}}],
            (Media("video", "video/mp4", "QUJD"),),
        ),
        ([{"type": "image_url", "image_url": "data:;base64,QUJD"}], (Media("image", "", "QUJD"),)),
        (
            [{"type": "file_url", "file_url": {"url": "https://a.example"}}],
            (Media("document", url="https://a.example"),),
        ),
        (
            [{"type": "input_audio", "input_audio": {"data": "data:audio/mpeg;base64,QUJD"}}],
            (Media("audio", "audio/mpeg", "QUJD"),),
        ),
        ([{"type": "thinking", "thinking": 5}], ()),
        ([{"type": "refusal", "refusal": "no"}], (Refusal("no"),)),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}], (Thinking("hm"),)),
        (
            [{"type": "file", "file": {"filename": "a.txt", "file_data": "QUJD"}}],
            (Media("document", "text/plain", "QUJD", name="a.txt"),),
        ),
        (
            [{"type": "file", "file": {"filename": "a.png", "file_data": "QUJD"}}],
            (Media("image", "image/png", "QUJD", name="a.png"),),
        ),
        ([{"type": "file", "file": {"file_data": "QUJD"}}], (Media("document", "application/pdf", "QUJD"),)),
        ([{"type": "input_audio", "input_audio": {"data": "QUJD"}}], (Media("audio", "audio/wav", "QUJD"),)),
        ([{"type": "novelty", "x": 1}], (Opaque("openai-chat", "novelty", {"type": "novelty", "x": 1}),)),
    ],
)
def test_what_clients_send_is_read(content: Any, parts: tuple[Any, ...]) -> None:
    assert decode_content(content, "content", CHAT) == parts


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (5, "c", "expected a string or an array of parts, got a number"),
        ([5], "c[0]", "expected an object, got a number"),
        ([{"type": "text", "text": 5}], "c[0].text", "expected a string, got a number"),
        ([{"type": 5}], "c[0].type", "expected a string, got a number"),
        ([{"type": "image_url"}], "c[0].image_url", "expected an object, got null"),
        ([{"type": "image_url", "image_url": {"url": ""}}], "c[0].image_url.url", "expected a URL, got nothing"),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png"}}],
            "c[0].image_url.url",
            "expected a data URL of the form data:<type>;base64,<data>",
        ),
        ([{"type": "input_audio", "input_audio": {}}], "c[0].input_audio.data", "expected base64 data, got nothing"),
        ([{"type": "file", "file": {}}], "c[0].file", "expected file_data, file_url or file_id, got none of them"),
    ],
)
def test_a_fault_names_the_place_and_what_was_expected(content: Any, place: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_content(content, "c", CHAT)
    assert caught.value.failure.message == f"{place}: {message}"
    assert caught.value.failure.param == place


@pytest.mark.parametrize(
    ("media", "change", "reason"),
    [
        (Media("image", data="A"), {"images": False}, "the model takes no image input"),
        (
            Media("image", url="https://a"),
            {"image_urls": False},
            "the model takes images only with their data, not by URL",
        ),
        (Media("image", file_id="f"), {}, "Chat Completions takes no image by file id"),
        (Media("document", data="A"), {"documents": False}, "the model takes no document input"),
        (Media("document", text="plain"), {"documents": False}, ""),
        (Media("document", url="https://a"), {"dialect": Dialect()}, "Chat Completions takes no document by URL"),
        (Media("audio", mime="audio/midi", data="A"), {}, "Chat Completions takes no audio/midi"),
        (Media("audio", mime="audio/wav", data="A"), {"audio": False}, "the model takes no audio input"),
        (Media("video", url="https://a"), {"dialect": Dialect()}, "the model takes no video input"),
    ],
)
def test_why_a_model_cannot_be_given_media(media: Media, change: Json, reason: str) -> None:
    assert chat_objection(media, msgspec.structs.replace(FULL, **change)) == reason


PDF = "data:application/pdf;base64,JVBERg=="
RESPONSES_BOTH_WAYS: list[tuple[dict[str, Any], Media]] = [
    (
        {"type": "input_image", "detail": "high", "image_url": "data:image/png;base64,iVBO"},
        Media("image", mime="image/png", data="iVBO", detail="high"),
    ),
    (
        {"type": "input_image", "detail": "auto", "image_url": "https://example.com/a.png"},
        Media("image", url="https://example.com/a.png"),
    ),
    ({"type": "input_image", "detail": "auto", "file_id": "file_1"}, Media("image", file_id="file_1")),
    (
        {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
        Media("document", mime="application/pdf", data="JVBERg==", name="a.pdf"),
    ),
    (
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        Media("document", url="https://example.com/a.pdf"),
    ),
    ({"type": "input_file", "file_id": "file_1"}, Media("document", file_id="file_1")),
]


@pytest.mark.parametrize(("wire", "part"), RESPONSES_BOTH_WAYS)
def test_a_part_is_the_same_in_both_directions(wire: dict[str, Any], part: Media) -> None:
    assert decode_content([wire], "x", RESPONSES) == (part,)
    assert encode_responses_media(part) == wire


@pytest.mark.parametrize(
    ("wire", "part"),
    [
        (
            {"type": "output_text", "text": "a", "annotations": [{"type": "x"}]},
            Text("a", citations=(Citation("openai-responses", {"type": "x"}),)),
        ),
        ({"type": "text", "text": "a"}, Text("a")),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
        (
            {"type": "input_image", "image_url": {"url": "https://e.example/a"}},
            Media("image", url="https://e.example/a"),
        ),
        (
            {"type": "input_file", "filename": "n.csv", "file_data": "YQ=="},
            Media("document", mime="text/csv", data="YQ==", name="n.csv"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            Media("audio", mime="audio/mpeg", data="AA=="),
        ),
        (
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            Text("a", cache=CacheMark("1h")),
        ),
        (
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            Text("a", cache=CacheMark()),
        ),
        ({"type": "hologram", "x": 1}, Opaque("openai-responses", "hologram", {"type": "hologram", "x": 1})),
    ],
)
def test_what_clients_also_send_is_read(wire: dict[str, Any], part: object) -> None:
    assert decode_content([wire], "x", RESPONSES) == (part,)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (5, "at"),
        ([{"type": "input_text", "text": 5}], "at[0].text"),
        ([{"type": "input_image"}], "at[0].image_url"),
        ([{"type": "input_file", "filename": "a"}], "at[0]"),
        ([{"type": "input_audio", "input_audio": "x"}], "at[0].input_audio"),
    ],
)
def test_a_fault_is_named_with_its_place(content: object, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_content(content, "at", RESPONSES)
    assert caught.value.failure.param == place
    assert caught.value.failure.kind == "bad_request"


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_responses_take_no_audio_and_no_video(kind: Any) -> None:
    assert kind in responses_objection(Media(kind, mime="x/y", data="AA=="), FULL)


def test_responses_take_the_media_that_the_model_takes() -> None:
    blind = msgspec.structs.replace(FULL, images=False)
    assert responses_objection(Media("image", data="A"), blind) == "the model takes no image input"
    assert responses_objection(Media("image", data="A"), FULL) == ""
