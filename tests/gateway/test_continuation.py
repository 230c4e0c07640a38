"""A response that was cut is continued by another model: the client gets one response, or the attempt ends."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from bm.chat.parts import Citation, Text
from bm.chat.signature import Signature
from bm.errors import Failure
from bm.gateway import continuation
from bm.gateway.continuation import Delivered, Splice, last_words
from tests.support.events import check
from tests.support.folding import fold

CUT = Failed(Failure(kind="truncated", message="cut"))
SIGNED = Signature("gemini", "c2ln")


def answer(*pieces: str, index: int = 0, usage: Usage | None = None) -> list[Event]:
    """A whole text answer in pieces."""
    deltas: list[Event] = [PartDelta(index, piece) for piece in pieces if piece]
    delivered: list[Event] = [UsageUpdate(usage)] if usage else []
    return [Start(), PartStart(index, "text"), *deltas, PartEnd(index), *delivered, Finish("stop"), End()]


def begun(*pieces: str, more: Iterable[Event] = ()) -> tuple[Delivered, list[Event]]:
    """A response that was cut after these pieces and events, and what the client got of it."""
    delivered = Delivered()
    events: list[Event] = [Start(id="a", model="m"), PartStart(0, "text"), *(PartDelta(0, piece) for piece in pieces)]
    sent = [out for event in [*events, *more] for out in delivered.through(event)]
    delivered.reopen()
    return delivered, sent


def continued(delivered: Delivered, sent: list[Event], splice: Splice, events: Iterable[Event]) -> list[Event]:
    """The whole response that the client gets."""
    return sent + [out for event in events for fitted in splice.through(event) for out in delivered.through(fitted)]


def text_of(events: Iterable[Event]) -> str:
    return "".join(part.text for part in fold(events).choices[0].parts if isinstance(part, Text))


def test_a_restarted_response_counts_from_where_it_has_repeated_the_delivered_text() -> None:
    delivered, sent = begun("Hello ", "wor")
    whole = continued(delivered, sent, Splice(delivered, "restart"), answer("He", "llo world", "!"))
    check(whole)
    assert text_of(whole) == "Hello world!"
    assert sum(isinstance(event, Start) for event in whole) == 1


@pytest.mark.parametrize("events", [answer("Hi there"), answer("Hel"), answer(), answer("Hello Wor", "ld")])
def test_a_restarted_response_that_differs_is_no_continuation(events: list[Event]) -> None:
    delivered, sent = begun("Hello wor")
    splice = Splice(delivered, "restart")
    assert continued(delivered, sent, splice, events) == sent
    assert splice.diverged


def test_a_prefilled_response_is_the_rest() -> None:
    delivered, sent = begun("Hello wor")
    whole = continued(delivered, sent, Splice(delivered, "prefill"), answer("ld", "!"))
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
def test_white_space_at_the_cut_is_delivered_once(had: str, given: str, pieces: list[str], read: str) -> None:
    delivered, sent = begun(had)
    whole = continued(delivered, sent, Splice(delivered, "prefill"), answer(*pieces))
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
def test_what_a_prefilled_response_repeats_is_not_delivered_again(pieces: list[str], read: str) -> None:
    delivered, sent = begun(LONG)
    whole = continued(delivered, sent, Splice(delivered, "prefill"), answer(*pieces))
    check(whole)
    assert text_of(whole) == read


@pytest.mark.parametrize("pieces", [[LONG[:30] + "other words"], [LONG[:30]]])
def test_a_prefilled_response_that_starts_over_with_other_words_is_no_continuation(pieces: list[str]) -> None:
    delivered, sent = begun(LONG)
    splice = Splice(delivered, "prefill")
    assert continued(delivered, sent, splice, answer(*pieces)) == sent
    assert splice.diverged


BEGUN = "First the boat is built. Then the boat is painted, and then"
ALIKE = "on and on " * 60


@pytest.mark.parametrize(
    ("had", "pieces", "read"),
    [
        (BEGUN, ["the boat is painted, and then it sails."], BEGUN + " it sails."),
        (BEGUN, ["pain", "ted", ",", " and", " then", " it", " sails."], BEGUN + " it sails."),
        (BEGUN, [BEGUN[:20], BEGUN[20:] + " it sails."], BEGUN + " it sails."),
        (BEGUN, ["the boat is\n painted, and then\nit sails."], BEGUN + "\nit sails."),
        (BEGUN + " ", ["painted, and then", " ", "it sails."], BEGUN + " it sails."),
        (BEGUN[:-2], ["painted, and then it sails."], BEGUN + " it sails."),
        ("One,", ["One, two."], "One, two."),
        (BEGUN, ["painted, and then"], BEGUN),
        (BEGUN, ["it sails."], None),
        (BEGUN, ["and then"[:3]], None),
        (BEGUN, ["then it sails."], None),
        (BEGUN, ["is painted, and now it sails."], None),
        (BEGUN, ["First the boat is built. Then it sails."], None),
        (BEGUN, ["Sure! Here it is: painted, and then it sails."], None),
        (BEGUN, [], None),
        (ALIKE, ["and on and on and off."], None),
    ],
)
def test_a_model_that_is_asked_to_go_on_repeats_the_last_words(had: str, pieces: list[str], read: str | None) -> None:
    """More of them, or fewer, are as good; without any, or with others, it is no continuation."""
    delivered, sent = begun(had)
    splice = Splice(delivered, "ask")
    whole = continued(delivered, sent, splice, answer(*pieces))
    assert splice.diverged is (read is None)
    if read is None:
        assert whole == sent
    else:
        check(whole)
        assert text_of(whole) == read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("One, two", "One, two"),
        ("One, two\n", "One, two"),
        ("x" * 200 + " " + "y" * 100, "x" * 115 + " " + "y" * 100),
        (
            "a b c " * 10 + "the end of it is only here, and it is long enough",
            "the end of it is only here, and it is long enough",
        ),
        (BEGUN + "." * 20, "the boat is painted, and then" + "." * 20),
        (ALIKE, ""),
        ("0" * 9, ""),
    ],
)
def test_the_last_words_are_those_that_the_text_has_once(text: str, words: str) -> None:
    assert last_words(text) == words


@given(st.text(min_size=1), st.data())
def test_wherever_a_text_is_cut_its_last_words_and_the_rest_complete_it(text: str, data: st.DataObject) -> None:
    had = text[: data.draw(st.integers(1, len(text)))]
    words = last_words(had)
    delivered, sent = begun(had)
    rest = had[len(had.rstrip()) :] + text[len(had) :]
    whole = continued(delivered, sent, Splice(delivered, "ask"), answer(*(words + rest)))
    assert not words or text_of(whole) == text


@given(st.text(min_size=1), st.data())
def test_wherever_it_is_cut_a_repeated_response_is_delivered_once(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(text)))
    delivered, sent = begun(text[:cut])
    at = data.draw(st.integers(0, len(text)))
    whole = continued(delivered, sent, Splice(delivered, "restart"), answer(text[:at], text[at:]))
    check(whole)
    assert text_of(whole) == text


def test_new_thinking_is_dropped_and_a_new_call_follows_the_text() -> None:
    delivered, sent = begun("So: ")
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
    whole = continued(delivered, sent, Splice(delivered, "prefill"), events)
    check(whole)
    parts = fold(whole).choices[0].parts
    assert [type(part).__name__ for part in parts] == ["Text", "ToolCall"]
    assert not delivered.resumable


def test_citations_are_delivered_once_the_text_is_new() -> None:
    delivered, sent = begun("ab")
    notes: list[Event] = [
        PartAnnotation(4, Citation("x", {})),
        PartDelta(4, "abc"),
        PartAnnotation(4, Citation("y", {})),
        PartSignature(4, SIGNED),
    ]
    events = [Start(), PartStart(4, "text"), *notes, PartEnd(4), Finish("stop"), End()]
    whole = continued(delivered, sent, Splice(delivered, "restart"), events)
    check(whole)
    (part,) = fold(whole).choices[0].parts
    assert isinstance(part, Text) and (part.text, part.signature) == ("abc", SIGNED)
    assert [note.protocol for note in part.citations] == ["y"]


def test_where_nothing_was_delivered_any_response_continues() -> None:
    delivered = Delivered()
    sent = list(delivered.through(Start()))
    assert delivered.resumable
    whole = continued(delivered, sent, Splice(delivered, "restart"), answer("all"))
    check(whole)
    assert text_of(whole) == "all"


def test_the_end_of_the_text_is_held_back_until_something_follows() -> None:
    delivered, sent = begun("Hello", more=[PartEnd(0), UsageUpdate(Usage(output=3)), Ping(), CUT])
    assert not any(isinstance(event, PartEnd) for event in sent)
    assert delivered.resumable
    whole = continued(delivered, sent[:-1], Splice(delivered, "prefill"), answer(" you"))
    check(whole)
    assert text_of(whole) == "Hello you"


@pytest.mark.parametrize(
    "event",
    [PartStart(1, "tool_call", id="c", name="f"), PartStart(1, "text"), PartStart(1, "refusal"), Finish("stop")],
)
def test_more_than_one_text_is_not_resumable(event: Event) -> None:
    delivered, _ = begun("a", more=[event] if isinstance(event, PartStart) else [PartEnd(0), event])
    assert not delivered.resumable


def test_a_response_that_is_too_long_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuation, "MAX_KEPT", 100_000)
    delivered, _ = begun(*["0123456789"] * 9_000)
    assert delivered.resumable and len(delivered.text) == 90_000
    longer, _ = begun(*["0123456789"] * 11_000)
    assert not longer.resumable and longer.text == ""


def test_nothing_is_kept_once_another_target_cannot_finish_it() -> None:
    delivered, _ = begun("a" * 1000, more=[PartStart(1, "tool_call", id="c", name="f"), PartDelta(1, "{}")])
    assert (delivered.text, delivered.steps) == ("", [])


def test_text_of_an_event_that_did_not_pass_is_taken_back() -> None:
    delivered, _ = begun("one ", "two ", "three")
    delivered.retract([PartDelta(0, "three"), PartEnd(0), CUT])
    assert delivered.text == "one two "


def test_thinking_alone_is_not_resumable() -> None:
    delivered = Delivered()
    events: list[Event] = [Start(), PartStart(0, "thinking"), PartDelta(0, "hm"), PartEnd(0)]
    assert [out for event in events for out in delivered.through(event)] == events
    assert not delivered.resumable
    list(delivered.through(PartStart(1, "text")))
    assert delivered.resumable


def test_the_usage_of_a_prefilled_response_is_added() -> None:
    delivered, sent = begun("x" * 40, more=[UsageUpdate(Usage(input=9, output=15))])
    events = answer("y", usage=Usage(input=20, output=4))
    assert fold(continued(delivered, sent, Splice(delivered, "prefill"), events)).usage == Usage(input=20, output=19)


def test_a_restarted_response_has_its_own_usage() -> None:
    delivered, sent = begun("xx", more=[UsageUpdate(Usage(input=9, output=15))])
    events = answer("xxy", usage=Usage(input=9, output=4))
    assert fold(continued(delivered, sent, Splice(delivered, "restart"), events)).usage == Usage(input=9, output=4)


def test_tokens_are_estimated_where_none_were_reported() -> None:
    delivered, _ = begun("x" * 36)
    assert delivered.tokens == 10


def test_a_second_cut_is_continued_like_the_first() -> None:
    delivered, sent = begun("one ")
    events: list[Event] = [Start(), PartStart(0, "text"), PartDelta(0, "two "), CUT]
    second = continued(delivered, sent, Splice(delivered, "prefill"), events)[:-1]
    delivered.reopen()
    assert delivered.text == "one two " and delivered.resumable
    whole = continued(delivered, second, Splice(delivered, "restart"), answer("one two three"))
    check(whole)
    assert text_of(whole) == "one two three"
