"""What a request holds that not every model takes, seen in its bytes: parsing a large body costs more than routing.

A member name in quotes cannot stand in a text: there, the quotes are escaped. Only where there are media is the list of
messages taken apart, to see whether the person has just sent them; the messages themselves stay bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from bm.dispatch.snapshot import Requirements
from bm.names import ProtocolName

_IMAGE = (b'"image', b'"input_image"')
_DOCUMENT = (b'"document"', b'"file_data"', b'"input_file"', b'"application/pdf"')
_AUDIO = (b'"input_audio"', b'"audio/')
_VIDEO = (b'"video_url"', b'"video/')
_IMAGE_TYPE = re.compile(rb'"(?:type"\s*:\s*"(?:image|image_url|input_image)"|[a-zA-Z_]+"\s*:\s*"image/)')
_DOCUMENT_TYPE = re.compile(rb'"(?:type"\s*:\s*"(?:document|file|input_file)"|[a-zA-Z_]+"\s*:\s*"application/pdf")')
_MEDIA = re.compile(
    rb'"(?:image(?:_url"|"|/)|input_(?:image|file|audio)"|document"|file_data"|application/pdf"|audio/'
    rb'|video(?:_url"|/)|inline(?:Data|_data)")'
)
"""Whatever may be media. One look for all of them takes as long as one for each word, as all begin with a quote."""
MOST_BYTES_PER_TOKEN = 10
"""Of a request in text; prose has 4, code with deep indentation or escaped letters 7."""
FEW_TOKENS = 1000
"""There is no model that does not take so many."""
_TOOLS = re.compile(rb'"tools"\s*:\s*\[\s*\{')


class _Message(msgspec.Struct):
    """A message, or an item of the Responses API."""

    role: str | None = None
    type: str | None = None
    content: msgspec.Raw = msgspec.Raw()
    parts: msgspec.Raw = msgspec.Raw()


class _Body(msgspec.Struct):
    """The conversation, under the name that each protocol has for it."""

    messages: list[_Message] = []
    input: list[_Message] = []
    contents: list[_Message] = []


class _Piece(msgspec.Struct):
    """What tells a tool's result from what a person says."""

    type: str | None = None
    functionResponse: msgspec.Raw = msgspec.Raw()
    function_response: msgspec.Raw = msgspec.Raw()

    @property
    def is_result(self) -> bool:
        return self.type == "tool_result" or bool(bytes(self.functionResponse) or bytes(self.function_response))


def requirements_of(body: bytes, protocol: ProtocolName) -> Requirements:
    """What the body holds. `tokens` is a lower bound, and unknown where media may stand for most of the bytes."""
    tokens = len(body) // MOST_BYTES_PER_TOKEN
    marked = _MEDIA.search(body) is not None
    media = _media(body) if marked else frozenset[str]()
    return Requirements(
        tokens=tokens if tokens > FEW_TOKENS and not marked and b"base64" not in body else 0,
        images="images" in media,
        documents="documents" in media,
        audio="audio" in media,
        video="video" in media,
        tools=_TOOLS.search(body) is not None,
        past=media - _media(_newest(body, protocol)) if media else media,
    )


def _media(body: bytes) -> frozenset[str]:
    found = {
        "images": _holds(body, _IMAGE) and _IMAGE_TYPE.search(body) is not None,
        "documents": _holds(body, _DOCUMENT) and _DOCUMENT_TYPE.search(body) is not None,
        "audio": _holds(body, _AUDIO),
        "video": _holds(body, _VIDEO),
    }
    return frozenset(name for name, held in found.items() if held)


def _holds(body: bytes, words: tuple[bytes, ...]) -> bool:
    return any(word in body for word in words)


def _newest(body: bytes, protocol: ProtocolName) -> bytes:
    """What the person has said last. A body that is built otherwise is taken to be that as a whole."""
    try:
        found = msgspec.json.decode(body, type=_Body)
        pieces = list(_said_last(found.messages or found.input or found.contents, protocol))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    return b",".join(pieces)


def _said_last(messages: Sequence[_Message], protocol: ProtocolName) -> Iterator[bytes]:
    """The pieces of the latest message of the person's, and what was said along with results of tools since.

    Media beside the result of a tool are the tool's with Gemini, whose results had no room for them.
    """
    for message in reversed(messages):
        if message.role not in ("user", None) or message.type not in ("message", None):
            continue
        pieces = _pieces(bytes(message.content) or bytes(message.parts))
        own = [piece for piece, is_result in pieces if not is_result]
        answers = len(own) < len(pieces)
        if not answers or protocol != "gemini":
            yield from own
        if not answers:
            return


def _pieces(content: bytes) -> list[tuple[bytes, bool]]:
    """The pieces of a message, each with whether it is a tool's result."""
    if not content.startswith(b"["):
        return [(content, False)]
    raw = msgspec.json.decode(content, type=list[msgspec.Raw])
    return [(bytes(each), msgspec.json.decode(each, type=_Piece).is_result) for each in raw]
