"""What vendors name becomes the events of parts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from bm.chat.builder import PartBuilder
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
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Citation, Media, Part, Refusal, Source, Text, Thinking, ToolCall
from bm.chat.signature import Signature
from bm.errors import Failure
from tests.support.events import check
from tests.support.folding import fold

MADE, MADE_2 = "call_1", "call_2"
SIGNATURE = Signature("gemini", "c2ln")
CUT = Failure(kind="truncated", message="cut")


def builder() -> PartBuilder:
    numbers = itertools.count(1)
    return PartBuilder(lambda prefix: f"{prefix}{next(numbers)}")


def built(*steps: Callable[[PartBuilder], object]) -> list[Event]:
    """The events of a complete response that these steps make, without its start and end."""
    parts = builder()
    for step in steps:
        step(parts)
    events = parts.end([Finish("stop")])
    check(events)
    assert (events[0], events[-2:]) == (Start(), [Finish("stop"), End()])
    return events[1:-2]


def call(key: object = None, call_id: str = "", name: str = "", arguments: str = "", **more: Any) -> Any:
    return lambda parts: parts.call(key, call_id, name, arguments, **more)


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        pytest.param(
            [call(0, "a", "f"), call(0, "", "", '{"x"'), call(0, "", "", ":1}")], [("a", "f", '{"x":1}')], id="OpenAI"
        ),
        pytest.param(
            [call(0, "a", "f"), call(1, "b", "g"), *[call(n % 2, "", "", piece) for n, piece in enumerate("{[}]")]],
            [("a", "f", "{}"), ("b", "g", "[]")],
            id="interleaved",
        ),
        pytest.param(
            [call(None, "a", "f", "{}"), call(None, "b", "f", "{}")],
            [("a", "f", "{}"), ("b", "f", "{}")],
            id="whole calls without a key",
        ),
        pytest.param(
            [call(None, "", "f", "{}"), call(None, "", "f", "{}")],
            [(MADE, "f", "{}"), (MADE_2, "f", "{}")],
            id="whole calls without key and id",
        ),
        pytest.param(
            [call(None, "", "f", '{"x":'), call(arguments="1}"), call(None, "", "g", "{}")],
            [(MADE, "f", '{"x":1}'), (MADE_2, "g", "{}")],
            id="fragments without key and id",
        ),
        pytest.param(
            [call(0, "a", "f", "{}"), call(0, "b", "g", "{}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="every call numbered 0",
        ),
        pytest.param([call(0, "", "f"), call(0, "a"), call(0, "", "", "{}")], [("a", "f", "{}")], id="id late"),
        pytest.param([call(0, "a", "f", "{"), call(0, "a", "f", "}")], [("a", "f", "{}")], id="id and name repeated"),
        pytest.param([call(None, "", "f", "{"), call(None, "", "f", "}")], [(MADE, "f", "{}")], id="name repeated"),
        pytest.param([call(0, "a", "f", "{"), call(0, "zz", "", "}")], [("a", "f", "{}")], id="a new id each time"),
        pytest.param([call(0, "", "f", "{}")], [(MADE, "f", "{}")], id="no id"),
        pytest.param([call(0, "a", "f")], [("a", "f", "")], id="no arguments"),
        pytest.param([call(0, "", "f")], [(MADE, "f", "")], id="neither id nor arguments"),
        pytest.param(
            [call(0, "a", "f", "{}"), call(1, "a", "g", "{}")],
            [("a", "f", "{}"), (MADE, "g", "{}")],
            id="one id for two calls",
        ),
        pytest.param([call(0, "a", "", "{}")], [], id="a call without a name"),
        pytest.param(
            [call(0, "a", "f", "{}"), lambda parts: parts.close_choice(0), call(0, "", "", "late")],
            [("a", "f", "{}")],
            id="arguments after the end",
        ),
    ],
)
def test_fragments_make_calls(fragments: list[Any], expected: list[tuple[str, str, str]]) -> None:
    (choice,) = fold([*built(*fragments), Finish("stop")]).choices
    assert [(part.id, part.name, part.raw) for part in choice.parts if isinstance(part, ToolCall)] == expected


def test_arguments_are_passed_on_as_they_come() -> None:
    events = built(call(0, "a", "f"), call(0, "", "", '{"x"'), call(0, "", "", ":1}"))
    assert events == [PartStart(0, "tool_call", "a", "f"), PartDelta(0, '{"x"'), PartDelta(0, ":1}"), PartEnd(0)]


def test_a_call_that_never_began_is_left_out_of_a_failed_response() -> None:
    parts = builder()
    parts.call(0, "", "f")
    assert parts.fail(CUT) == [Failed(CUT)]


def test_a_custom_tool_has_free_text() -> None:
    events = built(call(0, "a", "py", "1", kind="custom"), call(0, "", "", "+1"))
    assert fold(events).choices[0].parts == (ToolCall("a", "py", {"input": "1+1"}, raw="1+1", kind="custom"),)


@pytest.mark.parametrize(
    "pieces", [[call(0, "a", "f", "{}", signature=SIGNATURE)], [call(0, "a", "f", "{}"), call(0, signature=SIGNATURE)]]
)
def test_a_signature_may_come_before_or_after_its_call_begins(pieces: list[Any]) -> None:
    (part,) = fold(built(*pieces)).choices[0].parts
    assert isinstance(part, ToolCall) and part.signature == SIGNATURE


def test_a_messages_signature_goes_to_its_first_call() -> None:
    parts = builder()
    assert not parts.sign_first_call(SIGNATURE)
    parts.call(0, "a", "f")
    parts.call(1, "b", "f")
    assert parts.sign_first_call(SIGNATURE) and parts.sign_first_call(SIGNATURE)
    assert [event for event in parts.take() if isinstance(event, PartSignature)] == [PartSignature(0, SIGNATURE)]


def test_another_kind_of_part_under_a_key_closes_the_one_before() -> None:
    events = built(
        lambda parts: parts.text("k", "thinking", "hm"),
        lambda parts: parts.text("k", "text", "so"),
        lambda parts: parts.text("k", "text", ""),
        lambda parts: parts.text("k", "text", "!"),
    )
    assert events == [
        PartStart(0, "thinking"),
        PartDelta(0, "hm"),
        PartEnd(0),
        PartStart(1, "text"),
        PartDelta(1, "so"),
        PartDelta(1, "!"),
        PartEnd(1),
    ]


def test_pieces_of_an_open_part_need_not_be_collected() -> None:
    parts = builder()
    parts.open(0, "text")
    parts.take()
    assert (parts.delta(0, "a"), parts.take()) == (PartDelta(0, "a"), [])
    parts.close(0)
    assert parts.delta(0, "a") is None and parts.delta(1, "a") is None


SAID: list[Event] = [PartStart(0, "refusal"), PartDelta(0, "s"), PartEnd(0)]
CITED = Citation("x", {}, (Source("https://a.example"),))


@pytest.mark.parametrize(
    ("before", "part", "expected"),
    [
        (None, Text("so"), [PartStart(0, "text"), PartDelta(0, "so"), PartEnd(0)]),
        (None, Text(""), []),
        (None, Refusal(""), []),
        (None, Thinking("hm"), [PartStart(0, "thinking"), PartDelta(0, "hm"), PartEnd(0)]),
        ("text", Text("so"), [PartStart(0, "text"), PartDelta(0, "s"), PartEnd(0)]),
        (
            "text",
            Text("so", citations=(CITED,)),
            [PartStart(0, "text"), PartDelta(0, "s"), PartAnnotation(0, Citation("x", {}, CITED.sources)), PartEnd(0)],
        ),
        (
            "thinking",
            Thinking("so", SIGNATURE),
            [PartStart(0, "thinking"), PartDelta(0, "s"), PartSignature(0, SIGNATURE), PartEnd(0)],
        ),
        (
            "thinking",
            Text("so"),
            [
                PartStart(0, "thinking"),
                PartDelta(0, "s"),
                PartEnd(0),
                PartStart(1, "text"),
                PartDelta(1, "so"),
                PartEnd(1),
            ],
        ),
    ],
)
def test_of_a_part_that_comes_whole_only_what_is_missing_is_reported(
    before: Any, part: Any, expected: list[Event]
) -> None:
    steps = [lambda parts: parts.text("k", before, "s")] if before else []
    assert built(*steps, lambda parts: parts.complete("k", part)) == expected


def test_a_call_that_came_without_arguments_gets_them_from_its_whole() -> None:
    events = built(call("k", "a", "f"), lambda parts: parts.complete("k", ToolCall("a", "f", {}, raw="{}")))
    assert events == [PartStart(0, "tool_call", "a", "f"), PartDelta(0, "{}"), PartEnd(0)]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Media("image"), [PartWhole(0, Media("image"))]),
        (ToolCall("", "f", {}, raw="{}"), [PartStart(0, "tool_call", MADE, "f"), PartDelta(0, "{}"), PartEnd(0)]),
    ],
)
def test_a_part_may_come_at_once(part: Part, expected: list[Event]) -> None:
    assert built(lambda parts: parts.add(part)) == expected


def test_what_the_choices_hold_is_known() -> None:
    parts = builder()
    parts.text(0, "refusal", "no")
    parts.call(1, "a", "f", choice=1)
    parts.add(Media("image"), choice=2)
    assert (parts.begun, parts.called, parts.refused) == ({0, 1, 2}, {1}, {0})


def test_usage_is_reported_when_it_changes() -> None:
    parts = builder()
    parts.start("id", "model")
    for usage in (Usage(1), Usage(1), None, Usage(2)):
        parts.use(usage)
    assert parts.take() == [Start("id", "model"), UsageUpdate(Usage(1)), UsageUpdate(Usage(2))]


def test_usage_of_zeros_takes_nothing_back() -> None:
    parts = builder()
    parts.start("id", "model")
    for usage in (Usage(9, output=1), Usage(0, output=3), Usage()):
        parts.use(usage)
    assert parts.take()[1:] == [UsageUpdate(Usage(9, output=1)), UsageUpdate(Usage(9, output=3))]


def test_a_choice_is_closed_alone() -> None:
    parts = builder()
    parts.text(0, "text", "a")
    parts.text(1, "text", "b", choice=1)
    parts.take()
    parts.close_choice(0)
    assert (parts.take(), parts.is_open(0), parts.is_open(1)) == ([PartEnd(0)], False, True)
    assert parts.fail(CUT) == [PartEnd(1), Failed(CUT)] and parts.ended
