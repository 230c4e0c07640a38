"""Media and parts that only Gemini knows, both ways."""

from __future__ import annotations

import re
from typing import Any

from bm.chat.parts import Json, Media, MediaKind, Opaque
from bm.chat.signature import Signature
from bm.protocols.reading import camel, member, object_of, string_of

RESULT_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"})
"""What may stand inside a function response (Gemini 3)."""

_FETCHED = re.compile(
    r"gs://"
    r"|https://generativelanguage\.googleapis\.com/"
    r"|https?://(?:www\.|m\.)?youtube\.com/"
    r"|https?://youtu\.be/",
    re.I,
)
_DEFAULT_TYPE: dict[MediaKind, str] = {
    "image": "image/png",
    "document": "application/pdf",
    "audio": "audio/wav",
    "video": "video/mp4",
}
# How base64 of a file of that type begins.
_MAGIC = (
    ("iVBORw0", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)


def fetchable(url: str) -> bool:
    """Whether Gemini itself reads this URL: its Files API, Cloud Storage, YouTube."""
    return _FETCHED.match(url) is not None


def media_kind(mime: str) -> MediaKind:
    """The kind of a MIME type; anything that is no image, sound or film is a document."""
    match mime.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"


def mime_of(media: Media) -> str:
    """The MIME type, guessed from the data where the client named none."""
    if media.mime:
        return media.mime
    for magic, mime in _MAGIC:
        if media.data.startswith(magic):
            return mime
    return _DEFAULT_TYPE[media.kind]


def encode_media(media: Media) -> Json:
    """The part for media whose data, text or fetchable URL is known."""
    if media.text:
        return {"text": f"{media.name}\n{media.text}" if media.name else media.text}
    if media.url or media.file_id:
        file: Json = {"fileUri": media.url or media.file_id}
        if media.mime:
            file["mimeType"] = media.mime
        return {"fileData": file}
    return {"inlineData": {"mimeType": mime_of(media), "data": media.data}}


def decode_inline(blob: Any, signature: Signature | None = None) -> Media | None:
    """The media in an `inlineData`; None when it is not one."""
    if not isinstance(blob, dict):
        return None
    mime, data = member(blob, "mimeType") or "", blob.get("data")
    if not isinstance(mime, str) or not isinstance(data, str):
        return None
    name = string_of(member(blob, "displayName"))
    return Media(kind=media_kind(mime), mime=mime, data=data, name=name, signature=signature)


def decode_file(file: Any, signature: Signature | None = None) -> Media | None:
    """The media in a `fileData`; None when it is not one."""
    if not isinstance(file, dict):
        return None
    mime, uri = member(file, "mimeType") or "", member(file, "fileUri")
    if not isinstance(mime, str) or not isinstance(uri, str):
        return None
    kind = media_kind(mime) if mime else "video" if "youtu" in uri else "document"
    return Media(kind=kind, mime=mime, url=uri, signature=signature)


_ANNOTATIONS = frozenset({"thought", "thoughtSignature", "videoMetadata", "partMetadata", "mediaResolution"})


def opaque_part(part: Json) -> Opaque:
    """The part as it is, with the code or its output as text for those who do not know it."""
    kind = next((name for key in part if (name := camel(key)) not in _ANNOTATIONS), "part")
    return Opaque("gemini", kind, part, _summary(kind, member(part, kind)))


def _summary(kind: str, value: Any) -> str:
    held = object_of(value)
    match kind:
        case "executableCode":
            code, language = held.get("code"), string_of(held.get("language")).lower()
            return f"```{'' if language == 'language_unspecified' else language}\n{code}\n```" if code else ""
        case "codeExecutionResult":
            output = held.get("output")
            return f"```\n{output}\n```" if output else ""
        case _:
            return ""
