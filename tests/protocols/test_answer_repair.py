"""What is repaired of an answer that is translated."""

from __future__ import annotations

import pytest

from bm.chat.events import End, Event, Failed, Finish, FinishReason, PartDelta, PartEnd, PartStart, PartWhole
from bm.chat.parts import Media, Thinking
from bm.chat.signature import Signature
from bm.protocols.answer_repair import AnswerRepair


def call(*pieces: str, name: str = "find", index: int = 0) -> list[Event]:
    deltas = [PartDelta(index, piece) for piece in pieces]
    return [PartStart(index, "tool_call", "c", name), *deltas, PartEnd(index)]


def through(events: list[Event], repair: AnswerRepair | None = None) -> list[Event]:
    repair = repair or AnswerRepair()
    return [out for event in events for out in repair.through(event)]


@pytest.mark.parametrize("text", ['{"city": "Ro', "{", "[1]", "city=Rome", '"x"'])
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_a_call_without_whole_arguments_fails_the_answer(text: str, reason: FinishReason) -> None:
    events = [*call(text[:1], text[1:]), Finish(reason), End()]
    *kept, last = through(events)
    assert kept == [each for each in events[:-1] if not isinstance(each, PartEnd)]
    assert isinstance(last, Failed)
    assert (last.failure.kind, last.failure.should_retry) == ("malformed", True)
    assert last.failure.message == "the arguments of the call of find are no whole JSON object"


@pytest.mark.parametrize("text", ["{}", "", "null", '{"a": 1}', '"{\\"a\\": 1}"'])
def test_whole_arguments_pass(text: str) -> None:
    events = [*call(text), Finish("tool_calls"), End()]
    assert through(events) == events


LINES = '{\n\t"path": "a\\"b", "text": "one\n\ttwo three \\\\",\r\n"more": "\x00"}'
ESCAPED = '{\n\t"path": "a\\"b", "text": "one\\n\\ttwo three \\\\",\r\n"more": "\\u0000"}'


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_line_ends_in_strings_of_arguments_become_escapes(size: int) -> None:
    pieces = [LINES[at : at + size] for at in range(0, len(LINES), size)]
    out = through([*call(*pieces), Finish("tool_calls"), End()])
    assert "".join(event.text for event in out if isinstance(event, PartDelta)) == ESCAPED
    assert isinstance(out[-1], End)


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        (['{"a":', '"b"}', '{"a":"b"}'], '{"a":"b"}'),
        (['{"a":', '"b"}', '{"a": "b"}'], '{"a":"b"}'),
        (["{", '{"a', '{"a":', '{"a":"b', '{"a":"b"}', '{"a":"b"}'], '{"a":"b"}'),
        (['{"a":"b"}' * 2], '{"a":"b"}'),
        (['{"a":"b"}' * 3], '{"a":"b"}'),
        (['{"a":', '{"a":1}}'], '{"a":{"a":1}}'),
        (['{"a":"', "{", '","b":', '{"a":2}}'], '{"a":"{","b":{"a":2}}'),
        (['{"a":"}{"}'], '{"a":"}{"}'),
    ],
)
def test_arguments_that_a_service_repeats_are_passed_on_once(pieces: list[str], whole: str) -> None:
    out = through([*call(*pieces), Finish("tool_calls"), End()])
    assert "".join(event.text for event in out if isinstance(event, PartDelta)) == whole
    assert isinstance(out[-1], End)


@pytest.mark.parametrize("pieces", [['{"a":1}', '{"a":2}'], ["{", "{", "}"]])
def test_other_arguments_behind_the_first_are_no_repetition(pieces: list[str]) -> None:
    assert isinstance(through([*call(*pieces), Finish("tool_calls"), End()])[-1], Failed)


def test_arguments_that_pass_through_are_only_checked() -> None:
    *_, last = through([*call(LINES), Finish("tool_calls"), End()], AnswerRepair(passing=True))
    assert isinstance(last, Failed)


@pytest.mark.parametrize("reason", ["length", "context_window", "refusal"])
def test_arguments_may_break_off_where_the_answer_was_cut(reason: FinishReason) -> None:
    events = [*call('{"a": "b'), Finish(reason), End()]
    assert through(events) == events


def test_a_custom_tool_holds_any_text() -> None:
    custom: list[Event] = [PartStart(1, "tool_call", "d", "patch", "custom"), PartDelta(1, "*** Begin"), PartEnd(1)]
    events = [*call("*** Begin", name="apply_patch"), *custom, Finish("tool_calls"), End()]
    assert through(events, AnswerRepair(free={"apply_patch"})) == events


def test_renamed_arguments_are_put_back_in_one_piece() -> None:
    repair = AnswerRepair({"find": {"_filter": "$filter"}})
    events = through([*call('{"_fil', 'ter":1,"top":{"_filter":2}}'), *call("{}", name="other", index=1)], repair)
    assert events == [*call('{"$filter":1,"top":{"_filter":2}}'), *call("{}", name="other", index=1)]


def test_broken_arguments_with_renamed_keys_arrive_as_they_came() -> None:
    events = [*call('{"_filter": "'), Finish("length"), End()]
    assert through(events, AnswerRepair({"find": {"_filter": "$filter"}})) == events


@pytest.mark.parametrize(
    "thought",
    [
        [PartStart(0, "thinking"), PartDelta(0, "hm"), PartEnd(0)],
        [PartWhole(0, Thinking("", Signature("anthropic", "x"), redacted=True))],
    ],
)
def test_thinking_alone_is_followed_by_an_empty_text(thought: list[Event]) -> None:
    text = [PartStart(1, "text"), PartDelta(1, ""), PartEnd(1)]
    assert through([*thought, Finish("stop"), End()]) == [*thought, *text, Finish("stop"), End()]


def test_what_passes_through_is_only_checked() -> None:
    events: list[Event] = [PartStart(0, "thinking"), PartDelta(0, "hm"), PartEnd(0), Finish("stop"), End()]
    assert through(events, AnswerRepair(passing=True)) == events
    assert isinstance(through([*call("{"), Finish("stop"), End()], AnswerRepair(passing=True))[-1], Failed)


@pytest.mark.parametrize(
    "events",
    [
        [
            PartStart(0, "thinking"),
            PartEnd(0),
            PartStart(1, "text"),
            PartDelta(1, "a"),
            PartEnd(1),
            Finish("stop"),
            End(),
        ],
        [PartStart(0, "thinking"), PartEnd(0), PartWhole(1, Media("image", data="x")), Finish("stop"), End()],
        [PartStart(0, "thinking"), PartEnd(0), Finish("length"), End()],
        [Finish("stop"), End()],
    ],
)
def test_other_answers_stay(events: list[Event]) -> None:
    assert through(events) == events
