"""Content parts of messages and tool results in OpenAI's two APIs.

Clients mix the forms of Chat Completions and Responses, so both are accepted everywhere; each is written in its own.
"""

from __future__ import annotations

from typing import Any

from bm.chat.capabilities import Capabilities
from bm.chat.parts import CacheMark, Json, Media, MediaKind, Opaque, Part, Refusal, Text, Thinking
from bm.names import ProtocolName
from bm.protocols.media import (
    TYPE_OF_SUFFIX,
    data_of_url,
    data_url,
    file_name,
    is_textual,
    kind_of_type,
    lacking,
    suffix_of,
    type_of,
)
from bm.protocols.openai.citations import decode_citation
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

_KIND_AT_URL: dict[str, MediaKind] = {
    "image_url": "image",
    "input_image": "image",
    "video_url": "video",
    "document_url": "document",
    "file_url": "document",
}


def decode_content(value: Any, place: str, protocol: ProtocolName) -> tuple[Part, ...]:
    """Read `content`: absent, a string, or an array of parts. Empty texts are left out: no other API takes them."""
    if isinstance(value, str):
        return (Text(value),) if value else ()
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list):
        parts = (_decode_part(each, f"{place}[{index}]", protocol) for index, each in enumerate(value))
        return tuple(part for part in parts if part is not None)
    if value is not None:
        raise mismatch(place, "a string or an array of parts", value)
    return ()


def _decode_part(value: Any, place: str, protocol: ProtocolName) -> Part | None:
    """One part; None for an empty text. A part of unknown type is kept as `Opaque`."""
    if isinstance(value, str):
        return Text(value)
    part = element(value, place)
    match part.get("type") or ("text" if isinstance(part.get("text"), str) else None):
        case "text" | "input_text" | "output_text":
            text = string(part, "text", place)
            cited = objects_of(part["annotations"]) if "annotations" in part else ()
            citations = tuple(decode_citation(raw, protocol) for raw in cited)
            return Text(text, cache=decode_mark(part), citations=citations) if text else None
        case "image_url" | "input_image" | "video_url" | "document_url" | "file_url" as kind:
            return _at_url(_KIND_AT_URL[kind], part, "image_url" if kind == "input_image" else kind, place)
        case "input_audio":
            return _audio(required_mapping(part, "input_audio", place), join(place, "input_audio"), decode_mark(part))
        case "file":
            return _file(required_mapping(part, "file", place), join(place, "file"), decode_mark(part))
        case "input_file":
            return _file(part, place, decode_mark(part))
        case "refusal":
            return Refusal(string(part, "refusal", place))
        case "thinking":
            return Thinking(text) if (text := thinking_text(part.get("thinking"))) else None
        case str(kind):
            return Opaque(protocol, kind, part)
        case other:
            raise mismatch(join(place, "type"), "a string", other)


def thinking_text(value: Any) -> str:
    """The text of Mistral's `thinking` part, which holds a string or an array of text parts."""
    return string_of(value) or "".join(string_of(part.get("text")) for part in objects_of(value))


def decode_mark(part: Json) -> CacheMark | None:
    """OpenRouter's mark in Anthropic's form, or OpenAI's own, whose 12 hours become Anthropic's hour."""
    if isinstance(mark := part.get("cache_control"), dict):
        return CacheMark(str(mark.get("ttl") or ""))
    if isinstance(mark := part.get("prompt_cache_breakpoint"), dict):
        return CacheMark("1h" if mark.get("ttl") == "12h" else "")
    return None


def _at_url(kind: MediaKind, part: Json, key: str, place: str) -> Media:
    cache, detail = decode_mark(part), string_of(part.get("detail")).removeprefix("auto")
    if kind == "image" and part.get(key) is None and (file_id := string(part, "file_id", place)):
        return Media(kind, file_id=file_id, detail=detail, cache=cache)
    where = join(place, key)
    if isinstance(part.get(key), str):
        url = filled_string(part, key, place, "a URL")
    else:
        owner = required_mapping(part, key, place)
        url, detail = filled_string(owner, "url", where, "a URL"), string(owner, "detail", where) or detail
        where = join(where, "url")
    name = string_of(part.get(f"{kind}_name"))
    return media_at(kind, url, where, name=name, detail=detail, cache=cache)


def media_at(
    kind: MediaKind, url: str, place: str, *, name: str = "", detail: str = "", cache: CacheMark | None = None
) -> Media:
    """The media named by a URL; a data URL is taken apart.

    Raises:
        RequestError: a data URL without data.
    """
    if not url.startswith("data:"):
        return Media(kind, url=url, name=name, detail=detail, cache=cache)
    if (inline := data_of_url(url)) is None:
        raise refuse(place, "expected a data URL of the form data:<type>;base64,<data>")
    mime, data = inline
    return Media(kind_of_type(mime, kind), mime=mime, data=data, name=name, detail=detail, cache=cache)


def _audio(audio: Json, place: str, cache: CacheMark | None) -> Media:
    name = string(audio, "format", place).lower() or "wav"
    data = filled_string(audio, "data", place, "base64 data")
    if data.startswith("data:"):
        return media_at("audio", data, join(place, "data"), cache=cache)
    return Media("audio", mime=TYPE_OF_SUFFIX.get(name, f"audio/{name}"), data=data, cache=cache)


def _file(file: Json, place: str, cache: CacheMark | None) -> Media:
    name = string(file, "filename", place)
    if file_id := string(file, "file_id", place):
        return Media("document", file_id=file_id, name=name, cache=cache)
    data, url = string(file, "file_data", place), string(file, "file_url", place)
    if not data and not url:
        raise refuse(place, "expected file_data, file_url or file_id, got none of them")
    if url or data.startswith(("data:", "http://", "https://")):
        return media_at(
            "document", url or data, join(place, "file_url" if url else "file_data"), name=name, cache=cache
        )
    mime = TYPE_OF_SUFFIX.get(name.rpartition(".")[2].lower(), "application/pdf")
    return Media(kind_of_type(mime), mime=mime, data=data, name=name, cache=cache)


def chat_objection(media: Media, capabilities: Capabilities) -> str:
    """Why a model cannot be given media over Chat Completions; empty when it can."""
    takes = capabilities.dialect.takes
    if reason := lacking(media, capabilities):
        return reason
    if media.kind == "video" and "video_url" not in takes:
        return "the model takes no video input"
    if media.kind == "image" and media.url and not capabilities.image_urls:
        return "the model takes images only with their data, not by URL"
    if media.kind == "image" and media.file_id:
        return "Chat Completions takes no image by file id"
    if media.kind == "audio" and (media.url or not suffix_of(media)):
        return f"Chat Completions takes no {'audio by URL' if media.url else media.mime}"
    if media.kind == "document" and media.url and "document_url" not in takes:
        return "Chat Completions takes no document by URL"
    if media.kind == "document" and media.data and is_textual(type_of(media)):
        return f"Chat Completions takes no {type_of(media)}"
    return ""


def encode_chat_media(media: Media) -> Json:
    """Write media to which there is no `chat_objection`."""
    match media:
        case Media(kind="image"):
            image: Json = {"url": media.url or data_url(media)}
            return {"type": "image_url", "image_url": image | ({"detail": media.detail} if media.detail else {})}
        case Media(kind="video"):
            return {"type": "video_url", "video_url": {"url": media.url or data_url(media)}}
        case Media(kind="audio"):
            return {"type": "input_audio", "input_audio": {"data": media.data, "format": suffix_of(media)}}
        case Media(url=url) if url:
            return {"type": "document_url", "document_url": url}
        case Media(file_id=file_id) if file_id:
            return {"type": "file", "file": {"file_id": file_id}}
        case _:
            return {"type": "file", "file": {"filename": file_name(media), "file_data": data_url(media)}}


def responses_objection(media: Media, capabilities: Capabilities) -> str:
    """Why a model cannot be given media over the Responses API; empty when it can."""
    takes = media.kind in ("image", "document")
    return lacking(media, capabilities) if takes else f"the Responses API takes no {media.kind}"


def encode_responses_media(media: Media) -> Json:
    """Write media to which there is no `responses_objection`."""
    if media.kind == "image":
        where = {"file_id": media.file_id} if media.file_id else {"image_url": media.url or data_url(media)}
        return {"type": "input_image", "detail": media.detail or "auto", **where}
    if media.file_id:
        return {"type": "input_file", "file_id": media.file_id}
    if media.url:
        return {"type": "input_file", "file_url": media.url}
    return {"type": "input_file", "filename": file_name(media), "file_data": data_url(media)}
