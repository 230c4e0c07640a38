"""The parts of a turn, in order."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bm.chat.signature import Signature

Json = dict[str, Any]
"""A decoded JSON object."""

MediaKind = Literal["image", "document", "audio", "video"]
ToolKind = Literal["function", "custom"]
StreamedKind = Literal["text", "thinking", "tool_call", "refusal"]
"""The kinds of parts that arrive in pieces."""


class CacheMark(msgspec.Struct, frozen=True):
    """The client wants the prompt cached up to here. `ttl` is `5m`, `1h` or empty for the default."""

    ttl: str = ""


class Source(msgspec.Struct, frozen=True):
    """A web page, and the `quote` from it that is cited.

    `start` and `end` bound the text that cites it, in characters of its part; -1 stands for the whole part.
    """

    url: str
    title: str = ""
    quote: str = ""
    start: int = -1
    end: int = -1


class Citation(msgspec.Struct, frozen=True):
    """A citation in `protocol`'s own form, for clients of that protocol, and the pages it names, for all others."""

    protocol: str
    raw: Json
    sources: tuple[Source, ...] = ()


class Search(msgspec.Struct, frozen=True):
    """The queries and results of a vendor's own web search; each may stand in a part of its own."""

    queries: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


class Text(msgspec.Struct, frozen=True):
    """Plain text, and its citations. `phase` is what OpenAI's models call it: commentary, or the final answer."""

    text: str
    signature: Signature | None = None
    cache: CacheMark | None = None
    citations: tuple[Citation, ...] = ()
    phase: str = ""


class Thinking(msgspec.Struct, frozen=True):
    """The model's reasoning. When `redacted`, `text` is empty and the signature's value is the encrypted content."""

    text: str
    signature: Signature | None = None
    redacted: bool = False


class Media(msgspec.Struct, frozen=True):
    """An image, document, audio or video: exactly one of `data` (base64), `text`, `url`, `file_id` is set.

    `text` holds a plain-text document. `mime` may be empty with `url` and `file_id`. `detail` is OpenAI's image detail.
    """

    kind: MediaKind
    mime: str = ""
    data: str = ""
    text: str = ""
    url: str = ""
    file_id: str = ""
    name: str = ""
    detail: str = ""
    signature: Signature | None = None
    cache: CacheMark | None = None

    @property
    def titled_text(self) -> str:
        """The text of a plain-text document below its name; empty for other media."""
        return f"{self.name}\n\n{self.text}" if self.name and self.text else self.text


class ToolCall(msgspec.Struct, frozen=True):
    """The model calls a tool of the client.

    `raw` is the arguments' JSON text where they came as text, `arguments` the object it holds (`parse_arguments`).
    For `custom` tools `raw` is the free-form input and `arguments` is {"input": raw}.
    """

    id: str
    name: str
    arguments: Json
    raw: str = ""
    kind: ToolKind = "function"
    signature: Signature | None = None
    cache: CacheMark | None = None


class ToolResult(msgspec.Struct, frozen=True):
    """The client's answer to a `ToolCall`. `name` is the tool's, when the protocol gave it."""

    call_id: str
    parts: tuple[ResultPart, ...] = ()
    is_error: bool = False
    name: str = ""
    kind: ToolKind = "function"
    cache: CacheMark | None = None

    @property
    def texts(self) -> list[str]:
        """What it says in words, piece by piece."""
        spoken = [each for each in self.parts if not isinstance(each, Media)]
        return [said for each in spoken if (said := each.text if isinstance(each, Text) else each.summary)]


class Refusal(msgspec.Struct, frozen=True):
    """The model's own words for declining."""

    text: str


class Opaque(msgspec.Struct, frozen=True):
    """Something that only one vendor's protocol has: server-tool calls and their results, unknown block types.

    An encoder of the same `protocol` writes `raw` again; any other uses `summary` as text when it is not empty and
    otherwise reports a loss named `kind`. `lost` is what the summary leaves out, and why. A `search` in an answer is
    shown in the client's own form, or not at all.
    """

    protocol: str
    kind: str
    raw: Json
    summary: str = ""
    search: Search | None = None
    lost: str = ""


ResultPart = Text | Media | Opaque
"""What the result of a tool may hold."""
Part = Text | Thinking | Media | ToolCall | ToolResult | Refusal | Opaque


def signed(part: Part, signature: Signature) -> Part:
    """The part with the signature, if its type can carry one."""
    if not isinstance(part, Text | ToolCall | Media):
        return part
    return msgspec.structs.replace(part, signature=signature)
