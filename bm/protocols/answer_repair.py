"""Repair an answer that is translated: a call whose arguments are cut, renamed arguments, thinking alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from bm.chat.events import End, Event, Failed, Finish, PartDelta, PartEnd, PartStart, PartWhole
from bm.chat.parts import Thinking
from bm.chat.response import parsed_arguments
from bm.errors import Failure
from bm.protocols.property_keys import Keys, renamed

_CUT = ("length", "context_window")
"""Finish reasons with which arguments may break off."""


class _Call:
    def __init__(self, name: str, choice: int) -> None:
        self.name, self.choice = name, choice
        self.pieces: list[str] = []


class AnswerRepair:
    """Passes on the events of one answer.

    A call whose arguments are no JSON object fails the answer, so that it is asked for again: run with no arguments, a
    tool would do something else. Calls of the `free` tools hold any text. Thinking alone is followed by an empty text,
    since clients wait for an answer. `keys` are the names of arguments to put back.
    """

    def __init__(self, keys: Keys | None = None, free: Collection[str] = ()) -> None:
        self._keys, self._free = keys or {}, free
        self._calls: dict[int, _Call] = {}
        self._broken: dict[int, str] = {}
        self._thought: set[int] = set()
        self._spoken: set[int] = set()
        self._next = 0

    def through(self, event: Event) -> Iterable[Event]:
        """The events in place of one."""
        match event:
            case PartDelta(index=index) if index not in self._calls:
                pass
            case PartDelta(index=index, text=text):
                self._calls[index].pieces.append(text)
                return () if self._calls[index].name in self._keys else (event,)
            case PartStart() | PartWhole():
                self._begin(event)
            case PartEnd(index=index) if index in self._calls:
                return self._end_of_call(event, self._calls.pop(index))
            case Finish(choice=choice):
                if event.reason in _CUT:
                    self._broken.pop(choice, None)
                elif event.reason == "stop" and choice in self._thought - self._spoken:
                    return self._empty_text(event)
            case End() if self._broken:
                name = next(iter(self._broken.values()))
                message = f"the arguments of the call of {name or 'a tool'} are no whole JSON object"
                return (Failed(Failure(kind="malformed", message=message, should_retry=True)),)
        return (event,)

    def _begin(self, event: PartStart | PartWhole) -> None:
        self._next = max(self._next, event.index + 1)
        thinks = event.kind == "thinking" if isinstance(event, PartStart) else isinstance(event.part, Thinking)
        (self._thought if thinks else self._spoken).add(event.choice)
        match event:
            case PartStart(kind="tool_call", tool_kind="function", name=name) if name not in self._free:
                self._calls[event.index] = _Call(name, event.choice)

    def _end_of_call(self, end: PartEnd, call: _Call) -> Iterable[Event]:
        text = "".join(call.pieces)
        arguments = parsed_arguments(text)
        if arguments is None:
            self._broken[call.choice] = call.name
        if call.name not in self._keys:
            return (end,)
        if arguments is not None:
            text = msgspec.json.encode(renamed(arguments, self._keys[call.name])).decode()
        return (PartDelta(end.index, text), end)

    def _empty_text(self, finish: Finish) -> Iterable[Event]:
        index, self._next = self._next, self._next + 1
        return (PartStart(index, "text", choice=finish.choice), PartDelta(index, ""), PartEnd(index), finish)
