"""Build the events of a response from what an upstream's stream names.

A decoder says what came, under keys of the vendor's own: a block's number, an item's place, a call's index. The builder
numbers the parts, opens and closes them, makes ids, and puts calls together from fragments, which may interleave.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import msgspec

from bm.chat import events
from bm.chat.parts import Citation, Part, Refusal, StreamedKind, Text, Thinking, ToolCall, ToolKind
from bm.chat.signature import Signature
from bm.errors import UNREADABLE, Failure
from bm.surrogates import without_halves

_KINDS: dict[type, StreamedKind] = {Text: "text", Refusal: "refusal", Thinking: "thinking", ToolCall: "tool_call"}


class _Part(msgspec.Struct, eq=False):
    """A part in the making. A call has no index (-1) until its name and its id or first arguments are known."""

    kind: StreamedKind
    choice: int
    index: int = -1
    is_open: bool = True
    id: str = ""
    name: str = ""
    tool_kind: ToolKind = "function"
    signature: Signature | None = None
    arguments: list[str] = []
    filled: bool = False
    citations: int = 0

    @property
    def has_all_arguments(self) -> bool:
        """Whether the arguments so far are a JSON value: what follows then belongs to another call."""
        try:
            msgspec.json.decode(without_halves("".join(self.arguments).encode()))
        except UNREADABLE:
            return False
        return True


class PartBuilder:
    """Collects the events of one response; `take` returns those since the last time.

    `begun`, `called` and `refused` are the choices that hold a part, a call, a refusal.
    """

    def __init__(self, new_id: Callable[[str], str]) -> None:
        self.started = self.ended = False
        self.begun: set[int] = set()
        self.called: set[int] = set()
        self.refused: set[int] = set()
        self._new_id = new_id
        self._events: list[events.Event] = []
        self._parts: dict[Hashable, _Part] = {}
        self._unclosed: list[_Part] = []
        self._calls: dict[int, list[_Part]] = {}
        self._ids: set[str] = set()
        self._next = 0
        self._usage: events.Usage | None = None

    def take(self) -> list[events.Event]:
        """Return the events since the last time."""
        taken, self._events = self._events, []
        return taken

    def start(self, response_id: str = "", model: str = "") -> None:
        """The response begins, if it has not."""
        if not self.started:
            self.started = True
            self._events.append(events.Start(response_id, model))

    def is_open(self, key: Hashable, kind: StreamedKind | None = None) -> bool:
        """Whether a part, of this kind if one is given, is open under the key."""
        part = self._parts.get(key)
        return part is not None and part.is_open and kind in (None, part.kind)

    def open_keys(self) -> list[Hashable]:
        """The keys of the open parts."""
        return [key for key, part in self._parts.items() if part.is_open]

    def open(self, key: Hashable, kind: StreamedKind, choice: int = 0, signature: Signature | None = None) -> None:
        """Open a part, unless it is open. A part of another kind under the same key is closed."""
        part = self._parts.get(key)
        if part is not None and part.is_open:
            if part.kind == kind:
                return
            self.close(key)
        part = self._parts[key] = _Part(kind, choice)
        part.signature = signature
        self._begin(part)

    def _begin(self, part: _Part) -> None:
        self.start()
        part.index = self._next
        self._next += 1
        self.begun.add(part.choice)
        if part.kind == "tool_call":
            self.called.add(part.choice)
        elif part.kind == "refusal":
            self.refused.add(part.choice)
        self._unclosed.append(part)
        self._events.append(
            events.PartStart(part.index, part.kind, part.id, part.name, part.tool_kind, part.signature, part.choice)
        )

    def text(self, key: Hashable, kind: StreamedKind, text: str, choice: int = 0) -> None:
        """A piece of text, thinking or a refusal, which opens its part if need be; nothing if it is empty."""
        if not text:
            return
        part = self._parts.get(key)
        if part is None or part.kind != kind or not part.is_open:
            self.open(key, kind, choice)
            part = self._parts[key]
        part.filled = True
        self._events.append(events.PartDelta(part.index, text))

    def delta(self, key: Hashable, text: str, kind: StreamedKind | None = None) -> events.PartDelta | None:
        """The event of a further piece of an open part, which is not collected; None if no such part is open."""
        part = self._parts.get(key)
        if part is None or not part.is_open or (kind is not None and kind != part.kind):
            return None
        part.filled = True
        return events.PartDelta(part.index, text)

    def call(
        self,
        key: Hashable = None,
        call_id: str = "",
        name: str = "",
        arguments: str = "",
        *,
        kind: ToolKind = "function",
        signature: Signature | None = None,
        choice: int = 0,
    ) -> None:
        """A fragment of a call. Without a key it belongs to the call with its id, or else to the last one."""
        call = self._call_of(key, call_id, name, choice)
        if kind == "custom":
            call.tool_kind = kind
        if call.index < 0:
            call.id, call.name = call.id or call_id, call.name or name
            call.signature = signature or call.signature
        elif signature is not None:
            self._events.append(events.PartSignature(call.index, signature))
        if arguments:
            call.arguments.append(arguments)
            if call.index >= 0 and call.is_open:
                call.filled = True
                self._events.append(events.PartDelta(call.index, arguments))
        if call.index < 0 and call.name and (call.id or call.arguments):
            self._begin_call(call)

    def _call_of(self, key: Hashable, call_id: str, name: str, choice: int) -> _Part:
        """The call that a fragment belongs to; a new one where it cannot be a known one."""
        calls = self._calls.setdefault(choice, [])
        if key is not None:
            call = self._parts.get(key)
            if call is not None and call.kind != "tool_call":
                self.close(key)
                call = None
            # Google's Chat endpoint gave every call the index 0: another id with a name is another call.
            if call is None or (call_id and name and call.id and call_id != call.id):
                call = self._parts[key] = self._new_call(calls, choice)
            return call
        last = calls[-1] if calls else None
        if call_id:
            known = next((call for call in calls if call.id == call_id), None)
            if known is not None:
                return known
            return last if last is not None and not last.id and not name else self._new_call(calls, choice)
        if last is None or (name and (name != last.name or last.has_all_arguments)):
            return self._new_call(calls, choice)
        return last

    def _new_call(self, calls: list[_Part], choice: int) -> _Part:
        call = _Part("tool_call", choice)
        calls.append(call)
        return call

    def _begin_call(self, call: _Part) -> None:
        call.id = self._unique(call.id)
        self._begin(call)
        if call.arguments:
            call.filled = True
            self._events.append(events.PartDelta(call.index, "".join(call.arguments)))

    def _unique(self, call_id: str) -> str:
        """The id, or a new one if it is missing or taken."""
        if not call_id or call_id in self._ids:
            call_id = self._new_id("call_")
        self._ids.add(call_id)
        return call_id

    def sign(self, key: Hashable, signature: Signature) -> None:
        """The signature of an open part."""
        self._events.append(events.PartSignature(self._parts[key].index, signature))

    def sign_first_call(self, signature: Signature, choice: int = 0) -> bool:
        """Give a message's signature to its first call, if that is open and has none. False when there is no call."""
        calls = self._calls.get(choice)
        if not calls:
            return False
        first = calls[0]
        if first.signature is None and first.is_open:
            first.signature = signature
            if first.index >= 0:
                self._events.append(events.PartSignature(first.index, signature))
        return True

    def has_whole_calls(self, choice: int) -> bool:
        """Whether the choice calls tools, all of them with complete arguments."""
        calls = self._calls.get(choice, [])
        return bool(calls) and all(call.has_all_arguments for call in calls)

    def cite(self, key: Hashable, citation: Citation) -> None:
        """A citation on an open text."""
        part = self._parts[key]
        part.citations += 1
        self._events.append(events.PartAnnotation(part.index, citation))

    def add(self, part: Part, choice: int = 0) -> None:
        """A part that came at once."""
        key = object()
        match part:
            case ToolCall():
                raw = part.raw or msgspec.json.encode(part.arguments).decode()
                self.call(key, part.id, part.name, raw, kind=part.kind, signature=part.signature, choice=choice)
                self.close(key)
            case Text() | Refusal() | Thinking(redacted=False):
                self.open(key, _KINDS[type(part)], choice, part.signature if isinstance(part, Text) else None)
                self.complete(key, part)
            case _:
                self.start()
                self.begun.add(choice)
                self._events.append(events.PartWhole(self._next, part, choice))
                self._next += 1

    def complete(self, key: Hashable, part: Text | Refusal | Thinking | ToolCall) -> None:
        """The vendor has sent a part whole: report what of it has not come, and close it."""
        known = self._parts.get(key)
        if known is None or known.kind != _KINDS[type(part)]:
            self.close(key)
            if not isinstance(part, Text | Refusal) or part.text:
                self.add(part)
            return
        self._fill(known, part.raw if isinstance(part, ToolCall) else part.text)
        if isinstance(part, Thinking) and part.signature is not None:
            self.sign(key, part.signature)
        if isinstance(part, Text):
            for citation in part.citations[known.citations :]:
                self.cite(key, citation)
        self.close(key)

    def _fill(self, part: _Part, text: str) -> None:
        if text and not part.filled:
            part.filled = True
            self._events.append(events.PartDelta(part.index, text))

    def close(self, key: Hashable, text: str = "") -> None:
        """Close the part under the key, if it is open. `text` is all of it, reported if no piece has come."""
        part = self._parts.pop(key, None)
        if part is not None:
            self._close(part, text)

    def _close(self, part: _Part, text: str = "") -> None:
        if part.index < 0 and part.name:
            self._begin_call(part)
        if part.index >= 0 and part.is_open:
            self._fill(part, text)
            part.is_open = False
            self._unclosed.remove(part)
            self._events.append(events.PartEnd(part.index))

    def close_choice(self, choice: int) -> None:
        """Close all parts of a choice. A call without an id or arguments is one all the same."""
        for part in self._unclosed + self._calls.get(choice, []):
            if part.choice == choice:
                self._close(part)

    def use(self, usage: events.Usage | None) -> None:
        """What has been used so far. Counts only grow: a service that ends with zeros has not taken anything back."""
        if usage is not None and (known := self._usage) is not None:
            if not usage.prompt:
                kept = {"input": known.input, "cache_read": known.cache_read, "cache_write": known.cache_write}
                usage = msgspec.structs.replace(usage, cache_write_1h=known.cache_write_1h, **kept)
            if not usage.output:
                usage = msgspec.structs.replace(usage, output=known.output, thinking=known.thinking)
        if usage is not None and usage != self._usage:
            self._usage = usage
            self.start()
            self._events.append(events.UsageUpdate(usage))

    def end(self, finishes: Iterable[events.Finish]) -> list[events.Event]:
        """Close all parts; the response is complete. Returns the events."""
        self.start()
        for part in [*self._unclosed, *(call for calls in self._calls.values() for call in calls)]:
            self._close(part)
        self._events += finishes
        self._events.append(events.End())
        self.ended = True
        return self.take()

    def fail(self, failure: Failure) -> list[events.Event]:
        """Close the open parts; the response will not be completed. Returns the events."""
        for part in [*self._unclosed]:
            self._close(part)
        self._events.append(events.Failed(failure))
        self.ended = True
        return self.take()
