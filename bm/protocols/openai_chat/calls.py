"""Puts a model's calls together from the fragments in which services send them.

OpenAI names each call by `index` and gives its id and name in the first fragment. Others leave out the index, use 0
for every call, send the id late or never, repeat the name, or send whole calls at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bm.chat.events import Event, PartDelta, PartEnd, PartSignature, PartStart
from bm.chat.parts import Json, ToolKind
from bm.chat.signature import Signature
from bm.protocols.codec import IdFactory
from bm.protocols.openai_chat.thinking import read_signature


class _Call:
    """One call in the making. It is opened once its name and id are known, or once its arguments begin."""

    def __init__(self) -> None:
        self.index = -1
        self.id = ""
        self.name = ""
        self.kind: ToolKind = "function"
        self.signature: Signature | None = None
        self.waiting = ""
        self.pieces: list[str] = []
        self.closed = False

    @property
    def complete(self) -> bool:
        """Whether the arguments so far are a JSON value: what follows then belongs to another call."""
        try:
            msgspec.json.decode("".join(self.pieces).encode())
        except (msgspec.DecodeError, UnicodeEncodeError):
            return False
        return True


class CallAssembler:
    """The calls of one choice."""

    def __init__(self, choice: int, take_index: Callable[[], int], ids: IdFactory) -> None:
        self._choice = choice
        self._take_index = take_index
        self._ids = ids
        self._calls: list[_Call] = []
        self._by_key: dict[object, _Call] = {}
        self._seen_ids: set[str] = set()

    @property
    def any(self) -> bool:
        """Whether a call was opened."""
        return any(call.index >= 0 for call in self._calls)

    def add(self, fragment: Json, out: list[Event]) -> None:
        """Take one fragment."""
        custom = fragment.get("custom")
        is_custom = fragment.get("type") == "custom" or (isinstance(custom, dict) and "function" not in fragment)
        holder = custom if is_custom else fragment.get("function")
        if not isinstance(holder, dict):
            holder = {}
        call_id, name = str(fragment.get("id") or ""), str(holder.get("name") or "")
        text = _argument_text(holder.get("input" if is_custom else "arguments"))
        call = self._find(fragment.get("index"), call_id, name)
        if is_custom:
            call.kind = "custom"
        if call.index < 0:
            call.id = call.id or call_id
            call.name = call.name or name
        signature = read_signature(fragment)
        if signature is not None and call.index >= 0:
            out.append(PartSignature(call.index, signature))
        elif signature is not None:
            call.signature = signature
        self._extend(call, text, out)

    def _find(self, key: Any, call_id: str, name: str) -> _Call:
        """The call that a fragment belongs to; a new one where it cannot be an old one."""
        if key is not None:
            call = self._by_key.get(key)
            # Google's endpoint numbered every call 0; a second name with another id is a second call.
            if call is None or (call_id and name and call.id and call_id != call.id):
                call = self._new()
                self._by_key[key] = call
            return call
        last = self._calls[-1] if self._calls else None
        if call_id:
            known = next((call for call in self._calls if call.id == call_id), None)
            if known is not None:
                return known
            return last if last is not None and not last.id and not name else self._new()
        if last is None or (name and (name != last.name or last.complete)):
            return self._new()
        return last

    def _new(self) -> _Call:
        call = _Call()
        self._calls.append(call)
        return call

    def _extend(self, call: _Call, text: str, out: list[Event]) -> None:
        if text:
            call.pieces.append(text)
        if call.index >= 0:
            if text and not call.closed:
                out.append(PartDelta(call.index, text))
            return
        call.waiting += text
        if call.name and (call.id or call.waiting):
            self._open(call, out)

    def _open(self, call: _Call, out: list[Event]) -> None:
        if not call.id or call.id in self._seen_ids:
            call.id = self._ids.new_id("call_")
        self._seen_ids.add(call.id)
        call.index = self._take_index()
        out.append(
            PartStart(
                call.index,
                "tool_call",
                id=call.id,
                name=call.name,
                tool_kind=call.kind,
                signature=call.signature,
                choice=self._choice,
            )
        )
        if call.waiting:
            out.append(PartDelta(call.index, call.waiting))
            call.waiting = ""

    def sign(self, signature: Signature, out: list[Event]) -> bool:
        """Give a message's signature to its first call, if that is open and has none. False when there is no call."""
        if not self._calls:
            return False
        first = self._calls[0]
        if first.signature is None and first.index >= 0 and not first.closed:
            first.signature = signature
            out.append(PartSignature(first.index, signature))
        return True

    def close(self, out: list[Event], *, complete: bool) -> None:
        """End the open calls. In a complete answer a call without an id or arguments is a call all the same."""
        for call in self._calls:
            if call.index < 0 and call.name and complete:
                self._open(call, out)
            if call.index >= 0 and not call.closed:
                call.closed = True
                out.append(PartEnd(call.index))


def _argument_text(value: Any) -> str:
    """Argument text; Ollama's and others' objects are written as text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
