"""A whole answer in canonical form, and how it comes of its events: what tests compare."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from bm.chat import events
from bm.chat.arguments import parse_arguments
from bm.chat.parts import Citation, Part, Refusal, Text, Thinking, ToolCall
from bm.errors import Failure


class Choice(msgspec.Struct, frozen=True):
    """One of the answers. `finish` is None when the answer was cut."""

    parts: tuple[Part, ...] = ()
    finish: events.Finish | None = None


class ChatResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `usage` is None when the upstream named none; `failure` is set when it ended in one."""

    id: str = ""
    model: str = ""
    choices: tuple[Choice, ...] = ()
    usage: events.Usage | None = None
    failure: Failure | None = None

    @property
    def tokens(self) -> events.Usage | None:
        """The usage that every protocol has a place for: what the answer has cost besides stays with bm."""
        usage, none = self.usage, events.Usage()
        apart = {name: getattr(none, name) for name in _FOR_COSTS}
        return None if usage is None else msgspec.structs.replace(usage, **apart)


_FOR_COSTS = ("audio_input", "audio_output", "image_output", "searches", "tier", "charged")


class _Open:
    """A part in the making."""

    def __init__(self, start: events.PartStart) -> None:
        self.start, self.signature = start, start.signature
        self.pieces: list[str] = []
        self.citations: list[Citation] = []

    def add(self, event: events.PartDelta | events.PartSignature | events.PartAnnotation) -> None:
        match event:
            case events.PartDelta():
                self.pieces.append(event.text)
            case events.PartSignature():
                self.signature = event.signature
            case events.PartAnnotation():
                self.citations.append(event.citation)

    def part(self) -> Part:
        start, text = self.start, "".join(self.pieces)
        match start.kind:
            case "text":
                return Text(text, signature=self.signature, citations=tuple(self.citations))
            case "thinking":
                return Thinking(text, signature=self.signature)
            case "refusal":
                return Refusal(text)
            case "tool_call":
                arguments = {"input": text} if start.tool_kind == "custom" else parse_arguments(text)
                return ToolCall(start.id, start.name, arguments, text, start.tool_kind, self.signature)


def fold(stream: Iterable[events.Event]) -> ChatResponse:
    """The response that a stream describes, as far as it goes. Parts keep the order in which they began."""
    head, usage, failure = events.Start(), None, None
    parts: dict[int, _Open | events.PartWhole] = {}
    finishes: dict[int, events.Finish] = {}
    for event in stream:
        match event:
            case events.PartDelta() | events.PartSignature() | events.PartAnnotation():
                if isinstance(opened := parts.get(event.index), _Open):
                    opened.add(event)
            case events.PartStart():
                parts[event.index] = _Open(event)
            case events.PartWhole():
                parts[event.index] = event
            case events.Start():
                head = event
            case events.UsageUpdate():
                usage = event.usage
            case events.Finish():
                finishes[event.choice] = event
            case events.Failed():
                failure = event.failure
            case events.PartEnd() | events.End() | events.Ping():
                pass
    choices: dict[int, list[Part]] = {number: [] for number in finishes}
    for each in parts.values():
        number, part = (each.start.choice, each.part()) if isinstance(each, _Open) else (each.choice, each.part)
        choices.setdefault(number, []).append(part)
    answers = tuple(Choice(tuple(choices[number]), finishes.get(number)) for number in sorted(choices))
    return ChatResponse(id=head.id, model=head.model, choices=answers, usage=usage, failure=failure)
