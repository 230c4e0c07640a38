"""Repair an answer: calls whose arguments are cut and, where it is translated, renamed arguments and thinking alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import msgspec

from bm import sse
from bm.chat.arguments import parsed_arguments
from bm.chat.events import End, Event, Failed, Finish, PartDelta, PartEnd, PartStart, PartWhole
from bm.chat.parts import Json, Thinking
from bm.errors import Failure
from bm.protocols.codec import StreamDecoder
from bm.protocols.property_keys import Keys, renamed

_CUT = ("length", "context_window", "refusal")
"""Finish reasons with which arguments may break off."""
_CONTROL = re.compile(r"[\x00-\x1f]")
_MARK = re.compile(r'\\(?:.|\Z)|["\x00-\x1f]', re.S)
"""An escape, a quotation mark, or a character that a string may only hold as an escape (RFC 8259, 7)."""


class _Call:
    """A call whose arguments arrive in `pieces`."""

    def __init__(self, name: str, choice: int) -> None:
        self.name, self.choice = name, choice
        self.pieces: list[str] = []
        self._scanned = 0
        self._in_string = self._in_escape = self._repeats = False

    def new_in(self, piece: str) -> str:
        """What the next piece adds: some services repeat in it all that came before, or send all again at the end.

        DeepSeek at Qianfan, MiMo and several gateways do (https://github.com/NousResearch/hermes-agent/pull/35718,
        https://github.com/decolua/9router/pull/2869, https://github.com/Soju06/codex-lb/issues/284, read 2026-12-01).
        """
        if not self.pieces:
            halves = (piece[: len(piece) // times] for times in (2, 3, 4) if "}{" in piece)
            return next((h for h in halves if piece == h * (len(piece) // len(h)) and parsed_arguments(h)), piece)
        if piece[:1] != "{":
            return piece
        known = "".join(self.pieces)
        # Behind these an object may begin, and it may begin like the arguments.
        is_plain = known.rstrip()[-1:] in ("", ":", "[", ",") or piece == known
        if piece.startswith(known) and (self._repeats or not is_plain):
            self._repeats = True
            return piece[len(known) :]
        given = parsed_arguments(known)
        return piece if given is None or given != parsed_arguments(piece) else ""

    def with_escapes(self, piece: str) -> str:
        """The next piece with line ends and tabs inside strings as escapes.

        Gemini, Kimi and local models write them as they are (https://github.com/MoonshotAI/kimi-cli/issues/1378,
        https://github.com/rhesis-ai/rhesis/pull/2488, read 2026-11-30).
        """
        if _CONTROL.search(piece) is None:
            return piece
        self._scan("".join(self.pieces[self._scanned :]))
        self._scanned = len(self.pieces) + 1
        return self._scan(piece)

    def _scan(self, text: str) -> str:
        start = 1 if self._in_escape and text else 0
        self._in_escape &= not text
        return text[:start] + _MARK.sub(self._escaped, text[start:])

    def _escaped(self, found: re.Match[str]) -> str:
        mark = found.group()
        if mark == '"':
            self._in_string = not self._in_string
        elif mark == "\\":
            self._in_escape = True
        elif self._in_string and mark < " ":
            return msgspec.json.encode(mark).decode()[1:-1]
        return mark


class AnswerRepair:
    """Passes on the events of one answer.

    A call whose arguments are no JSON object fails the answer, so that it is asked for again: run with no arguments, a
    tool would do something else. Its end is not passed on, since some clients run a call then. Calls of the `free`
    tools hold any text. Thinking alone is followed by an empty text, since clients wait for an answer. `keys` are the
    names of arguments to put back. An answer that is `passing` through is only checked. `calls` are those under way.
    """

    def __init__(self, keys: Keys | None = None, free: Collection[str] = (), *, passing: bool = False) -> None:
        self._keys, self._free, self._passing = keys or {}, free, passing
        self.calls: dict[int, _Call] = {}
        self._broken: dict[int, tuple[str, list[Event]]] = {}
        self._thought: set[int] = set()
        self._spoken: set[int] = set()
        self._next = 0

    def through(self, event: Event) -> Iterable[Event]:
        """The events in place of one."""
        match event:
            case PartDelta(index=index) if index not in self.calls:
                pass
            case PartDelta(index=index):
                return self._piece(event, self.calls[index])
            case PartStart() | PartWhole():
                self._begin(event)
            case PartEnd(index=index) if index in self.calls:
                return self._end_of_call(event, self.calls.pop(index))
            case Finish(choice=choice):
                if event.reason in _CUT:
                    _, held = self._broken.pop(choice, ("", []))
                    return (*held, event)
                if not self._passing and event.reason == "stop" and choice in self._thought - self._spoken:
                    return self._empty_text(event)
            case End() if self._broken:
                name, _ = next(iter(self._broken.values()))
                message = f"the arguments of the call of {name or 'a tool'} are no whole JSON object"
                return (Failed(Failure(kind="malformed", message=message, should_retry=True)),)
        return (event,)

    def _begin(self, event: PartStart | PartWhole) -> None:
        self._next = max(self._next, event.index + 1)
        thinks = event.kind == "thinking" if isinstance(event, PartStart) else isinstance(event.part, Thinking)
        (self._thought if thinks else self._spoken).add(event.choice)
        match event:
            case PartStart(kind="tool_call", tool_kind="function", name=name) if name not in self._free:
                self.calls[event.index] = _Call(name, event.choice)

    def _piece(self, event: PartDelta, call: _Call) -> Iterable[Event]:
        if event.text and not self._passing:
            if not (new := call.new_in(event.text)):
                return ()
            if (text := call.with_escapes(new)) is not event.text:
                event = PartDelta(event.index, text)
        call.pieces.append(event.text)
        return () if call.name in self._keys else (event,)

    def _end_of_call(self, end: PartEnd, call: _Call) -> Iterable[Event]:
        text = "".join(call.pieces)
        arguments = parsed_arguments(text)
        ended: tuple[Event, ...] = (end,)
        if call.name in self._keys:
            if arguments is not None:
                text = msgspec.json.encode(renamed(arguments, self._keys[call.name])).decode()
            ended = (PartDelta(end.index, text), end)
        if arguments is not None:
            return ended
        _, held = self._broken.setdefault(call.choice, (call.name, []))
        held += ended
        return ()

    def _empty_text(self, finish: Finish) -> Iterable[Event]:
        index, self._next = self._next, self._next + 1
        return (PartStart(index, "text", choice=finish.choice), PartDelta(index, ""), PartEnd(index), finish)


class CheckedDecoder:
    """A decoder whose response fails at its end if it has called a tool with arguments that are no JSON."""

    def __init__(self, decoder: StreamDecoder) -> None:
        self._decoder, self._check = decoder, AnswerRepair(passing=True)
        self._calls = self._check.calls

    @property
    def steady(self) -> bool:
        """Not within calls, whose arguments are gathered."""
        return self._decoder.steady and not self._calls

    @property
    def finished(self) -> bool:
        return self._decoder.finished

    def feed(self, event: sse.Event) -> Sequence[Event]:
        return self._checked(self._decoder.feed(event))

    def close(self) -> Sequence[Event]:
        return self._checked(self._decoder.close())

    def whole(self, body: Json) -> Sequence[Event]:
        return self._checked(self._decoder.whole(body))

    def _checked(self, events: Sequence[Event]) -> Sequence[Event]:
        # Pieces of text are most of a stream.
        if not self._calls and len(events) == 1 and type(events[0]) is PartDelta:
            return events
        return [seen for event in events for seen in self._check.through(event)]
