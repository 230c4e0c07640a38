"""A whole answer, and how it comes of its events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
    Ping,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Citation, Json, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.signature import Signature
from bm.errors import Failure


class Choice(msgspec.Struct, frozen=True):
    """One of the answers. `finish` is None when the answer was cut."""

    parts: tuple[Part, ...] = ()
    finish: Finish | None = None


class ChatResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `usage` is None when the upstream named none; `failure` is set when it ended in one."""

    id: str = ""
    model: str = ""
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    failure: Failure | None = None


class _Open:
    """A part in the making."""

    def __init__(self, start: PartStart) -> None:
        self.start = start
        self.signature = start.signature
        self.pieces: list[str] = []
        self.citations: list[Citation] = []

    def close(self) -> Part:
        text = "".join(self.pieces)
        match self.start.kind:
            case "text":
                return Text(text, signature=self.signature, citations=tuple(self.citations))
            case "thinking":
                return Thinking(text, signature=self.signature)
            case "refusal":
                return Refusal(text)
            case "tool_call":
                return tool_call(self.start, text, self.signature)


def tool_call(start: PartStart, raw: str, signature: Signature | None = None) -> ToolCall:
    """The call that `start` opened, with its complete arguments."""
    arguments = {"input": raw} if start.tool_kind == "custom" else parse_arguments(raw)
    return ToolCall(
        id=start.id, name=start.name, arguments=arguments, raw=raw, kind=start.tool_kind, signature=signature
    )


def parse_arguments(raw: str) -> Json:
    """The object in a call's argument text; {} for anything else, since every protocol demands an object."""
    if not raw.strip():
        return {}
    try:
        value: Any = msgspec.json.decode(raw.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
    return value if isinstance(value, dict) else {}


class Folder:
    """Gathers events into an answer. Parts keep the order in which they began."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[int, Part | _Open]] = {}
        self._choice_of: dict[int, int] = {}
        self._finish: dict[int, Finish] = {}
        self._head = Start()
        self._usage: Usage | None = None
        self._failure: Failure | None = None

    def add(self, event: Event) -> None:
        """Take one event."""
        match event:
            case PartDelta() | PartSignature() | PartAnnotation() | PartEnd():
                self._within(event)
            case PartStart():
                self._choice_of[event.index] = event.choice
                self._parts.setdefault(event.choice, {})[event.index] = _Open(event)
            case PartWhole():
                self._parts.setdefault(event.choice, {})[event.index] = event.part
            case Start():
                self._head = event
            case UsageUpdate():
                self._usage = event.usage
            case Finish():
                self._finish[event.choice] = event
            case Failed():
                self._failure = event.failure
            case End() | Ping():
                pass

    def _within(self, event: PartDelta | PartSignature | PartAnnotation | PartEnd) -> None:
        parts = self._parts.get(self._choice_of.get(event.index, -1), {})
        part = parts.get(event.index)
        if not isinstance(part, _Open):
            return
        match event:
            case PartDelta():
                part.pieces.append(event.text)
            case PartSignature():
                part.signature = event.signature
            case PartAnnotation():
                part.citations.append(Citation(event.protocol, event.raw, event.sources))
            case PartEnd():
                parts[event.index] = part.close()

    def result(self) -> ChatResponse:
        """The answer so far; parts still open are closed as they are."""
        numbers = sorted(self._parts.keys() | self._finish.keys())
        choices = tuple(
            Choice(
                parts=tuple(p.close() if isinstance(p, _Open) else p for p in self._parts.get(number, {}).values()),
                finish=self._finish.get(number),
            )
            for number in numbers
        )
        return ChatResponse(
            id=self._head.id, model=self._head.model, choices=choices, usage=self._usage, failure=self._failure
        )


def fold(events: Iterable[Event]) -> ChatResponse:
    """The answer that the events tell."""
    folder = Folder()
    for event in events:
        folder.add(event)
    return folder.result()


def part_events(index: int, part: Part, choice: int = 0) -> Iterator[Event]:
    """The events of one part that is known whole."""
    match part:
        case Text(text=text, signature=signature, citations=citations):
            yield PartStart(index, "text", signature=signature, choice=choice)
            for cited in citations:
                yield PartAnnotation(index, cited.protocol, cited.raw, cited.sources)
            yield from _closing(index, text)
        case Thinking(text=text, signature=signature, redacted=False):
            yield PartStart(index, "thinking", signature=signature, choice=choice)
            yield from _closing(index, text)
        case Refusal(text=text):
            yield PartStart(index, "refusal", choice=choice)
            yield from _closing(index, text)
        case ToolCall():
            yield PartStart(
                index,
                "tool_call",
                id=part.id,
                name=part.name,
                tool_kind=part.kind,
                signature=part.signature,
                choice=choice,
            )
            yield from _closing(index, part.raw or msgspec.json.encode(part.arguments).decode())
        case ToolResult():
            raise ValueError("an answer holds no tool results")
        case _:
            yield PartWhole(index, part, choice=choice)


def _closing(index: int, text: str) -> Iterator[Event]:
    if text:
        yield PartDelta(index, text)
    yield PartEnd(index)
