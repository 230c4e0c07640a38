"""Kinds and types of media, data URLs, and what a model takes."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Media
from bm.protocols.media import data_of_url, data_url, file_name, kind_of_type, lacking, of_true_kind, suffix_of, type_of


@pytest.mark.parametrize(
    ("mime", "kind"),
    [("image/png", "image"), ("audio/wav", "audio"), ("video/mp4", "video"), ("text/csv", "document"), ("", "audio")],
)
def test_the_kind_of_a_type(mime: str, kind: str) -> None:
    assert kind_of_type(mime, "audio") == kind


@pytest.mark.parametrize(
    ("media", "mime"),
    [
        (Media("image", data="/9j/4AAQ"), "image/jpeg"),
        (Media("image", mime="image/png", data="/9j/4AAQ"), "image/jpeg"),
        (Media("image", mime="image/heic", data="AAAA"), "image/heic"),
        (Media("document", data="JVBERi0x"), "application/pdf"),
        (Media("image", data="AAAA"), "image/png"),
        (Media("audio", data="AAAA"), "audio/wav"),
        (Media("audio", mime="audio/wav", data="SUQzBAAA"), "audio/mpeg"),
        (Media("image", mime="image/png", data="Qk02AAAA"), "image/bmp"),
        (Media("image", mime="image/png", data="SUkqAAAA"), "image/tiff"),
        (Media("image", mime="image/jpeg", data="AAAAGGZ0eXBoZWlj"), "image/heic"),
        (Media("image", mime="image/png", data="UklGRgAAAABXRUJQ"), "image/webp"),
        (Media("image", mime="image/png", data="PD94bWw/Pgo8c3ZnLz4="), "image/svg+xml"),
        (Media("document", mime="text/xml", data="PHN2Zy8+"), "text/xml"),
        (Media("image", mime="image/png", data="?"), "image/png"),
        (Media("image", mime="image/jpg", data="AAAA"), "image/jpeg"),
        (Media("document", mime="Text/Plain; charset=utf-8", data="AAAA"), "text/plain"),
    ],
)
def test_a_type_that_was_not_named_is_known_by_the_first_bytes_or_the_kind(media: Media, mime: str) -> None:
    assert type_of(media) == mime
    assert data_url(media) == f"data:{mime};base64,{media.data}"


@pytest.mark.parametrize(
    ("media", "why"),
    [
        (Media("image", mime="image/gif", data="AAAA"), "the model reads no image/gif"),
        (Media("image", mime="image/png", data="AAAA"), ""),
        (
            Media("document", mime="application/vnd.ms-excel", data="AAAA"),
            "the model reads no application/vnd.ms-excel",
        ),
        (Media("document", mime="application/vnd.x", text="words"), ""),
    ],
)
def test_a_type_that_the_model_does_not_read(media: Media, why: str) -> None:
    assert lacking(media, Capabilities(refused_types=("image/gif", "application/vnd.*"))) == why


@pytest.mark.parametrize(
    "data", ["-_8A+/8=", "-_8A-_8", "+/8A\r\n+/8=\r\n", "data:image/png;base64,+/8A+/8=", "+/8A+/8=", " +/8A +/8="]
)
def test_data_reach_the_model_as_plain_base64(data: str) -> None:
    assert of_true_kind(Media("image", mime="image/png", data=data)).data == "+/8A+/8="


def test_a_file_has_a_name_with_the_suffix_of_its_type() -> None:
    assert file_name(Media("document", data="JVBERi0x")) == "document.pdf"
    assert file_name(Media("document", mime="text/markdown", data="AAAA")) == "document.md"
    assert file_name(Media("document", data="AAAA", name="a.txt")) == "a.txt"
    assert (suffix_of(Media("audio", mime="audio/mpeg")), suffix_of(Media("audio", mime="audio/midi"))) == ("mp3", "")


@pytest.mark.parametrize(
    ("url", "inline"),
    [
        ("data:image/png;base64,QQ==", ("image/png", "QQ==")),
        ("data:image/svg+xml;charset=utf-8;base64,QQ==", ("image/svg+xml", "QQ==")),
        ("data:,a%20b", ("text/plain", "YSBi")),
        ("https://example.com/a,b", None),
        ("data:image/png;base64", None),
    ],
)
def test_data_urls(url: str, inline: tuple[str, str] | None) -> None:
    assert data_of_url(url) == inline


@pytest.mark.parametrize(
    ("media", "capabilities", "reason"),
    [
        (Media("image", data="A"), {}, ""),
        (Media("image", data="A"), {"images": False}, "the model takes no image input"),
        (Media("document", text="plain"), {"documents": False}, ""),
        (Media("document", data="A"), {"documents": False}, "the model takes no document input"),
        (Media("audio", data="A"), {}, "the model takes no audio input"),
    ],
)
def test_what_a_model_does_not_take(media: Media, capabilities: dict[str, Any], reason: str) -> None:
    assert lacking(media, Capabilities(**capabilities)) == reason
