"""The outline of a request to Anthropic: what decides how a passing body is handled, read by decoding it once.

Texts, arguments and schemas, which are nearly all of a body, are skipped. A body that holds anything but the kinds of
blocks and members below has no outline, and is searched for words instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from bm.chat.signature import MARK_BYTES
from bm.errors import UNREADABLE
from bm.protocols.anthropic.cache_control import are_legal
from bm.protocols.anthropic.thinking import may_be_claudes
from bm.protocols.words import DOCUMENT, IMAGE, MARK, OWN_SIGNATURE, THINKING, TOOL_CHOICE, TOOLS, Words, words_of

_ABSENT = msgspec.Raw()
_OWN = MARK_BYTES.decode()


class _Markable(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """What may have a cache mark."""

    cache_control: msgspec.Raw = _ABSENT


class _Text(_Markable, tag="text"):
    text: msgspec.Raw = _ABSENT


class _Media(_Markable):
    """An image or a document. What its source holds, which may be blocks, is searched for words."""

    source: msgspec.Raw = _ABSENT


class _Image(_Media, tag="image"):
    pass


class _Document(_Media, tag="document"):
    title: msgspec.Raw = _ABSENT


class _Reference(_Markable, tag="tool_reference"):
    tool_name: msgspec.Raw = _ABSENT


class _Call(_Markable, tag="tool_use"):
    id: msgspec.Raw = _ABSENT
    name: msgspec.Raw = _ABSENT
    input: msgspec.Raw = _ABSENT


class _Result(_Markable, tag="tool_result"):
    tool_use_id: msgspec.Raw = _ABSENT
    content: str | list[_Text | _Image | _Document | _Reference] | None = None
    is_error: msgspec.Raw = _ABSENT


class _Thinking(msgspec.Struct, tag="thinking", omit_defaults=True, forbid_unknown_fields=True, gc=False):
    thinking: msgspec.Raw = _ABSENT
    signature: str = ""


class _Tool(_Markable):
    name: msgspec.Raw = _ABSENT
    type: msgspec.Raw = _ABSENT
    description: msgspec.Raw = _ABSENT
    input_schema: msgspec.Raw = _ABSENT
    strict: msgspec.Raw = _ABSENT
    defer_loading: bool = False
    eager_input_streaming: msgspec.Raw = _ABSENT


class _Message(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    role: msgspec.Raw = _ABSENT
    content: str | list[_Text | _Image | _Document | _Call | _Result | _Thinking] | None = None


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    """The members that say nothing of what is decided here are not decoded either."""

    model: str = ""
    messages: list[_Message] = []
    system: str | list[_Text] | None = None
    tools: list[_Tool] = []
    stream: bool | None = False
    metadata: msgspec.Raw = _ABSENT
    thinking: msgspec.Raw = _ABSENT
    tool_choice: msgspec.Raw = _ABSENT
    context_management: msgspec.Raw = _ABSENT
    max_tokens: msgspec.Raw = _ABSENT
    output_config: msgspec.Raw = _ABSENT
    output_format: msgspec.Raw = _ABSENT
    service_tier: msgspec.Raw = _ABSENT
    stop_sequences: msgspec.Raw = _ABSENT
    temperature: msgspec.Raw = _ABSENT
    top_k: msgspec.Raw = _ABSENT
    top_p: msgspec.Raw = _ABSENT


_Block = TypeVar("_Block")
_decode = msgspec.json.Decoder(_Request).decode


class Outline:
    """The outline of `body`. `words` are those of the body, as far as they decide anything."""

    def __init__(self, body: bytes, request: _Request) -> None:
        self.body, self.request = body, request
        self._marked: list[_Markable] = [
            each for each in (*request.tools, *_listed(request.system)) if each.cache_control
        ]
        self._signatures: list[str] = []
        media: list[_Media] = []
        for block in self._blocks():
            if isinstance(block, _Thinking):
                self._signatures.append(block.signature)
                continue
            if block.cache_control:
                self._marked.append(block)
            if isinstance(block, _Media):
                media.append(block)
        self._inside: Words = words_of(b",".join([bytes(each.source) for each in media])) if media else frozenset()
        found = {
            IMAGE: any(isinstance(each, _Image) for each in media),
            DOCUMENT: any(isinstance(each, _Document) for each in media),
            MARK: bool(self._marked),
            THINKING: bool(self._signatures or request.thinking),
            OWN_SIGNATURE: any(signature.startswith(_OWN) for signature in self._signatures),
            TOOLS: bool(request.tools),
            TOOL_CHOICE: bool(request.tool_choice),
        }
        self.words: Words = self._inside | {word for word, held in found.items() if held}

    @property
    def beginning(self) -> list[msgspec.Raw]:
        """The messages up to the user's first one, and the one behind it."""
        messages = self.request.messages
        first = next((at for at, each in enumerate(messages) if bytes(each.role) in (b"", b'"user"')), len(messages))
        return [msgspec.Raw(msgspec.json.encode(each)) for each in messages[: first + 2]]

    def _blocks(self) -> list[_Markable | _Thinking]:
        """The blocks of the messages in the order of the prompt: those in a tool's result stand before it."""
        blocks: list[_Markable | _Thinking] = []
        for message in self.request.messages:
            for block in _listed(message.content):
                if isinstance(block, _Result):
                    blocks += _listed(block.content)
                blocks.append(block)
        return blocks

    @property
    def has_odd_signature(self) -> bool:
        """Whether some thinking is unsigned, or signed by a service that only speaks Anthropic's protocol."""
        return any(not may_be_claudes(signature) for signature in self._signatures)

    @property
    def has_legal_marks(self) -> bool:
        """Whether the API takes all cache marks as they are."""
        return MARK not in self._inside and are_legal((each.cache_control, _shown(each)) for each in self._marked)


def _listed(content: str | Sequence[_Block] | None) -> Sequence[_Block]:
    """The blocks of a content; none where it is a text."""
    return () if content is None or isinstance(content, str) else content


def _shown(owner: _Markable) -> dict[str, object]:
    """What of a block or tool decides whether it may be marked."""
    if isinstance(owner, _Text):
        return {"type": "text", "text": msgspec.json.decode(owner.text) if owner.text else None}
    return {"defer_loading": isinstance(owner, _Tool) and owner.defer_loading}


def outline_of(body: bytes) -> Outline | None:
    """The outline of a request; None if it has none."""
    try:
        return Outline(body, _decode(body))
    except UNREADABLE:
        return None
