from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from bm.chat.events import (
    Event,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
)
from bm.chat.parts import Media, Opaque, Source, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import Reasoning
from bm.chat.response import part_events
from bm.chat.signature import Signature, unwrap
from bm.protocols.anthropic.arrange import Arranger, DeltaKind
from tests.protocols.anthropic.examples import IDS, THINKS, chat

GEMINI = Signature("gemini", "c2ln", "gemini-3")
OWN = Signature("anthropic", "EqRk")


class Lines:
    """Blocks as lines: `[text`, `+Hi`, `]`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def open(self, block: dict[str, Any]) -> None:
        self.lines.append("[" + block["type"])

    def delta(self, kind: DeltaKind, text: str) -> None:
        found = unwrap(text) if kind == "signature_delta" else None
        if found is not None:
            text = f"{found[0].vendor}:{found[0].value} {found[1]}"
        self.lines.append(("~" if kind == "signature_delta" else "+") + text)

    def other(self, delta: dict[str, Any]) -> None:
        self.lines.append("*" + delta["type"])

    def close(self) -> None:
        self.lines.append("]")


def blocks(events: Iterable[Event], reasoning: Reasoning = THINKS) -> str:
    sink = Lines()
    arranger = Arranger(chat(protocol="anthropic", reasoning=reasoning), IDS, sink)
    for event in events:
        arranger.feed(event)
    arranger.finish()
    return " ".join(sink.lines)


def parts(*items: Any) -> list[Event]:
    return [event for index, part in enumerate(items) for event in part_events(index, part)]


CALL = ToolCall("t1", "run", {"a": 1})


@pytest.mark.parametrize(
    ("events", "written"),
    [
        (parts(Text("Hi")), "[text +Hi ]"),
        (parts(Text("")), ""),
        (parts(Thinking("hm", signature=OWN), Text("Hi")), "[thinking +hm ~EqRk ] [text +Hi ]"),
        (parts(Thinking("", signature=OWN)), "[thinking ~EqRk ]"),
        (parts(Thinking("hm"), Text("Hi")), "[thinking +hm ~bm: self ] [text +Hi ]"),
        (parts(Thinking("hm")), "[thinking +hm ~bm: self ]"),
        (parts(Thinking("hm", signature=GEMINI)), "[thinking +hm ~gemini:c2ln self ]"),
        (parts(CALL), '[tool_use +{"a":1} ]'),
        (parts(ToolCall("t1", "run", {}, raw="{}")), "[tool_use +{} ]"),
        (
            parts(Media("image", mime="image/png", data="x")),
            "[text +[image/png: not shown, Anthropic's answers hold no media] ]",
        ),
        (parts(Opaque("gemini", "code", {}, "1 + 1")), "[text +1 + 1 ]"),
        (parts(Opaque("gemini", "code", {})), ""),
        (parts(Opaque("anthropic", "fallback", {"type": "fallback"})), "[fallback ]"),
        ([PartWhole(0, ToolResult("t1"))], ""),
        (parts(Thinking("", signature=OWN, redacted=True)), "[redacted_thinking ]"),
        (parts(Thinking("", signature=GEMINI, redacted=True)), "[thinking ~gemini:c2ln redacted ]"),
    ],
)
def test_parts_become_blocks(events: list[Event], written: str) -> None:
    assert blocks(events) == written


def test_the_signature_of_a_call_travels_in_the_thinking_before_it() -> None:
    signed = ToolCall("t1", "run", {}, raw="{}", signature=GEMINI)
    assert blocks(parts(Thinking("hm"), signed, CALL)) == (
        '[thinking +hm ~gemini:c2ln next ] [tool_use +{} ] [tool_use +{"a":1} ]'
    )
    assert blocks(parts(signed)) == "[thinking ~gemini:c2ln next ] [tool_use +{} ]"
    assert blocks(parts(Thinking("hm", signature=OWN), signed)) == (
        "[thinking +hm ~EqRk ] [thinking ~gemini:c2ln next ] [tool_use +{} ]"
    )


def test_a_signature_that_comes_after_its_text_opens_nothing() -> None:
    events: list[Event] = [PartStart(0, "text"), PartDelta(0, "A"), PartSignature(0, GEMINI), PartEnd(0)]
    empty: list[Event] = [PartStart(1, "text"), PartSignature(1, GEMINI), PartEnd(1)]
    assert blocks([*events, *empty]) == "[text +A ]"


def test_signed_text_stays_text() -> None:
    assert blocks(parts(Text("answer", signature=GEMINI))) == "[thinking ~gemini:c2ln next ] [text +answer ]"


@pytest.mark.parametrize(
    ("reasoning", "written"),
    [
        (THINKS, "[thinking +hm ~EqRk ] [thinking +ha ~gemini:c2ln next ] [tool_use +{} ]"),
        (
            Reasoning(level="auto", visible=False),
            "[thinking ~EqRk ] [thinking ~gemini:c2ln next ] [tool_use +{} ]",
        ),
        (Reasoning(), "[tool_use +{} ]"),
        (Reasoning(level="off"), "[tool_use +{} ]"),
    ],
    ids=["visible", "omitted", "unsaid", "off"],
)
def test_thinking_is_shown_as_the_client_asked(reasoning: Reasoning, written: str) -> None:
    signed = ToolCall("t1", "run", {}, raw="{}", signature=GEMINI)
    assert blocks(parts(Thinking("hm", signature=OWN), Thinking("ha"), signed), reasoning) == written


def test_interleaved_calls_are_written_one_after_the_other() -> None:
    events: list[Event] = [
        PartStart(0, "tool_call", "a", "run"),
        PartStart(1, "tool_call", "b", "run"),
        PartDelta(1, '{"b"'),
        PartDelta(0, '{"a"'),
        PartDelta(1, ":1}"),
        PartDelta(0, ":1}"),
        PartEnd(1),
        PartWhole(2, Text("Hi")),
        PartEnd(0),
    ]
    assert blocks(events) == '[tool_use +{"a" +:1} ] [tool_use +{"b" +:1} ] [text +Hi ]'


def test_what_has_not_ended_is_closed_at_the_end() -> None:
    events: list[Event] = [PartStart(0, "text"), PartDelta(0, "A"), PartStart(1, "text"), PartDelta(1, "B")]
    assert blocks(events) == "[text +A ] [text +B ]"


@pytest.mark.parametrize(
    ("pieces", "written"),
    [
        ([], ""),
        (["{}"], "+{} "),
        ([" ", '{"a"', ":1}"], '+ {"a" +:1} '),
        (["null"], ""),
        (["[1]"], ""),
        (['"{\\"a\\":1}"'], '+{"a":1} '),
        (['"x"'], ""),
        (["oops"], ""),
    ],
)
def test_a_calls_input_is_an_object_or_empty(pieces: list[str], written: str) -> None:
    deltas = [PartDelta(0, text) for text in pieces]
    assert blocks([PartStart(0, "tool_call", "t", "run"), *deltas, PartEnd(0)]) == f"[tool_use {written}]"


@pytest.mark.parametrize(("pieces", "written"), [([], '+{"input":""}'), (['a"', "b"], '+{"input":"a\\" +b +"}')])
def test_a_custom_tools_input_is_wrapped(pieces: list[str], written: str) -> None:
    deltas = [PartDelta(0, text) for text in pieces]
    assert blocks([PartStart(0, "tool_call", "t", "run", "custom"), *deltas, PartEnd(0)]) == f"[tool_use {written} ]"


def test_citations_of_its_own_kind_go_into_the_text() -> None:
    own = PartAnnotation(0, "anthropic", {"type": "char_location"})
    foreign = PartAnnotation(0, "openai-chat", {"type": "url_citation"}, (Source("https://a.example"),))
    text: list[Event] = [PartStart(0, "text"), own, PartDelta(0, "A"), own, foreign, PartEnd(0)]
    assert blocks(text) == "[text *citations_delta +A *citations_delta ]"
    assert blocks([PartStart(0, "text"), own, PartEnd(0)]) == ""


def test_only_the_first_choice_is_written() -> None:
    second: list[Event] = [PartStart(1, "text", choice=1), PartDelta(1, "B"), PartEnd(1), PartWhole(2, Text("C"), 1)]
    assert blocks([*parts(Text("A")), *second]) == "[text +A ]"


def test_a_server_tools_input_and_a_compaction_come_as_deltas() -> None:
    search = Opaque("anthropic", "server_tool_use", {"type": "server_tool_use", "id": "s", "input": {"q": 1}})
    compaction = Opaque("anthropic", "compaction", {"type": "compaction", "content": "so far"})
    assert blocks(parts(search, compaction)) == '[server_tool_use +{"q":1} ] [compaction *compaction_delta ]'
