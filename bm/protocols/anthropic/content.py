"""Content blocks, read into parts and written from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import (
    CacheMark,
    Json,
    Media,
    Opaque,
    Part,
    Refusal,
    ResultPart,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    signed,
)
from bm.chat.signature import NEXT, PREVIOUS, REDACTED, Signature, accepted, unwrap
from bm.names import ANTHROPIC
from bm.protocols import reading
from bm.protocols.anthropic.cache_control import decode_mark, encode_mark
from bm.protocols.anthropic.citations import decode_citation, decode_search
from bm.protocols.anthropic.thinking import may_be_claudes
from bm.protocols.media import lacking, text_in, type_of
from bm.protocols.tools import legal_call_id

FOREIGN = "bm"
"""The vendor of an empty wrapped signature, which only marks thinking as not Claude's own."""


def decode_content(content: Any, place: str, unread: reading.Unread) -> tuple[Part, ...]:
    """The parts of a message's `content`, which may be a string.

    Thinking that carries another vendor's wrapped signature hands it to the part that follows; its text stays as
    thinking without a vendor.
    """
    if isinstance(content, str):
        return (Text(content),) if content else ()
    parts: list[Part] = []
    pending: Signature | None = None
    if content is not None and not isinstance(content, list):
        raise reading.mismatch(place, "a string or an array", content)
    for number, block in enumerate(content or ()):
        part = _bare_text(block) or decode_block(block, f"{place}[{number}]", unread)
        if isinstance(part, Thinking):
            kept, about, carried = _unwrapped(part)
            if carried is not None and about == PREVIOUS and parts:
                parts[-1] = signed(parts[-1], carried)
                carried = None
            parts += [kept] if kept is not None else []
            pending = carried or pending
            continue
        if pending is not None and isinstance(part, Text | ToolCall | Media):
            part, pending = signed(part, pending), None
        parts.append(part)
    return tuple(parts)


def _bare_text(block: Any) -> Text | None:
    """A block of text and nothing else, as most are."""
    if type(block) is dict and len(block) == 2 and block.get("type") == "text" and type(block.get("text")) is str:
        return Text(block["text"])
    return None


def _unwrapped(part: Thinking) -> tuple[Thinking | None, str, Signature | None]:
    """The thinking itself (None if nothing is left), and the signature it carried for another part."""
    found = unwrap(part.signature.value) if part.signature is not None else None
    if found is None:
        return part, "", None
    signature, about = found
    bare = Thinking(part.text) if part.text else None
    if about in (NEXT, PREVIOUS):
        return bare, about, signature
    if signature.vendor == FOREIGN:
        return bare, "", None
    return Thinking(part.text, signature=signature, redacted=about == REDACTED), "", None


def decode_block(block: Any, place: str, unread: reading.Unread) -> Part:
    """One content block. A type that is not known here becomes `Opaque`."""
    raw = reading.element(block, place)
    kind = reading.required_string(raw, "type", place)
    if kind == "tool_result":
        part: Part = _tool_result(raw, place, unread)
    else:
        part = _READERS[kind](raw, place) if kind in _READERS else opaque(raw)
    if not isinstance(part, Opaque):
        unread.rest(raw, MEMBERS[kind], place)
    return part


def opaque(raw: Json) -> Opaque:
    """A block that only this protocol has, with a summary in words."""
    return Opaque(ANTHROPIC, str(raw.get("type", "")), raw, summary(raw), decode_search(raw))


def decode_text(raw: Json, place: str) -> Text:
    """A block of text."""
    cited = reading.elements(raw, "citations", place) if "citations" in raw else ()
    return Text(
        reading.required_string(raw, "text", place),
        cache=decode_mark(raw, place),
        citations=tuple(decode_citation(each) for each, _ in cited) if cited else (),
    )


def _media(raw: Json, place: str) -> Media | Opaque:
    source, at = reading.required_mapping(raw, "source", place), f"{place}.source"
    kind = reading.string_of(source.get("type"))
    if kind not in _SOURCES:
        return opaque(raw)
    key, field = _SOURCES[kind]
    content: Json = {field: reading.required_string(source, key, at)}
    return Media(
        raw["type"],
        mime=reading.string(source, "media_type", at),
        name=reading.string(raw, "title", place),
        cache=decode_mark(raw, place),
        **content,
    )


def _thinking(raw: Json, place: str) -> Thinking:
    redacted = raw["type"] == "redacted_thinking"
    value = reading.required_string(raw, "data", place) if redacted else reading.string(raw, "signature", place)
    signature = Signature(ANTHROPIC, value) if value or redacted else None
    return Thinking(reading.string(raw, "thinking", place), signature=signature, redacted=redacted)


def _tool_use(raw: Json, place: str) -> ToolCall:
    return ToolCall(
        id=reading.required_string(raw, "id", place),
        name=reading.required_string(raw, "name", place),
        arguments=reading.required_mapping(raw, "input", place),
        cache=decode_mark(raw, place),
    )


def _tool_result(raw: Json, place: str, unread: reading.Unread) -> ToolResult:
    parts: list[ResultPart] = []
    for number, part in enumerate(decode_content(raw.get("content"), f"{place}.content", unread)):
        if not isinstance(part, ResultPart):
            raise reading.refuse(f"{place}.content[{number}]", "a tool result cannot hold such a block")
        parts.append(part)
    return ToolResult(
        reading.required_string(raw, "tool_use_id", place),
        tuple(parts),
        is_error=raw.get("is_error") is True,
        cache=decode_mark(raw, place),
    )


_SOURCES = {"base64": ("data", "data"), "text": ("data", "text"), "url": ("url",) * 2, "file": ("file_id",) * 2}
"""The member of each kind of `source`, and the field of `Media` that it becomes."""
_READERS: dict[str, Callable[[Json, str], Part]] = {
    "text": decode_text,
    "image": _media,
    "document": _media,
    "thinking": _thinking,
    "redacted_thinking": _thinking,
    "tool_use": _tool_use,
}
MEMBERS: dict[str, frozenset[str]] = {
    "text": frozenset({"type", "text", "citations", "cache_control"}),
    **dict.fromkeys(("image", "document"), frozenset({"type", "source", "title", "cache_control"})),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
}
"""The members of each block type that the canonical form has."""


def summary(block: Json) -> str:
    """A block in words; empty if it has none that a model could use (a container upload, a fallback note)."""
    match block:
        case {"type": "tool_reference", "tool_name": str(name)}:
            return f"The tool {name} is available."
        case {"type": "tool_addition" | "tool_removal" as kind, "tool": dict(tool)}:
            name = tool.get("name") or tool.get("tool_name") or "named there"
            return f"The tool {name} is {'now' if kind == 'tool_addition' else 'no longer'} available."
        case {"type": "server_tool_use", "input": {"code": str(code)} | {"command": str(code)}}:
            return f"```\n{code}\n```"
        case {"type": "server_tool_use" | "mcp_tool_use", "name": str(name)}:
            return f"Called {name} with {msgspec.json.encode(block.get('input', {})).decode()}"
        case {"type": "search_result", "content": content} | {"type": "document", "source": {"content": content}}:
            return _titled(block, _texts(content))
        case {"type": "compaction", "content": str(text)}:
            return text
        case {"type": str(kind), "content": content} if kind.endswith("_tool_result"):
            if "code_execution" not in kind:
                return _texts(content)
            output = _texts(content).strip("\n")
            return f"```\n{output}\n```" if output else ""
    return ""


def _titled(block: Json, text: str) -> str:
    heads = [value for value in (block.get("title"), block.get("source")) if isinstance(value, str)]
    return "\n".join(value for value in (*heads, text) if value)


def _texts(value: Any) -> str:
    """The readable strings of a result, in order."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(text for text in map(_texts, value) if text)
    if not isinstance(value, dict):
        return ""
    match value:
        case {"type": "web_search_result"}:
            return f"{value.get('title', '')} {value.get('url', '')}".strip()
        case {"type": "tool_reference", "tool_name": str(name)}:
            return name
        case {"error_code": str(code)}:
            return f"Error: {code}"
        case {"source": {"type": "text", "data": str(text)}}:
            return _titled({"title": value.get("title")}, text)
    pieces = (_texts(value.get(name)) for name in ("title", "url", "text", "stdout", "stderr", "content"))
    return "\n".join(piece for piece in (*pieces, _texts(value.get("tool_references"))) if piece)


_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")


class BlockWriter:
    """Writes parts for one request. `betas` are the features of the API that it uses.

    `citations` is False where the target refuses them on user text.
    """

    def __init__(self, capabilities: Capabilities, *, native: bool, citations: bool) -> None:
        self.betas: set[str] = set()
        self._capabilities = capabilities
        self._native = native
        self._citations = citations

    def system(self, texts: tuple[Text, ...]) -> list[Json]:
        """The `system` of the body."""
        return [self._text(text, citations=self._native) for text in texts if text.text.strip()]

    def accepts(self, part: Thinking) -> bool:
        """Whether the thinking is the model's own."""
        signature = accepted(part.signature, ANTHROPIC, self._capabilities.family)
        return signature is not None and (
            part.redacted or not self._capabilities.family or may_be_claudes(signature.value)
        )

    def objection(self, media: Media) -> str:
        """Why media cannot be sent; empty when they can."""
        if media.kind not in ("image", "document"):
            return f"Claude takes no {media.kind}"
        if media.url and not self._capabilities.image_urls:
            return "the model takes no media by URL"
        if media.file_id and not self._native:
            return "the file was uploaded to another vendor"
        if media.data and media.kind == "image" and type_of(media) not in _IMAGES:
            return f"Claude reads JPEG, PNG, GIF and WebP, not {type_of(media)}"
        if media.data and media.kind == "document" and type_of(media) != "application/pdf":
            return "" if text_in(media) is not None else f"Claude reads PDF and UTF-8 text, not this {type_of(media)}"
        return lacking(media, self._capabilities)

    def part(self, part: Part, role: str) -> list[Json]:
        """The blocks of one part; several where a result's media stand beside it."""
        match part:
            case Text():
                return [self._text(part, citations=role == "assistant" or self._citations)] if part.text.strip() else []
            case Refusal(text=text):
                return [{"type": "text", "text": text}]
            case Thinking(redacted=True, signature=Signature(value=value)):
                return [{"type": "redacted_thinking", "data": value}]
            case Thinking(text=text, signature=signature):
                value = signature.value if signature is not None else ""
                return [{"type": "thinking", "thinking": text, "signature": value}]
            case ToolCall():
                call = {"type": "tool_use", "id": legal_call_id(part.id), "name": part.name, "input": part.arguments}
                return [_marked(call, part.cache)]
            case ToolResult():
                return self._tool_result(part)
            case Media():
                title = {"title": part.name} if part.kind == "document" and part.name else {}
                return [_marked({"type": part.kind, "source": self._source(part), **title}, part.cache)]
            case Opaque(raw=raw):
                return [raw]

    def _text(self, part: Text, *, citations: bool) -> Json:
        block: Json = {"type": "text", "text": part.text}
        if part.citations and citations and self._native:
            block["citations"] = [cited.raw for cited in part.citations]
        return _marked(block, part.cache)

    def _tool_result(self, part: ToolResult) -> list[Json]:
        """The result, and after it the media that the target does not take inside."""
        block: Json = {"type": "tool_result", "tool_use_id": legal_call_id(part.call_id)}
        beside: list[Json] = []
        inside: list[Json] = []
        for inner in part.parts:
            # Beside an error there is only text: vellum-ai/vellum-assistant#18387 (2026-03-17).
            hoisted = isinstance(inner, Media) and (part.is_error or not self._capabilities.media_in_results)
            (beside if hoisted else inside).extend(self.part(inner, "user"))
        match inside:
            case []:
                # An error has to say something:
                # aws-samples/sample-multi-agent-orchestration-chat-on-agentcore#15 (2026-06-01).
                block["content"] = "error" if part.is_error else ""
            case [{"type": "text", "text": text, **rest}] if not rest:
                block["content"] = text
            case _:
                block["content"] = inside
        if part.is_error:
            block["is_error"] = True
        return [_marked(block, part.cache), *beside]

    def _source(self, part: Media) -> Json:
        if part.url:
            return {"type": "url", "url": part.url}
        if part.file_id:
            self.betas.add("files-api-2025-04-14")
            return {"type": "file", "file_id": part.file_id}
        if part.kind == "document" and (text := text_in(part)) is not None:
            return {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "base64", "media_type": type_of(part), "data": part.data}


def _marked(block: Json, cache: CacheMark | None) -> Json:
    return block if cache is None else {**block, "cache_control": encode_mark(cache)}
