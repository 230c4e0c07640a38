"""A cut answer, gone on with by another model: the reader has one answer, or the attempt ends."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.continuation import Delivered, Splice
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
    Ping,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Text
from bm.chat.response import fold
from bm.chat.signature import Signature
from bm.errors import Failure
from tests.support.events import check

CUT = Failed(Failure(kind="truncated", message="cut"))
SIGNED = Signature("gemini", "c2ln")


def answer(*pieces: str, index: int = 0, usage: Usage | None = None) -> list[Event]:
    """A whole text answer in pieces."""
    deltas: list[Event] = [PartDelta(index, piece) for piece in pieces if piece]
    told: list[Event] = [UsageUpdate(usage)] if usage else []
    return [Start(), PartStart(index, "text"), *deltas, PartEnd(index), *told, Finish("stop"), End()]


def begun(*pieces: str, more: Iterable[Event] = ()) -> tuple[Delivered, list[Event]]:
    """An answer that was cut after these pieces and events; what the reader has of it."""
    told = Delivered()
    events: list[Event] = [Start(id="a", model="m"), PartStart(0, "text"), *(PartDelta(0, piece) for piece in pieces)]
    shown = [out for event in [*events, *more] for out in told.through(event)]
    told.reopen()
    return told, shown


def gone_on(told: Delivered, shown: list[Event], fit: Splice, events: Iterable[Event]) -> list[Event]:
    """The whole answer as the reader has it."""
    return shown + [out for event in events for fitted in fit.through(event) for out in told.through(fitted)]


def text_of(events: Iterable[Event]) -> str:
    return "".join(part.text for part in fold(events).choices[0].parts if isinstance(part, Text))


def test_a_restarted_answer_counts_from_where_it_has_repeated_what_was_told() -> None:
    told, shown = begun("Hello ", "wor")
    whole = gone_on(told, shown, Splice(told, prefill=None), answer("He", "llo world", "!"))
    check(whole)
    assert text_of(whole) == "Hello world!"
    assert sum(isinstance(event, Start) for event in whole) == 1


@pytest.mark.parametrize("events", [answer("Hi there"), answer("Hel"), answer(), answer("Hello Wor", "ld")])
def test_a_restarted_answer_that_differs_is_no_continuation(events: list[Event]) -> None:
    told, shown = begun("Hello wor")
    fit = Splice(told, prefill=None)
    assert gone_on(told, shown, fit, events) == shown
    assert fit.diverged


def test_a_prefilled_answer_is_the_rest() -> None:
    told, shown = begun("Hello wor")
    whole = gone_on(told, shown, Splice(told, prefill="Hello wor"), answer("ld", "!"))
    check(whole)
    assert text_of(whole) == "Hello world!"


@pytest.mark.parametrize(
    ("had", "given", "pieces", "read"),
    [
        ("one, \n", "one,", [" \ntwo"], "one, \ntwo"),
        ("one, \n", "one,", [" ", "\n", "two"], "one, \ntwo"),
        ("one, \n", "one,", ["two"], "one, \ntwo"),
        ("one, \n", "one,", ["\ntwo"], "one, \n\ntwo"),
        ("one, \n", "one,", [], "one, \n"),
        ("all of it", "all of it", [], "all of it"),
    ],
)
def test_white_space_at_the_seam_is_there_once(had: str, given: str, pieces: list[str], read: str) -> None:
    told, shown = begun(had)
    whole = gone_on(told, shown, Splice(told, prefill=given), answer(*pieces))
    check(whole)
    assert text_of(whole) == read


LONG = "A sentence that is long enough to be known again."


@pytest.mark.parametrize(
    ("pieces", "read"),
    [
        ([LONG[:9], LONG[9:] + " And on."], LONG + " And on."),
        ([LONG], LONG),
        (["A sentence", " more."], LONG + "A sentence more."),
        (["A se"], LONG + "A se"),
    ],
    ids=["repeats, goes on", "repeats", "begins alike", "is the beginning"],
)
def test_a_prefilled_answer_that_repeats_what_it_was_given_does_not_repeat_it_to_the_reader(
    pieces: list[str], read: str
) -> None:
    told, shown = begun(LONG)
    whole = gone_on(told, shown, Splice(told, prefill=LONG), answer(*pieces))
    check(whole)
    assert text_of(whole) == read


@pytest.mark.parametrize("pieces", [[LONG[:30] + "other words"], [LONG[:30]]])
def test_a_prefilled_answer_that_begins_anew_with_other_words_is_no_continuation(pieces: list[str]) -> None:
    told, shown = begun(LONG)
    fit = Splice(told, prefill=LONG)
    assert gone_on(told, shown, fit, answer(*pieces)) == shown
    assert fit.diverged


@given(st.text(min_size=1), st.data())
def test_wherever_it_is_cut_a_repeated_answer_is_told_once(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(text)))
    told, shown = begun(text[:cut])
    at = data.draw(st.integers(0, len(text)))
    whole = gone_on(told, shown, Splice(told, prefill=None), answer(text[:at], text[at:]))
    check(whole)
    assert text_of(whole) == text


def test_new_thinking_is_left_out_and_a_new_call_follows_the_text() -> None:
    told, shown = begun("So: ")
    events: list[Event] = [
        Start(),
        PartStart(0, "thinking"),
        PartDelta(0, "hm"),
        PartSignature(0, SIGNED),
        PartEnd(0),
        PartStart(1, "tool_call", id="c", name="f"),
        PartDelta(1, "{}"),
        PartEnd(1),
        Finish("tool_calls"),
        End(),
    ]
    whole = gone_on(told, shown, Splice(told, prefill="So:"), events)
    check(whole)
    parts = fold(whole).choices[0].parts
    assert [type(part).__name__ for part in parts] == ["Text", "ToolCall"]
    assert not told.resumable


def test_notes_on_the_text_follow_it_once_it_is_new() -> None:
    told, shown = begun("ab")
    notes: list[Event] = [
        PartAnnotation(4, "x", {}),
        PartDelta(4, "abc"),
        PartAnnotation(4, "y", {}),
        PartSignature(4, SIGNED),
    ]
    events = [Start(), PartStart(4, "text"), *notes, PartEnd(4), Finish("stop"), End()]
    whole = gone_on(told, shown, Splice(told, prefill=None), events)
    check(whole)
    (part,) = fold(whole).choices[0].parts
    assert isinstance(part, Text) and (part.text, part.signature) == ("abc", SIGNED)
    assert [note.protocol for note in part.citations] == ["y"]


def test_where_nothing_was_told_any_answer_goes() -> None:
    told = Delivered()
    shown = list(told.through(Start()))
    assert told.resumable
    whole = gone_on(told, shown, Splice(told, prefill=None), answer("all"))
    check(whole)
    assert text_of(whole) == "all"


def test_an_end_of_the_text_is_not_told_before_something_follows() -> None:
    told, shown = begun("Hello", more=[PartEnd(0), UsageUpdate(Usage(output=3)), Ping(), CUT])
    assert not any(isinstance(event, PartEnd) for event in shown)
    assert told.resumable
    whole = gone_on(told, shown[:-1], Splice(told, prefill="Hello"), answer(" you"))
    check(whole)
    assert text_of(whole) == "Hello you"


@pytest.mark.parametrize(
    "event",
    [PartStart(1, "tool_call", id="c", name="f"), PartStart(1, "text"), PartStart(1, "refusal"), Finish("stop")],
)
def test_more_than_one_text_is_not_gone_on_with(event: Event) -> None:
    told, _ = begun("a", more=[event] if isinstance(event, PartStart) else [PartEnd(0), event])
    assert not told.resumable


def test_thinking_alone_is_not_gone_on_with() -> None:
    told = Delivered()
    events: list[Event] = [Start(), PartStart(0, "thinking"), PartDelta(0, "hm"), PartEnd(0)]
    assert [out for event in events for out in told.through(event)] == events
    assert not told.resumable
    list(told.through(PartStart(1, "text")))
    assert told.resumable


def test_what_a_prefilled_answer_takes_is_added_to_what_was_taken() -> None:
    told, shown = begun("x" * 40, more=[UsageUpdate(Usage(input=9, output=15))])
    events = answer("y", usage=Usage(input=20, output=4))
    assert fold(gone_on(told, shown, Splice(told, prefill="x" * 40), events)).usage == Usage(input=20, output=19)


def test_a_restarted_answer_has_its_own_usage() -> None:
    told, shown = begun("xx", more=[UsageUpdate(Usage(input=9, output=15))])
    events = answer("xxy", usage=Usage(input=9, output=4))
    assert fold(gone_on(told, shown, Splice(told, prefill=None), events)).usage == Usage(input=9, output=4)


def test_text_of_which_no_count_was_told_is_estimated() -> None:
    told, _ = begun("x" * 36)
    assert told.tokens == 10


def test_a_second_cut_is_gone_on_with_like_the_first() -> None:
    told, shown = begun("one ")
    events: list[Event] = [Start(), PartStart(0, "text"), PartDelta(0, "two "), CUT]
    second = gone_on(told, shown, Splice(told, prefill="one"), events)[:-1]
    told.reopen()
    assert told.text == "one two " and told.resumable
    whole = gone_on(told, second, Splice(told, prefill=None), answer("one two three"))
    check(whole)
    assert text_of(whole) == "one two three"
