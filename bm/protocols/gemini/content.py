"""Media, and parts that only Gemini has, in both directions."""

from __future__ import annotations

import re
from typing import Any

from bm.chat.parts import Json, Media, Opaque
from bm.chat.signature import Signature
from bm.protocols import reading
from bm.protocols.media import kind_of_type, type_of

RESULT_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"})
"""What may stand inside a function response (Gemini 3)."""

_FETCHED = re.compile(
    r"gs://"
    r"|https://generativelanguage\.googleapis\.com/"
    r"|https?://(?:www\.|m\.)?youtube\.com/"
    r"|https?://youtu\.be/",
    re.I,
)


def fetchable(url: str) -> bool:
    """Whether Gemini itself reads this URL: its Files API, Cloud Storage, YouTube."""
    return _FETCHED.match(url) is not None


def encode_media(media: Media) -> Json:
    """The part for media whose data or fetchable URL is known."""
    if media.url or media.file_id:
        file: Json = {"fileUri": media.url or media.file_id}
        if media.mime:
            file["mimeType"] = media.mime
        return {"fileData": file}
    return {"inlineData": {"mimeType": type_of(media), "data": media.data}}


def decode_media(part: Json, signature: Signature | None = None) -> Media | None:
    """The media in a part's `inlineData` or `fileData`; None when it holds none."""
    inline = reading.object_of(reading.member(part, "inlineData"))
    held = inline or reading.object_of(reading.member(part, "fileData"))
    value = inline.get("data") if inline else reading.member(held, "fileUri")
    mime = reading.member(held, "mimeType") or ""
    if not isinstance(mime, str) or not isinstance(value, str):
        return None
    if inline:
        name = reading.string_of(reading.member(held, "displayName"))
        return Media(kind_of_type(mime), mime=mime, data=value, name=name, signature=signature)
    kind = kind_of_type(mime) if mime else "video" if "youtu" in value else "document"
    return Media(kind, mime=mime, url=value, signature=signature)


_BARE = frozenset({"thought", "thoughtSignature", "thought_signature", "text"})
_ANNOTATIONS = frozenset({"thought", "thoughtSignature", "videoMetadata", "partMetadata", "mediaResolution"})


def is_bare(part: Json) -> bool:
    """Whether a part has no content but perhaps a text."""
    return part.keys() <= _BARE


def opaque_part(part: Json) -> Opaque:
    """A part that only Gemini has, with its code or output as the summary."""
    kind = next((name for key in part if (name := reading.camel(key)) not in _ANNOTATIONS), "part")
    return Opaque("gemini", kind, part, _summary(kind, reading.member(part, kind)))


def _summary(kind: str, value: Any) -> str:
    held = reading.object_of(value)
    match kind:
        case "executableCode":
            code, language = held.get("code"), reading.string_of(held.get("language")).lower()
            return f"```{'' if language == 'language_unspecified' else language}\n{code}\n```" if code else ""
        case "codeExecutionResult":
            output = held.get("output")
            return f"```\n{output}\n```" if output else ""
        case _:
            return ""
