"""Content parts of messages and tool results, in both directions."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from bm.chat.parts import CacheMark, Json, Media, Opaque, Refusal, Text
from bm.protocols.openai_responses.citations import PROTOCOL, decode_citation
from bm.protocols.reading import mismatch, objects_of, refuse, string

_MIME_BY_SUFFIX = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
    "json": "application/json",
    "xml": "text/xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_AUDIO_MIME = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm16": "audio/pcm"}
_SUFFIX_BY_MIME = {mime: suffix for suffix, mime in reversed(_MIME_BY_SUFFIX.items())}

_CONTENT_PREFIXES = ("input_", "output_")

Content = Text | Media | Refusal | Opaque


def decode_content(content: Any, path: str) -> tuple[Content, ...]:
    """Read the `content` of a message or the `output` of a tool: a string or a list of parts.

    Raises:
        RequestError: it is neither.
    """
    match content:
        case str():
            return (Text(content),)
        case list():
            return tuple(_decode_part(part, f"{path}[{i}]") for i, part in enumerate(content))
        case _:
            raise mismatch(path, "a string or an array of parts", content)


def _decode_part(part: Any, path: str) -> Content:
    match part:
        case {"type": "input_text" | "output_text" | "text", "text": str(text)}:
            citations = objects_of(part.get("annotations"))
            return Text(text, cache=_cache(part), citations=tuple(decode_citation(raw) for raw in citations))
        case {"type": "refusal", "refusal": str(text)}:
            return Refusal(text)
        case {"type": "input_image"}:
            return _decode_image(part, path)
        case {"type": "input_file"}:
            return _decode_file(part, path)
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(sound)}}:
            return Media("audio", mime=_AUDIO_MIME.get(sound, f"audio/{sound}"), data=data)
        case {"type": "input_text" | "output_text" | "text" | "refusal" | "input_audio" as kind}:
            raise refuse(path, f"not a valid {kind} part")
        case {"type": str(kind)}:
            return Opaque(PROTOCOL, kind, part)
        case _:
            raise refuse(path, "expected a content part with a type")


def _cache(part: Json) -> CacheMark | None:
    match part.get("prompt_cache_breakpoint"):
        case {"ttl": "12h"}:
            return CacheMark("1h")
        case {"mode": _}:
            return CacheMark()
        case _:
            return None


def _decode_image(part: Json, path: str) -> Media:
    detail = string(part, "detail", path).removeprefix("auto")
    common: dict[str, Any] = {"kind": "image", "detail": detail, "cache": _cache(part)}
    match part:
        case {"image_url": str(url)} | {"image_url": {"url": str(url)}}:
            return _from_url(url, common)
        case {"file_id": str(file_id)}:
            return Media(file_id=file_id, **common)
        case _:
            raise refuse(path, "an image needs image_url or file_id")


def _decode_file(part: Json, path: str) -> Media:
    name = string(part, "filename", path)
    common: dict[str, Any] = {"kind": "document", "name": name, "cache": _cache(part)}
    match part:
        case {"file_data": str(data)} if data.startswith("data:"):
            return _from_url(data, common)
        case {"file_data": str(data)}:
            return Media(mime=_mime_of_name(name), data=data, **common)
        case {"file_url": str(url)}:
            return _from_url(url, common)
        case {"file_id": str(file_id)}:
            return Media(file_id=file_id, **common)
        case _:
            raise refuse(path, "a file needs file_data, file_url or file_id")


def _from_url(url: str, common: dict[str, Any]) -> Media:
    inline = data_of_url(url)
    if inline is None:
        return Media(url=url, **common)
    mime, data = inline
    return Media(mime=mime, data=data, **common)


def data_of_url(url: str) -> tuple[str, str] | None:
    """The media type and the base64 data of a `data:` URL (RFC 2397); None for any other."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:"):
        return None
    mime, _, parameters = head.removeprefix("data:").partition(";")
    if "base64" not in parameters.split(";"):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return mime or "text/plain", data


def _mime_of_name(name: str) -> str:
    return _MIME_BY_SUFFIX.get(name.rpartition(".")[2].lower(), "application/pdf")


def is_content(part: Opaque) -> bool:
    """Whether an unknown part of this protocol's stood inside a message, not as an item of its own."""
    named = part.kind.startswith(_CONTENT_PREFIXES) or part.kind == "computer_screenshot"
    return part.protocol == PROTOCOL and named


def encode_content(parts: Sequence[Text | Media | Opaque], path: str) -> list[Json]:
    """Write what a user said, or what a tool returned.

    Raises:
        RequestError: sound or film, which the Responses API does not take.
    """
    return [_encode_part(part, path) for part in parts]


def _encode_part(part: Text | Media | Opaque, path: str) -> Json:
    match part:
        case Opaque(raw=raw):
            return raw
        case Text(text=text):
            return {"type": "input_text", "text": text}
        case Media(kind="image"):
            where = {"file_id": part.file_id} if part.file_id else {"image_url": part.url or _data_url(part)}
            return {"type": "input_image", "detail": part.detail or "auto", **where}
        case Media(kind="document", text=text) if text:
            return {"type": "input_text", "text": f"{part.name}\n\n{text}" if part.name else text}
        case Media(kind="document"):
            return {"type": "input_file", **_file(part)}
        case Media(kind=kind):
            raise refuse(path, f"the Responses API takes no {kind}")


def _file(media: Media) -> Json:
    if media.file_id:
        return {"file_id": media.file_id}
    if media.url:
        return {"file_url": media.url}
    name = media.name or f"document.{_SUFFIX_BY_MIME.get(media.mime, 'pdf')}"
    return {"filename": name, "file_data": _data_url(media)}


def _data_url(media: Media) -> str:
    fallback = "image/png" if media.kind == "image" else "application/pdf"
    return f"data:{media.mime or fallback};base64,{media.data}"
