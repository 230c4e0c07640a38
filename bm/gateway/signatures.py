"""Signatures of tool calls, kept for clients whose protocol or habits lose them on the way.

Keyed by the id of the call, which is unique, and by nothing wider: a "latest signature" would leak from one
conversation into another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from bm.chat.parts import Part, ToolCall
from bm.chat.request import ChatRequest, Turn
from bm.chat.signature import Signature

MAX_BYTES = 64 * 1024 * 1024


class SignatureStore:
    """The signatures of the latest calls, within `MAX_BYTES` of them."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Signature] = OrderedDict()
        self._size = 0

    def keep(self, signatures: Mapping[str, Signature]) -> None:
        """Remember the signatures of calls, by call id."""
        for call_id, signature in signatures.items():
            if not call_id:
                continue
            self._drop(call_id)
            self._kept[call_id] = signature
            self._size += len(signature.value)
        while self._size > self._max_bytes and self._kept:
            self._drop(next(iter(self._kept)))

    def _drop(self, call_id: str) -> None:
        gone = self._kept.pop(call_id, None)
        if gone is not None:
            self._size -= len(gone.value)

    def restored(self, request: ChatRequest) -> ChatRequest:
        """The request with the signatures that its calls came with and lost."""
        if not self._kept:
            return request
        turns = tuple(self._turn(turn) for turn in request.turns)
        return msgspec.structs.replace(request, turns=turns)

    def _turn(self, turn: Turn) -> Turn:
        if turn.role != "assistant" or not any(self._lost(part) for part in turn.parts):
            return turn
        return Turn(turn.role, tuple(self._signed(part) for part in turn.parts))

    def _lost(self, part: Part) -> bool:
        return isinstance(part, ToolCall) and part.signature is None and part.id in self._kept

    def _signed(self, part: Part) -> Part:
        if isinstance(part, ToolCall) and self._lost(part):
            self._kept.move_to_end(part.id)
            return msgspec.structs.replace(part, signature=self._kept[part.id])
        return part
