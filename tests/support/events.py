"""The grammar of canonical events, as `bm/chat/events.py` states it, and the events of a whole answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
    Start,
    UsageUpdate,
)
from bm.chat.parts import Part, Refusal, Text, Thinking, ToolCall
from tests.support.folding import ChatResponse


def check(events: Iterable[Event]) -> None:
    """Assert that the events are one complete answer."""
    seen = list(events)
    assert seen, "no event at all"
    assert isinstance(seen[-1], End | Failed), f"ends in {seen[-1]}"
    assert sum(isinstance(event, End | Failed) for event in seen) == 1, "more than one end"
    complete = isinstance(seen[-1], End)
    content = [event for event in seen if not isinstance(event, End | Failed)]
    if content:
        assert isinstance(content[0], Start), f"begins with {content[0]}"
    assert sum(isinstance(event, Start) for event in seen) <= 1, "two starts"
    opened: set[int] = set()
    used: set[int] = set()
    finished: set[int] = set()
    choice_of: dict[int, int] = {}
    for event in seen:
        match event:
            case PartStart(index=index, choice=choice):
                assert index not in used, f"index {index} used twice"
                assert choice not in finished, f"part {index} after the finish of choice {choice}"
                used.add(index)
                opened.add(index)
                choice_of[index] = choice
            case PartDelta(index=index, text=text):
                assert index in opened, f"delta for {index}, which is not open"
                assert text, f"empty delta for {index}"
            case PartSignature(index=index) | PartAnnotation(index=index):
                assert index in opened, f"{type(event).__name__} for {index}, which is not open"
            case PartEnd(index=index):
                assert index in opened, f"end of {index}, which is not open"
                opened.remove(index)
            case PartWhole(index=index, choice=choice):
                assert index not in used, f"index {index} used twice"
                assert choice not in finished, f"part {index} after the finish of choice {choice}"
                used.add(index)
            case Finish(choice=choice):
                assert choice not in finished, f"choice {choice} finished twice"
                left = [index for index in opened if choice_of[index] == choice]
                assert not left, f"choice {choice} finished with parts {left} open"
                finished.add(choice)
            case _:
                pass
    if complete:
        assert not opened, f"ended with parts {opened} open"
        assert finished, "ended without a finish"


def unfold(response: ChatResponse) -> tuple[Event, ...]:
    """The events that tell an answer; `fold` gives it back."""
    return tuple(_unfold(response))


def _unfold(response: ChatResponse) -> Iterator[Event]:
    yield Start(id=response.id, model=response.model)
    index = 0
    for number, choice in enumerate(response.choices):
        for part in choice.parts:
            yield from part_events(index, part, number)
            index += 1
    if response.usage is not None:
        yield UsageUpdate(response.usage)
    for choice in response.choices:
        if choice.finish is not None:
            yield choice.finish
    yield Failed(response.failure) if response.failure is not None else End()


def part_events(index: int, part: Part, choice: int = 0) -> Iterator[Event]:
    """The events of one part that is known whole."""
    match part:
        case Text(text=text, signature=signature, citations=citations):
            yield PartStart(index, "text", signature=signature, choice=choice)
            for cited in citations:
                yield PartAnnotation(index, cited)
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
        case _:
            yield PartWhole(index, part, choice=choice)


def _closing(index: int, text: str) -> Iterator[Event]:
    if text:
        yield PartDelta(index, text)
    yield PartEnd(index)
