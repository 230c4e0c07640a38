from __future__ import annotations

from typing import get_args

import pytest

from bm.names import ProtocolName
from bm.remedies.questions import ANSWER, HUGE, NO_LEVEL, facts, plain, questions

YES = {("level", "low"): True, ("level", "high"): True, ("level", NO_LEVEL): False}


@pytest.mark.parametrize("protocol", get_args(ProtocolName))
def test_questions_differ_from_the_plain_request_by_what_they_ask(protocol: ProtocolName) -> None:
    asked = {(question.name, question.value): question.body for question in questions(protocol, "m")}
    assert plain(protocol, "m") not in asked.values()
    assert len({str(body) for body in asked.values()}) == len(asked)
    assert str(HUGE) in str(asked["limit", ""]) and str(ANSWER) in str(asked["schema", ""])
    assert {name for name, _ in asked} >= {"level", "forced tools", "schema", "schema keywords", "limit"}


def test_what_answers_say_of_a_model() -> None:
    assert facts(YES) == {"levels": ("low", "high")}
    assert facts({("forced tools", ""): False, ("prefill", ""): True}) == {
        "forced_tools": ("never",),
        "prefill": (True,),
    }
    assert facts({("schema", ""): True, ("json", ""): False}) == {"structured_output": ("schema",)}
    assert facts({("schema", ""): False, ("json", ""): True}) == {"structured_output": ("json",)}
    assert facts({("schema", ""): False}) == {"structured_output": ("none",)}


def test_a_service_that_takes_any_level_says_nothing_of_levels() -> None:
    assert facts(YES | {("level", NO_LEVEL): True}) == {}
