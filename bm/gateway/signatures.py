"""Signatures kept for clients whose protocol or habits lose them on the way.

A call's are keyed by the call's id, which is unique; a text's by the conversation and the words. By nothing wider: a
"latest signature" would leak from one conversation into another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import msgspec

from bm.chat.parts import Part, Text, ToolCall
from bm.chat.request import ChatRequest, Turn
from bm.chat.signature import Signature, text_key

MAX_BYTES = 64 * 1024 * 1024
_TEXT = "text:"


class Kept(msgspec.Struct, frozen=True):
    """One signature, as it is written to disk."""

    key: str
    signature: Signature


class SignatureStore:
    """The latest signatures, within `max_bytes` of them."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Signature] = OrderedDict()
        self._size = 0
        self._new: list[Kept] = []
        self._texts = False

    def keep(self, signatures: Mapping[str, Signature], conversation: str = "") -> None:
        """Remember signatures by call id or `text_key`; a text's only where its conversation is known."""
        for name, signature in signatures.items():
            key = _key(name, conversation)
            if key:
                self._put(key, signature)
                self._new.append(Kept(key, signature))

    def _put(self, key: str, signature: Signature) -> None:
        self._drop(key)
        self._kept[key] = signature
        self._size += len(signature.value)
        self._texts = self._texts or _TEXT in key
        while self._size > self._max_bytes and self._kept:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._size -= len(gone.value)

    def adopt(self, kept: Iterable[Kept]) -> None:
        """Take over what an earlier run has kept, the oldest first."""
        for each in kept:
            self._put(each.key, each.signature)

    def take_new(self) -> list[Kept]:
        """What has come since the last time."""
        new, self._new = self._new, []
        return new

    def latest(self, max_bytes: int) -> list[Kept]:
        """The youngest within `max_bytes`, the oldest first."""
        found: list[Kept] = []
        size = 0
        for key, signature in reversed(self._kept.items()):
            size += len(signature.value)
            if size > max_bytes:
                break
            found.append(Kept(key, signature))
        return found[::-1]

    def restored(self, request: ChatRequest, conversation: str = "") -> ChatRequest:
        """The request with the signatures that its calls and texts came with and lost."""
        if not self._kept:
            return request
        turns = tuple(self._turn(turn, conversation) for turn in request.turns)
        return msgspec.structs.replace(request, turns=turns)

    def _turn(self, turn: Turn, conversation: str) -> Turn:
        if turn.role != "assistant":
            return turn
        lost = {number: key for number, part in enumerate(turn.parts) if (key := self._lost(part, conversation))}
        if not lost:
            return turn
        return Turn(turn.role, tuple(self._signed(part, lost.get(n, "")) for n, part in enumerate(turn.parts)))

    def _lost(self, part: Part, conversation: str) -> str:
        """The key of the signature that a part has lost; empty when it has lost none."""
        match part:
            case ToolCall(signature=None, id=call_id):
                key = call_id
            case Text(signature=None, text=text) if self._texts and text:
                key = _key(text_key(text), conversation)
            case _:
                return ""
        return key if key in self._kept else ""

    def _signed(self, part: Part, key: str) -> Part:
        if not key:
            return part
        self._kept.move_to_end(key)
        return msgspec.structs.replace(part, signature=self._kept[key])


def _key(name: str, conversation: str) -> str:
    if not name.startswith(_TEXT):
        return name
    return f"{conversation} {name}" if conversation else ""
