"""Fragments of calls as services really send them, and the calls they make."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from bm.chat.events import Event, Finish, PartDelta, PartEnd, PartStart, Start
from bm.chat.parts import Json, ToolCall
from bm.chat.response import fold
from bm.chat.signature import Signature
from bm.protocols.openai_chat.calls import CallAssembler
from tests.protocols.openai_chat.kit import ids


def fragment(arguments: Any = None, *, name: str | None = None, **members: Any) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"function": {key: value for key, value in function.items() if value is not None}, **members}


def events(*fragments: Json, complete: bool = True) -> list[Event]:
    out: list[Event] = []
    assembler = CallAssembler(0, itertools.count().__next__, ids())
    for given in fragments:
        assembler.add(given, out)
    assembler.close(out, complete=complete)
    return out


def calls(*fragments: Json) -> list[tuple[str, str, str]]:
    """Id, name and arguments of the calls that the fragments make."""
    answer = fold([Start(), *events(*fragments), Finish("tool_calls")])
    parts = answer.choices[0].parts
    return [(part.id, part.name, part.raw) for part in parts if isinstance(part, ToolCall)]


MADE = "call_0000000000000001"
MADE_2 = "call_0000000000000002"


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        pytest.param(
            [fragment("", index=0, id="a", name="f"), fragment('{"x"', index=0), fragment(":1}", index=0)],
            [("a", "f", '{"x":1}')],
            id="OpenAI",
        ),
        pytest.param(
            [
                fragment("", index=0, id="a", name="f"),
                fragment("", index=1, id="b", name="g"),
                fragment("{", index=0),
                fragment("[", index=1),
                fragment("}", index=0),
                fragment("]", index=1),
            ],
            [("a", "f", "{}"), ("b", "g", "[]")],
            id="interleaved",
        ),
        pytest.param(
            [fragment("{}", id="a", name="f"), fragment("{}", id="b", name="f")],
            [("a", "f", "{}"), ("b", "f", "{}")],
            id="whole calls without an index",
        ),
        pytest.param(
            [fragment("{}", name="f"), fragment("{}", name="f")],
            [(MADE, "f", "{}"), (MADE_2, "f", "{}")],
            id="whole calls without index and id",
        ),
        pytest.param(
            [fragment('{"x":', name="f"), fragment("1}"), fragment("{}", name="g")],
            [(MADE, "f", '{"x":1}'), (MADE_2, "g", "{}")],
            id="fragments without index and id",
        ),
        pytest.param(
            [fragment("{}", index=0, id="a", name="f"), fragment("{}", index=0, id="b", name="g")],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="every call numbered 0",
        ),
        pytest.param(
            [fragment("", index=0, name="f"), fragment("", index=0, id="a"), fragment("{}", index=0, name="")],
            [("a", "f", "{}")],
            id="id late, name repeated as nothing",
        ),
        pytest.param(
            [fragment("{", index=0, id="a", name="f"), fragment("}", index=0, id="a", name="f")],
            [("a", "f", "{}")],
            id="id and name repeated",
        ),
        pytest.param(
            [fragment("{", name="f"), fragment("}", name="f")],
            [(MADE, "f", "{}")],
            id="name repeated, no index, no id",
        ),
        pytest.param(
            [fragment("{", index=0, id="a", name="f"), fragment("}", index=0, id="zz")],
            [("a", "f", "{}")],
            id="a new id in each fragment",
        ),
        pytest.param([fragment("{}", index=0, id="", name="f")], [(MADE, "f", "{}")], id="an empty id"),
        pytest.param([fragment({"x": 1}, id="a", name="f")], [("a", "f", '{"x":1}')], id="arguments as an object"),
        pytest.param([fragment(None, index=0, id="a", name="f")], [("a", "f", "")], id="no arguments"),
        pytest.param([fragment(None, index=0, name="f")], [(MADE, "f", "")], id="neither id nor arguments"),
        pytest.param(
            [fragment("{}", index=0, id="a", name="f"), fragment("{}", index=1, id="a", name="g")],
            [("a", "f", "{}"), (MADE, "g", "{}")],
            id="one id for two calls",
        ),
        pytest.param([fragment("{}", index=0, id="a")], [], id="a call without a name"),
    ],
)
def test_fragments_make_calls(fragments: list[Json], expected: list[tuple[str, str, str]]) -> None:
    assert calls(*fragments) == expected


def test_arguments_go_on_as_they_come() -> None:
    told = events(fragment("", index=0, id="a", name="f"), fragment('{"x"', index=0), fragment(":1}", index=0))
    assert told == [
        PartStart(0, "tool_call", id="a", name="f"),
        PartDelta(0, '{"x"'),
        PartDelta(0, ":1}"),
        PartEnd(0),
    ]


def test_a_call_that_never_began_is_left_out_of_a_cut_answer() -> None:
    assert events(fragment(None, index=0, name="f"), complete=False) == []


def test_custom_tools_have_free_text() -> None:
    begun: Json = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "py", "input": "1"}}
    answer = fold([Start(), *events(begun, {"index": 0, "custom": {"input": "+1"}}), Finish("tool_calls")])
    assert answer.choices[0].parts == (ToolCall("a", "py", {"input": "1+1"}, raw="1+1", kind="custom"),)


def test_a_signature_may_come_before_or_after_its_call_was_opened() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    early = events(fragment("{}", index=0, id="a", name="f", **extra))
    late = events(fragment("{}", index=0, id="a", name="f"), {"index": 0, **extra})
    for told in (early, late):
        call = fold([Start(), *told, Finish("tool_calls")]).choices[0].parts[0]
        assert isinstance(call, ToolCall)
        assert call.signature == Signature("gemini", "c2ln")
