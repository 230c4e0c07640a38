"""One call at most, where the client asked for that and the upstream cannot be told."""

from __future__ import annotations

from bm.chat.events import Event, PartDelta, PartEnd, PartSignature, PartStart
from bm.chat.signature import Signature
from bm.protocols.single_call import SingleCall


def kept(*events: Event) -> list[Event]:
    single = SingleCall()
    return [event for event in events if single.keeps(event)]


def test_the_first_call_stays_and_further_ones_go_with_all_their_events() -> None:
    first: list[Event] = [PartStart(1, "tool_call", id="a", name="x"), PartDelta(1, "{}"), PartEnd(1)]
    second: list[Event] = [PartStart(2, "tool_call", id="b", name="x"), PartDelta(2, "{}")]
    rest: list[Event] = [PartSignature(2, Signature("gemini", "c2ln")), PartEnd(2)]
    assert kept(*first, *second, *rest) == first


def test_interleaved_calls_are_told_apart() -> None:
    one, two = PartStart(1, "tool_call", id="a"), PartStart(2, "tool_call", id="b")
    assert kept(one, two, PartDelta(2, "{"), PartDelta(1, "{"), PartEnd(2), PartEnd(1)) == [
        one,
        PartDelta(1, "{"),
        PartEnd(1),
    ]


def test_text_around_the_call_stays() -> None:
    text: list[Event] = [PartStart(3, "text"), PartDelta(3, "so"), PartEnd(3)]
    call = PartStart(1, "tool_call", id="a")
    assert kept(call, PartStart(2, "tool_call", id="b"), *text) == [call, *text]


def test_each_choice_has_a_call_of_its_own() -> None:
    calls = [PartStart(1, "tool_call", id="a"), PartStart(2, "tool_call", id="b", choice=1)]
    assert kept(*calls) == calls
