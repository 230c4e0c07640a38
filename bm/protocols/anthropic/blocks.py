"""Parts of a request, written as content blocks."""

from __future__ import annotations

import base64
import binascii

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import Loss
from bm.errors import Failure, RequestError
from bm.protocols import call_ids
from bm.protocols.anthropic.wire import PROTOCOL, cache_control

_MAGIC = (("/9j/", "image/jpeg"), ("iVBORw", "image/png"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"))
"""How the four image types that Claude reads begin in base64."""

_TEXTUAL = frozenset(
    {"application/json", "application/xml", "application/javascript", "application/x-yaml", "application/yaml"}
)


class BlockWriter:
    """Writes parts for one request and gathers what could not be written.

    `citations` is False where the target refuses them on user text.
    """

    def __init__(self, capabilities: Capabilities, *, native: bool, citations: bool) -> None:
        self.losses: list[Loss] = []
        self.betas: set[str] = set()
        self._capabilities = capabilities
        self._native = native
        self._citations = citations

    def system(self, texts: tuple[Text, ...]) -> list[Json]:
        """The `system` of the body."""
        return [self._text(text, citations=self._native) for text in texts if text.text.strip()]

    def part(self, part: Part, role: str, place: str) -> list[Json]:
        """The blocks of one part; none when there is nothing to say or it cannot be said."""
        match part:
            case Text():
                return [self._text(part, citations=role == "assistant" or self._citations)] if part.text.strip() else []
            case Refusal(text=text):
                return [{"type": "text", "text": text}] if text.strip() else []
            case Thinking():
                return self._thinking(part)
            case ToolCall():
                return [_tool_use(part)]
            case ToolResult():
                return self._tool_result(part, place)
            case Media():
                return [self._media(part, place)]
            case Opaque():
                return self._opaque(part, place)

    def _text(self, part: Text, *, citations: bool) -> Json:
        block: Json = {"type": "text", "text": part.text}
        if part.citations and citations and self._native:
            block["citations"] = [cited.raw for cited in part.citations]
        if part.cache is not None:
            block["cache_control"] = cache_control(part.cache)
        return block

    def _thinking(self, part: Thinking) -> list[Json]:
        signature = part.signature
        family = self._capabilities.family
        if (
            signature is None
            or signature.vendor != PROTOCOL
            or (family and signature.family and signature.family != family)
        ):
            # Nobody misses it: what another model thought instructs no one.
            return []
        if part.redacted:
            return [{"type": "redacted_thinking", "data": signature.value}]
        return [{"type": "thinking", "thinking": part.text, "signature": signature.value}]

    def _tool_result(self, part: ToolResult, place: str) -> list[Json]:
        """The result, and after it the media that the target does not take inside."""
        block: Json = {"type": "tool_result", "tool_use_id": call_ids.clean(part.call_id)}
        beside: list[Json] = []
        inside: list[Json] = []
        for number, inner in enumerate(part.parts):
            written = self.part(inner, "user", f"{place}.content[{number}]")
            hoisted = isinstance(inner, Media) and not self._capabilities.media_in_results
            (beside if hoisted else inside).extend(written)
        match inside:
            case []:
                block["content"] = ""
            case [{"type": "text", "text": text, **rest}] if not rest:
                block["content"] = text
            case _:
                block["content"] = inside
        if part.is_error:
            block["is_error"] = True
        if part.cache is not None:
            block["cache_control"] = cache_control(part.cache)
        return [block, *beside]

    def _opaque(self, part: Opaque, place: str) -> list[Json]:
        if part.protocol == PROTOCOL:
            return [part.raw]
        if part.summary.strip():
            return [{"type": "text", "text": part.summary}]
        self.losses.append(Loss(f"{place} ({part.kind})", "unknown to Anthropic"))
        return []

    def _media(self, part: Media, place: str) -> Json:
        if part.kind not in ("image", "document"):
            raise _unsupported(place, f"Claude takes no {part.kind}")
        if part.kind == "image" and not self._capabilities.images:
            raise _unsupported(place, "the model takes no images")
        if part.kind == "document" and not self._capabilities.documents:
            raise _unsupported(place, "the model takes no documents")
        block: Json = {"type": part.kind, "source": self._source(part, place)}
        if part.kind == "document" and part.name:
            block["title"] = part.name
        if part.cache is not None:
            block["cache_control"] = cache_control(part.cache)
        return block

    def _source(self, part: Media, place: str) -> Json:
        if part.url:
            if not self._capabilities.image_urls:
                raise _unsupported(place, "the model takes no media by URL")
            return {"type": "url", "url": part.url}
        if part.file_id:
            if not self._native:
                raise _unsupported(place, "the file was uploaded to another vendor")
            self.betas.add("files-api-2025-04-14")
            return {"type": "file", "file_id": part.file_id}
        if part.text:
            return {"type": "text", "media_type": "text/plain", "data": part.text}
        return _base64_source(part, place)


def _base64_source(part: Media, place: str) -> Json:
    mime = part.mime.partition(";")[0].strip().lower()
    if part.kind == "image":
        mime = "image/jpeg" if mime == "image/jpg" else mime
        mime = mime or next((name for magic, name in _MAGIC if part.data.startswith(magic)), "image/png")
    elif mime.startswith("text/") or mime in _TEXTUAL:
        return {"type": "text", "media_type": "text/plain", "data": _decoded(part.data, place)}
    elif mime not in ("", "application/pdf"):
        raise _unsupported(place, f"Claude reads PDF and text, not {mime}")
    else:
        mime = "application/pdf"
    return {"type": "base64", "media_type": mime, "data": part.data}


def _decoded(data: str, place: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _unsupported(place, f"the document is not UTF-8 text in base64 ({error})") from error


def _tool_use(part: ToolCall) -> Json:
    block: Json = {
        "type": "tool_use",
        "id": call_ids.clean(part.id),
        "name": part.name,
        "input": part.arguments,
    }
    if part.cache is not None:
        block["cache_control"] = cache_control(part.cache)
    return block


def _unsupported(place: str, message: str) -> RequestError:
    return RequestError(Failure(kind="bad_request", message=f"{place}: {message}", param=place))
