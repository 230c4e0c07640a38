"""What a call requires of a target: media, tools, room for its tokens.

It is read from the bytes, as parsing a coding agent's body costs more than routing it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from bm.chat.parts import Json
from bm.dispatch.snapshot import Requirements
from bm.errors import UNREADABLE
from bm.names import ProtocolName
from bm.protocols.media import is_text
from bm.protocols.reading import string_of
from bm.protocols.words import AUDIO, DOCUMENTS, ENCODED, IMAGES, MEDIA, TOOLS, VIDEO, Words, words_of

MAX_BYTES_PER_TOKEN = 10
"""Of a request in text; prose has 4, code with deep indentation or escaped letters 7."""
MIN_TOKENS = 1000
"""Every model takes this many, so fewer need not be counted."""
_DOCUMENTS = frozenset({"document", "file", "input_file"})
"""The types of pieces that hold a document."""
_IMAGE_TYPE = re.compile(rb'"(?:type"\s*:\s*"(?:image|image_url|input_image)"|[a-zA-Z_]+"\s*:\s*"image/)')
_DOCUMENT_TYPE = re.compile(rb'"(?:type"\s*:\s*"(?:document|file|input_file)"|[a-zA-Z_]+"\s*:\s*"application/pdf")')
_EFFORT = re.compile(rb'"reasoning_effort"\s*:\s*"([a-z]+)"')


class _Message(msgspec.Struct):
    """A message, or an item of the Responses API."""

    role: str | None = None
    type: str | None = None
    content: msgspec.Raw = msgspec.Raw()
    parts: msgspec.Raw = msgspec.Raw()


class _Body(msgspec.Struct):
    """The conversation, under each protocol's name for it."""

    messages: list[_Message] = []
    input: list[_Message] = []
    contents: list[_Message] = []


class _Piece(msgspec.Struct):
    """What distinguishes a tool's result from a user's content."""

    type: str | None = None
    functionResponse: msgspec.Raw = msgspec.Raw()
    function_response: msgspec.Raw = msgspec.Raw()

    @property
    def is_result(self) -> bool:
        return self.type == "tool_result" or bool(bytes(self.functionResponse) or bytes(self.function_response))


def requirements_of(body: bytes, protocol: ProtocolName, words: Words) -> Requirements:
    """What a target must support. `tokens` is a lower bound; it is 0 where media may make up most of the bytes.

    `words` are those of the body.

    The list of messages is parsed only where there are media, to see whether the newest message holds them.
    """
    tokens = len(body) // MAX_BYTES_PER_TOKEN
    may_hold_media = not MEDIA.isdisjoint(words)
    media = _media(body, words) if may_hold_media else frozenset[str]()
    return Requirements(
        tokens=tokens if tokens > MIN_TOKENS and not may_hold_media and ENCODED.isdisjoint(words) else 0,
        images="images" in media,
        documents="documents" in media,
        audio="audio" in media,
        video="video" in media,
        tools=TOOLS in words,
        effort=_effort(body) if protocol == "openai-chat" else "",
        replaceable=media - _media_in(_newest(body, protocol)) if media else media,
    )


def _effort(body: bytes) -> str:
    found = _EFFORT.search(body) if b'"reasoning_effort"' in body else None
    return found[1].decode() if found is not None else ""


def holds_images(body: bytes, words: Words) -> bool:
    """Whether a request contains images, anywhere."""
    return not IMAGES.isdisjoint(words) and _IMAGE_TYPE.search(body) is not None


def _media_in(body: bytes) -> frozenset[str]:
    return _media(body, words_of(body))


def _media(body: bytes, words: Words) -> frozenset[str]:
    documents = not DOCUMENTS.isdisjoint(words) and _DOCUMENT_TYPE.search(body) is not None
    found = {
        "images": holds_images(body, words),
        "documents": documents and not _are_text(body),
        "audio": not AUDIO.isdisjoint(words),
        "video": not VIDEO.isdisjoint(words),
    }
    return frozenset(name for name, held in found.items() if held)


def _are_text(body: bytes) -> bool:
    """Whether all documents in a body, or in pieces of one, are plain text, which every model takes."""
    try:
        waiting = [msgspec.json.decode(b"[" + body + b"]")]
    except UNREADABLE:
        return False
    while waiting:
        value = waiting.pop()
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if isinstance(value, dict) and _is_document(value) and not is_text(value):
            return False
    return True


def _is_document(piece: Json) -> bool:
    return string_of(piece.get("type")) in _DOCUMENTS or "application/pdf" in (
        piece.get("mimeType"),
        piece.get("mime_type"),
    )


def _newest(body: bytes, protocol: ProtocolName) -> bytes:
    """The user's newest content; the whole body where its structure is not understood."""
    try:
        found = msgspec.json.decode(body, type=_Body)
        pieces = list(_newest_pieces(found.messages or found.input or found.contents, protocol))
    except UNREADABLE:
        return body
    return b",".join(pieces)


def _newest_pieces(messages: Sequence[_Message], protocol: ProtocolName) -> Iterator[bytes]:
    """The pieces of the user's newest message, and of what came along with tool results since.

    With Gemini, media beside a tool's result belong to the tool, and with Chat those in the message behind it: results
    had no room for them (opencode 1.18, "Attached media from tool result").
    """
    for number, message in reversed(list(enumerate(messages))):
        if number and messages[number - 1].role == "tool":
            continue
        if message.role not in ("user", None) or message.type not in ("message", None):
            continue
        pieces = _pieces(bytes(message.content) or bytes(message.parts))
        content = [piece for piece, is_result in pieces if not is_result]
        has_results = len(content) < len(pieces)
        if not has_results or protocol != "gemini":
            yield from content
        if not has_results:
            return


def _pieces(content: bytes) -> list[tuple[bytes, bool]]:
    """The pieces of a message, each with whether it is a tool's result."""
    if not content.startswith(b"["):
        return [(content, False)]
    raw = msgspec.json.decode(content, type=list[msgspec.Raw])
    return [(bytes(each), msgspec.json.decode(each, type=_Piece).is_result) for each in raw]
