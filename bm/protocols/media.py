"""Media of any protocol: their kinds and types, data URLs, and whether a model takes them."""

from __future__ import annotations

import base64
from fnmatch import fnmatchcase
from urllib.parse import unquote_to_bytes

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Media, MediaKind
from bm.protocols.reading import object_of, string_of

TYPE_OF_SUFFIX = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "xml": "text/xml",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "mpeg": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "webm": "audio/webm",
    "pcm16": "audio/pcm",
    "mp4": "video/mp4",
}
"""MIME types by the suffix of a file's name, which is also OpenAI's name of an audio format."""

_SUFFIX_OF_TYPE = {
    **{mime: suffix for suffix, mime in reversed(TYPE_OF_SUFFIX.items())},
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}
_KIND_OF_TYPE: dict[str, MediaKind] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "application": "document",
    "text": "document",
}
_DEFAULT_TYPE: dict[MediaKind, str] = {
    "image": "image/png",
    "document": "application/pdf",
    "audio": "audio/wav",
    "video": "video/mp4",
}
_FIRST_BYTES = (
    (0, b"\x89PNG", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyphei", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (0, b"<svg", "image/svg+xml"),
    (0, b"%PDF-", "application/pdf"),
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
)
"""What files begin with, and where."""
_TEXTUAL = frozenset(
    {"application/json", "application/xml", "application/javascript", "application/x-yaml", "application/yaml"}
)
"""Types of text that do not begin with `text/`."""


def kind_of_type(mime: str, otherwise: MediaKind = "document") -> MediaKind:
    """What media of a MIME type are to a model; `otherwise` for types that say nothing."""
    return _KIND_OF_TYPE.get(mime.partition("/")[0], otherwise)


def type_of(media: Media) -> str:
    """The MIME type: the one its data begins like, else the client's, else the usual one of the kind."""
    found = _type_by_bytes(media)
    if found and kind_of_type(found) == media.kind:
        return found
    mime = media.mime.partition(";")[0].strip().lower()
    return "image/jpeg" if mime == "image/jpg" else mime or _DEFAULT_TYPE[media.kind]


def of_true_kind(media: Media) -> Media:
    """An image that its client calls a document, or the reverse, under the kind that its first bytes show.

    Its data are plain base64 then, whatever the client has written: a data URL, lines, or the alphabet of URLs.
    """
    if (data := _plain_base64(media.data)) is not media.data:
        media = msgspec.structs.replace(media, data=data)
    kind = kind_of_type(_type_by_bytes(media), media.kind)
    swapped = {kind, media.kind} == {"image", "document"}
    return msgspec.structs.replace(media, kind=kind, mime="") if swapped else media


def _plain_base64(data: str) -> str:
    if data.startswith("data:"):
        _, _, data = data.partition(",")
    # Searches for one character, which cost next to nothing on megabytes.
    if not any(mark in data for mark in "-_\n\r "):
        return data
    data = "".join(data.split()).translate({0x2D: "+", 0x5F: "/"}).rstrip("=")
    return data + "=" * (-len(data) % 4)


def _type_by_bytes(media: Media) -> str:
    """The type that the data begin like; empty when they show none."""
    try:
        head = base64.b64decode(media.data[: min(64, len(media.data) // 4 * 4)])
    except ValueError:
        return ""
    if media.kind == "image" and b"<svg" in (start := head.lstrip(b"\xef\xbb\xbf \t\r\n")):
        head = start[start.index(b"<svg") :]
    return next((mime for at, mark, mime in _FIRST_BYTES if head.startswith(mark, at)), "")


def text_in(media: Media) -> str | None:
    """The text of a document; None when it is none, or is not UTF-8."""
    mime = type_of(media)
    if media.text or media.kind != "document" or not is_textual(mime):
        return media.text or None
    try:
        return base64.b64decode(media.data, validate=True).decode() if media.data else None
    except ValueError:
        return None


def is_textual(mime: str) -> bool:
    """Whether documents of a MIME type are text."""
    return mime.startswith("text/") or mime in _TEXTUAL


def suffix_of(media: Media) -> str:
    """The suffix of a file with the media, or the name of their audio format; empty when it has none."""
    return _SUFFIX_OF_TYPE.get(type_of(media), "")


def file_name(media: Media) -> str:
    """The name of a file with the media."""
    return media.name or f"{media.kind}.{suffix_of(media) or 'bin'}"


def data_url(media: Media) -> str:
    """Inline media as a data URL."""
    return f"data:{type_of(media)};base64,{media.data}"


def data_of_url(url: str) -> tuple[str, str] | None:
    """The MIME type and the base64 data of a data URL (RFC 2397); None for any other."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:"):
        return None
    mime, _, parameters = head.removeprefix("data:").partition(";")
    if "base64" in parameters.split(";"):
        return mime, data
    return mime or "text/plain", base64.b64encode(unquote_to_bytes(data)).decode()


def is_text(piece: Json) -> bool:
    """Whether a document, as any protocol writes it, is plain text inline."""
    file = object_of(piece.get("file")) or piece
    source = object_of(piece.get("source"))
    data = string_of(file.get("file_data"))
    mime = source.get("media_type") or piece.get("mimeType") or piece.get("mime_type")
    if not mime and data:
        suffix = string_of(file.get("filename")).rpartition(".")[2].lower()
        mime = data[5:].partition(",")[0] if data.startswith("data:") else TYPE_OF_SUFFIX.get(suffix)
    inline = source.get("data") or piece.get("data") or data
    return bool(inline) and is_textual(string_of(mime).partition(";")[0].strip().lower())


def lacking(media: Media, capabilities: Capabilities) -> str:
    """Why the model cannot be given the media by any protocol; empty when it can. Plain text is always taken."""
    takes = {
        "image": capabilities.images,
        "document": capabilities.documents or bool(media.text),
        "audio": capabilities.audio,
        "video": capabilities.video,
    }
    if not takes[media.kind]:
        return f"the model takes no {media.kind} input"
    mime = type_of(media)
    refused = not media.text and any(fnmatchcase(mime, pattern) for pattern in capabilities.refused_types)
    return f"the model reads no {mime}" if refused else ""
