"""Estimate how many tokens a request takes when no service counts them."""

from __future__ import annotations

import msgspec

from bm.chat.parts import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.repair import media_of
from bm.chat.request import ChatRequest

_BYTES_PER_TOKEN = 3.6
"""Prose and code in UTF-8, over the tokenizers of today; other scripts take more bytes a token and more tokens a
character, which cancels out roughly."""
_PER_TURN = 4
_PER_TOOL = 12
_IMAGE = 1_100
_PDF_BYTES_PER_TOKEN = 40
_AUDIO_BYTES_PER_TOKEN = 500


def estimate(request: ChatRequest) -> int:
    """The tokens of the prompt: system, turns with their media, tools. Good to a fifth for text."""
    size = sum(_text(part.text) for part in request.system)
    for turn in request.turns:
        size += _PER_TURN + sum([_part(part) for part in turn.parts])
    for tool in request.tools:
        schema = len(msgspec.json.encode(tool.schema)) if tool.schema else 0
        size += _PER_TOOL + (len(tool.name) + len(tool.description) + schema) / _BYTES_PER_TOKEN
    return max(1, round(size))


def tokens_in(length: int) -> int:
    """The tokens of a text of that length."""
    return round(length / _BYTES_PER_TOKEN)


def countable(request: ChatRequest) -> bool:
    """Whether the request holds all that takes tokens: a file that was uploaded elsewhere may be of any length."""
    return not any(media.file_id and media.kind != "image" for media in media_of(request))


def _text(text: str) -> float:
    return (len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))) / _BYTES_PER_TOKEN


def _part(part: Part) -> float:
    if type(part) is Text:
        return _text(part.text)
    match part:
        case Text(text=text) | Thinking(text=text) | Refusal(text=text):
            return _text(text)
        case ToolCall(name=name, arguments=arguments):
            return _text(name) + len(msgspec.json.encode(arguments)) / _BYTES_PER_TOKEN
        case ToolResult(parts=parts):
            return sum([_part(each) for each in parts])
        case Media():
            return _media(part)
        case Opaque(raw=raw):
            return len(msgspec.json.encode(raw)) / _BYTES_PER_TOKEN


def _media(media: Media) -> float:
    if media.text:
        return _text(media.text)
    per_token = _PDF_BYTES_PER_TOKEN if media.kind == "document" else _AUDIO_BYTES_PER_TOKEN
    return _IMAGE if media.kind == "image" else max(_IMAGE, len(media.data) * 3 / 4 / per_token)
