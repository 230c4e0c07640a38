"""Parts that arrive at once, as members of a message or delta."""

from __future__ import annotations

from bm.chat.parts import Json, Media, Opaque, Part
from bm.protocols.media import data_url


def whole_delta(part: Part) -> Json | None:
    """The members that show a part to a client; None where the protocol has nothing for it.

    Images go where OpenRouter and LiteLLM put them, in `images`: OpenAI's own models draw none in a chat.
    """
    match part:
        case Media(kind="image") if part.url or part.data:
            return {"images": [{"type": "image_url", "image_url": {"url": part.url or data_url(part)}}]}
        case Media(text=text) if text:
            return {"content": text}
        case Opaque(search=None, summary=summary) if summary:
            return {"content": summary}
        case _:
            return None
