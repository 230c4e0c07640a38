"""A whole answer and its events."""

from __future__ import annotations

from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Media, Part, Refusal, Text, Thinking, ToolCall
from bm.chat.signature import Signature
from bm.errors import Failure
from tests.support.events import check, unfold
from tests.support.folding import ChatResponse, Choice, fold

SIGNED = Signature("gemini", "c2ln")
PARTS: tuple[Part, ...] = (
    Thinking("hm", signature=SIGNED),
    Text("so"),
    Text(""),
    ToolCall(id="1", name="x", arguments={"a": 1}, raw='{"a":1}', signature=SIGNED),
    ToolCall(id="2", name="patch", arguments={"input": "raw"}, raw="raw", kind="custom"),
    Media("image", mime="image/png", data="AAAA"),
    Refusal("no"),
)


def test_a_response_is_the_fold_of_its_events() -> None:
    answer = ChatResponse(
        id="r", model="m", choices=(Choice(PARTS, Finish("stop")),), usage=Usage(input=3, output=2), failure=None
    )
    check(unfold(answer))
    assert fold(unfold(answer)) == answer


def test_choices_are_kept_apart() -> None:
    answer = ChatResponse(
        choices=(Choice((Text("a"),), Finish("stop")), Choice((Text("b"),), Finish("length", choice=1)))
    )
    check(unfold(answer))
    assert fold(unfold(answer)) == answer


def test_interleaved_parts_keep_the_order_in_which_they_began() -> None:
    events: list[Event] = [
        Start(),
        PartStart(0, "tool_call", id="a", name="x"),
        PartStart(1, "tool_call", id="b", name="y"),
        PartDelta(1, '{"n":'),
        PartDelta(0, "{}"),
        PartDelta(1, "2}"),
        PartEnd(1),
        PartEnd(0),
        Finish("tool_calls"),
        End(),
    ]
    first, second = fold(events).choices[0].parts
    assert isinstance(first, ToolCall) and isinstance(second, ToolCall)
    assert (first.id, first.arguments, second.id, second.arguments) == ("a", {}, "b", {"n": 2})


def test_the_last_usage_and_a_late_signature_count() -> None:
    events: list[Event] = [
        UsageUpdate(Usage(input=1)),
        PartStart(0, "thinking"),
        PartSignature(0, SIGNED),
        PartEnd(0),
        UsageUpdate(Usage(input=2)),
    ]
    answer = fold(events)
    assert answer.usage == Usage(input=2)
    assert answer.choices[0].parts == (Thinking("", signature=SIGNED),)


def test_a_response_that_was_cut_is_folded_as_far_as_it_came() -> None:
    failure = Failure(kind="truncated", message="cut")
    answer = fold([Start(), PartStart(0, "text"), PartDelta(0, "half"), Failed(failure)])
    assert answer.failure == failure
    assert answer.choices == (Choice((Text("half"),), None),)


def test_a_part_that_came_at_once_is_kept() -> None:
    image = Media("image", mime="image/png", data="AAAA")
    assert fold([PartWhole(0, image)]).choices[0].parts == (image,)
