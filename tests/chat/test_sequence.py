"""Parts that interleave are written one after the other."""

from __future__ import annotations

import pytest

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
from bm.chat.parts import Citation, Media
from bm.chat.sequence import PartSequencer, PartWriter
from bm.chat.signature import Signature
from bm.errors import Failure

SIGNATURE = Signature("gemini", "s")


class Writer(PartWriter):
    """Writes pieces, `~` a late signature, `*` a citation, and `]` at the end."""

    def text(self, text: str) -> bytes:
        return text.encode()

    def sign(self, signature: Signature) -> bytes:
        return b"~" + signature.value.encode()

    def cite(self, citation: Citation) -> bytes:
        return b"*" + citation.protocol.encode()

    def end(self) -> bytes:
        return b"]"


class Wire(PartSequencer):
    """A wire that shows what it receives."""

    def __init__(self, *, several_choices: bool = False) -> None:
        super().__init__()
        self.several_choices = several_choices
        self._heads: set[int] = set()

    def start(self, start: Start) -> bytes:
        return b"<"

    def head(self, choice: int) -> bytes:
        if choice in self._heads:
            return b""
        self._heads.add(choice)
        return b"#%d" % choice

    def open_part(self, start: PartStart) -> tuple[bytes, PartWriter]:
        signature = f" {start.signature.value}" if start.signature is not None else ""
        return f"[{start.kind}{signature}:".encode(), Writer()

    def whole_part(self, event: PartWhole) -> bytes:
        return b"(whole)"

    def end(self) -> bytes:
        return b"".join(finish.reason.encode() for finish in self.finishes.values()) + b">"

    def fail(self, failure: Failure) -> bytes:
        return failure.message.encode()

    def keepalive(self) -> bytes:
        return b"."


def written(*events: Event, several_choices: bool = False) -> str:
    wire = Wire(several_choices=several_choices)
    return b"".join(wire.feed(event) for event in events).decode()


def call(index: int, choice: int = 0) -> PartStart:
    return PartStart(index, "tool_call", id="c", name="f", choice=choice)


TEXT = PartStart(0, "text")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([TEXT, PartDelta(0, "a"), PartDelta(0, "b"), PartEnd(0)], "#0[text:ab]"),
        ([TEXT, call(1), PartDelta(1, "b"), PartDelta(0, "a"), PartEnd(1), PartEnd(0)], "#0[text:a][tool_call:b]"),
        ([TEXT, call(1), PartEnd(0), PartDelta(1, "b"), PartEnd(1)], "#0[text:][tool_call:b]"),
        ([TEXT, PartWhole(1, Media("image")), PartDelta(0, "a"), PartEnd(0)], "#0[text:a](whole)"),
        ([PartWhole(1, Media("image")), TEXT, PartEnd(0)], "#0(whole)[text:]"),
        ([TEXT, call(1), call(2), PartEnd(2), PartEnd(0), PartDelta(1, "b")], "#0[text:][tool_call:b"),
        ([TEXT, PartSignature(0, SIGNATURE), PartAnnotation(0, Citation("gemini", {}))], "#0[text:~s*gemini"),
        (
            [TEXT, call(1), PartSignature(1, SIGNATURE), PartAnnotation(1, Citation("x", {})), PartEnd(0)],
            "#0[text:][tool_call s:*x",
        ),
        ([PartDelta(7, "of no part"), PartSignature(7, SIGNATURE), PartEnd(7)], ""),
        ([Start(), UsageUpdate(Usage()), Ping(), Finish("stop")], "<#0"),
    ],
)
def test_one_part_is_open_at_a_time(events: list[Event], expected: str) -> None:
    assert written(*events) == expected


def test_the_end_closes_what_is_open_and_writes_what_waits() -> None:
    waiting: list[Event] = [call(1), PartDelta(1, "b"), PartWhole(2, Media("image")), call(3)]
    assert written(TEXT, *waiting, Finish("stop"), End()) == "#0[text:][tool_call:b](whole)[tool_call:]stop>"


@pytest.mark.parametrize("last", [End(), Failed(Failure(kind="server", message="broken"))], ids=["end", "failed"])
def test_nothing_follows_the_end(last: Event) -> None:
    wire = Wire()
    before = [wire.feed(event) for event in (Start(), TEXT, last)]
    assert before[-1]
    assert [wire.feed(event) for event in (PartDelta(0, "a"), PartEnd(0), call(1), Ping(), End())] == [b""] * 5


def test_choices_are_written_side_by_side_where_the_wire_has_room_for_them() -> None:
    second: list[Event] = [call(1, 1), PartDelta(1, "b"), Finish("length", choice=1)]
    events = [TEXT, *second, PartDelta(0, "a"), PartEnd(0), PartEnd(1), Finish("stop"), End()]
    assert written(*events, several_choices=True) == "#0[text:#1[tool_call:ba]]lengthstop>"
    assert written(*events) == "#0[text:a]stop>"
