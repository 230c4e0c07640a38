"""Answers in any order that the grammar of events allows: parts interleaved, usage anywhere, cut anywhere."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    FinishReason,
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
from bm.chat.parts import Citation, Media, Opaque, Part, Source, StreamedKind, Thinking
from bm.chat.signature import Signature
from bm.errors import Failure

TEXTS = st.text(min_size=1, max_size=8)
REASONS = st.sampled_from(get_args(FinishReason))
KINDS = st.sampled_from(get_args(StreamedKind))
SIGNATURES = st.sampled_from([None, Signature("gemini", "c2ln"), Signature("anthropic", "c2ln")])
SEARCHING = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
WHOLES: st.SearchStrategy[Part] = st.sampled_from(
    [
        Media("image", mime="image/png", data="QUJD"),
        Opaque("anthropic", "server_tool_use", SEARCHING),
        Opaque("gemini", "code", {}, summary="1"),
        Thinking("", Signature("anthropic", "x"), redacted=True),
    ]
)
LOOSE: list[Event] = [Ping(), UsageUpdate(Usage(1, 2, 3, 4, 1)), UsageUpdate(Usage(1, 2, 3, 9, 2))]


@st.composite
def one_part(draw: st.DrawFn, index: int, choices: int) -> list[Event]:
    """The events of one part."""
    choice = draw(st.integers(0, choices - 1))
    if draw(st.integers(0, 5)) == 0:
        return [PartWhole(index, draw(WHOLES), choice=choice)]
    kind = draw(KINDS)
    signature = draw(SIGNATURES)
    name = draw(st.sampled_from(["f", "g"])) if kind == "tool_call" else ""
    start = PartStart(index, kind, id=f"c{index}" if name else "", name=name, choice=choice)
    events: list[Event] = [start, *(PartDelta(index, text) for text in draw(st.lists(TEXTS, max_size=3)))]
    if kind == "text" and draw(st.booleans()):
        events.insert(1, PartAnnotation(index, Citation("anthropic", {}, (Source("https://a.example", "A"),))))
    if signature is not None:
        events.append(PartSignature(index, signature))
    return [*events, PartEnd(index)]


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """A whole answer, or one that fails somewhere."""
    choices = draw(st.integers(1, 2))
    adapters = [draw(one_part(index, choices)) for index in range(draw(st.integers(0, 4)))]
    events: list[Event] = [Start("up", "up")]
    while adapters:
        call = draw(st.integers(0, len(adapters) - 1))
        events.append(adapters[call].pop(0))
        if not adapters[call]:
            adapters.pop(call)
        if draw(st.integers(0, 4)) == 0:
            events.append(draw(st.sampled_from(LOOSE)))
    events += [Finish(draw(REASONS), choice=choice) for choice in range(choices)]
    if draw(st.booleans()):
        events.append(LOOSE[1])
    if draw(st.integers(0, 3)) == 0:
        events = events[: draw(st.integers(0, len(events)))]
        return [*events, Failed(Failure(kind="truncated", message="cut"))]
    return [*events, End()]
