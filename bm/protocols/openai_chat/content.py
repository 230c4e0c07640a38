"""Parts of a message's content, read from a client and written for an upstream."""

from __future__ import annotations

from typing import Any, Final

from bm.chat.capabilities import Capabilities
from bm.chat.parts import CacheMark, Json, Media, MediaKind, Opaque, Part, Refusal, Text, Thinking
from bm.names import ProtocolName
from bm.protocols.reading import (
    element,
    filled_string,
    join,
    mismatch,
    objects_of,
    refuse,
    required_mapping,
    string,
    string_of,
)

PROTOCOL: Final[ProtocolName] = "openai-chat"

AUDIO_MIME = {
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
}
"""What `input_audio.format` stands for."""

AUDIO_FORMAT = {
    **{mime: name for name, mime in reversed(AUDIO_MIME.items())},
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}

FILE_MIME = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
}
"""What a file is by its name's ending, where the client sends bare base64 without a data URL."""


def decode_content(value: Any, where: str) -> tuple[Part, ...]:
    """Read `content`: absent, a string, or an array of parts. Empty texts are left out: no other API takes them.

    Raises:
        RequestError: it is something else.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (Text(value),)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise mismatch(where, "a string or an array of parts", value)
    parts: list[Part] = []
    for index, each in enumerate(value):
        place = f"{where}[{index}]"
        if isinstance(each, str):
            parts.append(Text(each))
            continue
        part = decode_part(element(each, place), place)
        if part is not None:
            parts.append(part)
    return tuple(parts)


def decode_part(part: Json, where: str) -> Part | None:
    """Read one part; None for an empty text. A type that nobody knows is kept as `Opaque`."""
    cache = _cache_mark(part.get("cache_control"))
    match part.get("type"):
        case "text" | "input_text" | "output_text":
            text = string(part, "text", where)
            return Text(text, cache=cache) if text else None
        case "image_url":
            return _url_part("image", part, "image_url", where, cache)
        case "video_url":
            return _url_part("video", part, "video_url", where, cache)
        case "document_url":
            return _url_part("document", part, "document_url", where, cache)
        case "file_url":
            return _url_part("document", part, "file_url", where, cache)
        case "input_audio":
            return _audio(required_mapping(part, "input_audio", where), where, cache)
        case "file":
            return _file(required_mapping(part, "file", where), join(where, "file"), cache)
        case "refusal":
            return Refusal(string(part, "refusal", where))
        case "thinking":
            return Thinking(text) if (text := thinking_text(part.get("thinking"))) else None
        case str(kind):
            return Opaque(PROTOCOL, kind, part)
        case None if isinstance(part.get("text"), str):
            return Text(part["text"], cache=cache) if part["text"] else None
        case other:
            raise mismatch(join(where, "type"), "a string", other)


def thinking_text(value: Any) -> str:
    """The text of Mistral's `thinking` part, which holds a string or an array of text parts."""
    return string_of(value) or "".join(string_of(part.get("text")) for part in objects_of(value))


def _cache_mark(value: Any) -> CacheMark | None:
    return CacheMark(str(value.get("ttl") or "")) if isinstance(value, dict) else None


def _url_part(kind: MediaKind, part: Json, key: str, where: str, cache: CacheMark | None) -> Media:
    place = join(where, key)
    if isinstance(part.get(key), str):
        url, detail = filled_string(part, key, where, "a URL"), ""
    else:
        holder = required_mapping(part, key, where)
        url, detail = filled_string(holder, "url", place, "a URL"), string(holder, "detail", place)
        place = join(place, "url")
    name = string_of(part.get(f"{kind}_name"))
    return from_url(kind, url, place, name=name, detail=detail, cache=cache)


def from_url(
    kind: MediaKind, url: str, where: str, *, name: str = "", detail: str = "", cache: CacheMark | None = None
) -> Media:
    """Media named by a URL; a data URL is taken apart.

    Raises:
        RequestError: a data URL is not base64.
    """
    if not url.startswith("data:"):
        return Media(kind, url=url, name=name, detail=detail, cache=cache)
    head, comma, data = url[5:].partition(",")
    mime, *options = head.split(";")
    if not comma or "base64" not in options:
        raise refuse(where, "expected a data URL of the form data:<type>;base64,<data>")
    return Media(media_kind(mime, kind), mime=mime, data=data, name=name, detail=detail, cache=cache)


def media_kind(mime: str, otherwise: MediaKind) -> MediaKind:
    """What a MIME type is to a model."""
    match mime.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case "application" | "text":
            return "document"
        case _:
            return otherwise


def _audio(audio: Json, where: str, cache: CacheMark | None) -> Media:
    place = join(where, "input_audio")
    form = string(audio, "format", place).lower()
    data = filled_string(audio, "data", place, "base64 data")
    if data.startswith("data:"):
        return from_url("audio", data, join(place, "data"), cache=cache)
    mime = AUDIO_MIME.get(form) or (f"audio/{form}" if form else "audio/wav")
    return Media("audio", mime=mime, data=data, cache=cache)


def _file(file: Json, where: str, cache: CacheMark | None) -> Media:
    name = string(file, "filename", where)
    file_id = string(file, "file_id", where)
    data = string(file, "file_data", where)
    ending = name.rpartition(".")[2].lower()
    mime = FILE_MIME.get(ending, "application/pdf")
    if file_id:
        return Media("document", file_id=file_id, name=name, cache=cache)
    if not data:
        raise refuse(where, "expected file_data or file_id, got neither")
    if data.startswith(("data:", "http://", "https://")):
        return from_url("document", data, join(where, "file_data"), name=name, cache=cache)
    return Media(media_kind(mime, "document"), mime=mime, data=data, name=name, cache=cache)


def why_not(media: Media, capabilities: Capabilities) -> str:
    """Why a model cannot be given these media; empty when it can."""
    takes = {
        "image": capabilities.images,
        "document": capabilities.documents or bool(media.text),
        "audio": capabilities.audio,
        "video": capabilities.video and "video_url" in capabilities.dialect.takes,
    }
    if not takes[media.kind]:
        return f"the model takes no {media.kind} input"
    if media.kind == "image" and media.url and not capabilities.image_urls:
        return "the model takes images only with their data, not by URL"
    if media.kind == "image" and media.file_id:
        return "Chat Completions takes no image by file id"
    if media.kind == "document" and media.url and "document_url" in capabilities.dialect.takes:
        return ""
    if media.kind in ("audio", "document") and media.url:
        return f"Chat Completions takes no {media.kind} by URL"
    if media.kind == "audio" and AUDIO_FORMAT.get(media.mime) is None:
        return f"Chat Completions takes no {media.mime}"
    return ""


def encode_media(media: Media) -> Json:
    """Write media that `why_not` has nothing against."""
    match media:
        case Media(text=text) if text:
            return {"type": "text", "text": f"{media.name}\n\n{text}" if media.name else text}
        case Media(kind="image"):
            image: Json = {"url": media.url or data_url(media)}
            return {"type": "image_url", "image_url": image | ({"detail": media.detail} if media.detail else {})}
        case Media(kind="video"):
            return {"type": "video_url", "video_url": {"url": media.url or data_url(media)}}
        case Media(kind="audio"):
            return {"type": "input_audio", "input_audio": {"data": media.data, "format": AUDIO_FORMAT[media.mime]}}
        case Media(url=url) if url:
            return {"type": "document_url", "document_url": url}
        case Media(file_id=file_id) if file_id:
            return {"type": "file", "file": {"file_id": file_id}}
        case _:
            # OpenAI asks for a name beside the data.
            return {"type": "file", "file": {"filename": media.name or "file.pdf", "file_data": data_url(media)}}


def data_url(media: Media) -> str:
    """Inline media as a data URL."""
    return f"data:{media.mime or 'application/octet-stream'};base64,{media.data}"
