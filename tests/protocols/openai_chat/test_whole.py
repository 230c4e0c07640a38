from __future__ import annotations

import pytest

from bm.chat.parts import Json, Media, Opaque, Part, Thinking
from bm.protocols.openai_chat.whole import whole_delta


@pytest.mark.parametrize(
    ("part", "delta"),
    [
        (
            Media("image", mime="image/png", data="QUJD"),
            {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]},
        ),
        (Media("image", url="https://a"), {"images": [{"type": "image_url", "image_url": {"url": "https://a"}}]}),
        (Media("document", text="words"), {"content": "words"}),
        (Media("audio", mime="audio/wav", data="QUJD"), None),
        (Opaque("gemini", "k", {}, summary="words"), {"content": "words"}),
        (Opaque("gemini", "k", {}), None),
        (Thinking("", redacted=True), None),
    ],
)
def test_what_a_client_sees_of_a_whole_part(part: Part, delta: Json | None) -> None:
    assert whole_delta(part) == delta
