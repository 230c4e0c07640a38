"""Rows of refusals and the names they are compared with."""

from __future__ import annotations

import pytest

from bm.simulator.anthropic_refusals import REFUSALS as ANTHROPIC
from bm.simulator.faults import Refused
from bm.simulator.gemini_refusals import REFUSALS as GEMINI
from bm.simulator.openai_refusals import CHAT, RESPONSES
from bm.simulator.refusals import Refusal, family, member, number, refuse, subschemas
from bm.simulator.request import Request


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("publishers/google/Gemini-3.8-Flash", "gemini-3.8-flash"),
        ("gpt-5.4-2026-03-05", "gpt-5.4"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("gpt-oss:20b", "gpt-oss"),
        ("gemini-3-flash-sim-cut", "gemini-3-flash"),
        ("sim-429", "sim-429"),
    ],
)
def test_a_family_is_the_bare_name(model: str, name: str) -> None:
    assert family(model) == name


def test_every_row_names_its_models_its_source_and_a_message_that_can_be_filled() -> None:
    for row in (*ANTHROPIC, *GEMINI, *CHAT, *RESPONSES):
        assert row.models and row.source and row.message.format(model="m", found="f")


def request_of(model: str, path: str = "") -> Request:
    return Request(
        number=1, method="POST", path=path, query={}, headers={}, body={}, api="openai-chat", operation="generate",
        prefix=path, model=model, verb="", key="k", stream=False,
    )  # fmt: skip


def test_a_row_holds_for_its_models_on_its_service() -> None:
    row = Refusal("a-* b", lambda body: body.get("wrong"), "{model}: {found}", "a test", "groq", "p", "c", 422)
    with pytest.raises(Refused) as caught:
        refuse([row], request_of("a-1", "/groq"), {"wrong": "x"})
    trouble = caught.value.trouble
    assert (trouble.message, trouble.status, trouble.param, trouble.code) == ("a-1: x", 422, "p", "c")
    refuse([row], request_of("a-1", "/groq"), {})
    refuse([row], request_of("b-1", "/groq"), {"wrong": "x"})
    refuse([row], request_of("a-1"), {"wrong": "x"})


def test_values_are_found_in_nested_objects() -> None:
    assert member({"a": {"b": 1}}, "a", "b") == 1
    assert member({"a": [1]}, "a", "b") is None
    assert [number(value) for value in (1, 1.5, True, "1")] == [1.0, 1.5, None, None]


def test_subschemas_are_schemas_and_never_properties_by_their_names() -> None:
    inner = {"type": "string"}
    schema = {"properties": {"items": inner, "b": {"anyOf": [inner]}}, "items": [inner], "enum": [{"type": "x"}]}
    assert len(list(subschemas(schema))) == 5
