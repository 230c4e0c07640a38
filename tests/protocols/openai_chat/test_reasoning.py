from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import Json
from bm.chat.request import Reasoning
from bm.errors import RequestError
from bm.names import Level
from bm.protocols.openai_chat.reasoning import MEMBERS, decode_reasoning
from tests.protocols.openai_chat.kit import client_request, lost, sent

LEVELS: tuple[Level, ...] = ("low", "medium", "high")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, Reasoning()),
        ({"reasoning_effort": "none"}, Reasoning("off")),
        ({"reasoning_effort": "minimal"}, Reasoning("minimal")),
        ({"reasoning_effort": "XHIGH"}, Reasoning("xhigh")),
        ({"reasoning_effort": "default"}, Reasoning("auto")),
        ({"reasoning_effort": "ultra"}, Reasoning("max")),
        ({"reasoning": {"effort": "low"}}, Reasoning("low", visible=True)),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(budget=2000, visible=True)),
        ({"reasoning": {"enabled": True, "exclude": True}}, Reasoning("auto", visible=False)),
        ({"reasoning": {"enabled": False}}, Reasoning("off")),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, Reasoning(budget=4096, visible=True)),
        ({"thinking": {"type": "disabled"}}, Reasoning("off")),
        ({"enable_thinking": True, "thinking_budget": 100}, Reasoning(budget=100, visible=True)),
        ({"enable_thinking": False}, Reasoning("off")),
        ({"include_reasoning": False, "reasoning_effort": "high"}, Reasoning("high", visible=False)),
        ({"reasoning_format": "hidden"}, Reasoning(visible=False)),
        (
            {"extra_body": {"google": {"thinking_config": {"thinking_budget": 5, "include_thoughts": True}}}},
            Reasoning(budget=5, visible=True),
        ),
    ],
)
def test_every_usual_form_is_read(body: Json, expected: Reasoning) -> None:
    assert decode_reasoning(body) == expected


def test_a_wrong_type_names_its_place() -> None:
    with pytest.raises(RequestError, match=r"reasoning\.max_tokens: expected a number, got a string"):
        decode_reasoning({"reasoning": {"max_tokens": "many"}})


def thinking(reasoning: Reasoning, dialect: str, *, max_tokens: int | None = None, **capabilities: Any) -> Json:
    """The members about thinking that go upstream."""
    given: dict[str, Any] = {"thinking": "effort", "levels": LEVELS, "thinking_off": "say", **capabilities}
    target = Capabilities(dialect=Dialect(name=dialect, thinking=dialect), **given)  # type: ignore[arg-type]
    request = msgspec.structs.replace(client_request(max_tokens=max_tokens), reasoning=reasoning)
    return {key: value for key, value in sent(request, target).items() if key in MEMBERS}


@pytest.mark.parametrize(
    ("reasoning", "dialect", "members"),
    [
        (Reasoning(), "effort", {}),
        (Reasoning("auto"), "effort", {}),
        (Reasoning("off"), "effort", {"reasoning_effort": "none"}),
        (Reasoning("minimal"), "effort", {"reasoning_effort": "low"}),
        (Reasoning("max"), "effort", {"reasoning_effort": "high"}),
        (Reasoning(budget=5000), "effort", {"reasoning_effort": "medium"}),
        (Reasoning("high"), "groq", {"reasoning_effort": "high", "reasoning_format": "parsed"}),
        (Reasoning("high", visible=False), "groq", {"reasoning_effort": "high", "reasoning_format": "hidden"}),
        (Reasoning("high"), "together", {"reasoning_effort": "high"}),
        (Reasoning("off"), "together", {"reasoning": {"enabled": False}}),
        (Reasoning("auto"), "together", {"reasoning": {"enabled": True}}),
        (Reasoning("xhigh"), "openrouter", {"reasoning": {"effort": "high"}}),
        (Reasoning(budget=5000), "openrouter", {"reasoning": {"max_tokens": 5000}}),
        (Reasoning("off"), "openrouter", {"reasoning": {"enabled": False}}),
        (Reasoning("auto", visible=False), "openrouter", {"reasoning": {"enabled": True, "exclude": True}}),
        (Reasoning("high"), "deepseek", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        (Reasoning("off"), "deepseek", {"thinking": {"type": "disabled"}}),
    ],
)
def test_each_service_is_told_in_its_own_way(reasoning: Reasoning, dialect: str, members: Json) -> None:
    assert thinking(reasoning, dialect) == members


def test_a_hybrid_model_without_levels_is_switched_on() -> None:
    assert thinking(Reasoning("high"), "together", levels=()) == {"reasoning": {"enabled": True}}


def test_a_model_that_cannot_stop_thinking_thinks_least() -> None:
    assert thinking(Reasoning("off"), "effort", thinking_off="never") == {"reasoning_effort": "low"}
    assert thinking(Reasoning("off"), "effort", thinking_off="omit") == {}


def test_a_small_answer_is_not_eaten_up_by_thinking() -> None:
    assert thinking(Reasoning(), "effort", max_tokens=64) == {"reasoning_effort": "low"}
    assert thinking(Reasoning("high"), "effort", max_tokens=64) == {"reasoning_effort": "high"}
    assert thinking(Reasoning(), "effort", max_tokens=4096) == {}


def test_a_model_that_does_not_think_is_told_nothing_and_the_wish_is_reported() -> None:
    plain = Capabilities(thinking="none")
    assert lost(client_request(reasoning_effort="high"), plain) == ["thinking"]
    assert lost(client_request(reasoning_effort="none"), plain) == []
    assert "reasoning_effort" not in sent(client_request(reasoning_effort="high"), plain)
