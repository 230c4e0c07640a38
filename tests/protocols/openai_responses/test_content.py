from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import CacheMark, Citation, Media, Opaque, Refusal, Text
from bm.errors import RequestError
from bm.protocols.openai_responses.content import data_of_url, decode_content, encode_content

PDF = "data:application/pdf;base64,JVBERg=="
BOTH_WAYS: list[tuple[dict[str, Any], Text | Media]] = [
    ({"type": "input_text", "text": "a"}, Text("a")),
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


@pytest.mark.parametrize(("wire", "part"), BOTH_WAYS)
def test_a_part_is_the_same_in_both_directions(wire: dict[str, Any], part: Text | Media) -> None:
    assert decode_content([wire], "x") == (part,)
    assert encode_content([part], "x") == [wire]


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
    assert decode_content([wire], "x") == (part,)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (5, "at"),
        (None, "at"),
        ([{"type": "input_text"}], "at[0]"),
        ([{"type": "input_text", "text": "a"}, "b"], "at[1]"),
        ([{"type": "input_image"}], "at[0]"),
        ([{"type": "input_file", "filename": "a"}], "at[0]"),
        ([{"type": "input_audio", "input_audio": "x"}], "at[0]"),
    ],
)
def test_a_fault_is_named_with_its_place(content: object, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_content(content, "at")
    assert caught.value.failure.param == place
    assert caught.value.failure.kind == "bad_request"


def test_a_plain_text_document_becomes_text_under_its_title() -> None:
    document = Media("document", mime="text/plain", text="body", name="Title")
    assert encode_content([document], "x") == [{"type": "input_text", "text": "Title\n\nbody"}]


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_sound_and_film_are_refused(kind: Any) -> None:
    with pytest.raises(RequestError, match=kind):
        encode_content([Media(kind, mime="x/y", data="AA==")], "x")


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
