"""Between token budgets and levels of thinking."""

from __future__ import annotations

import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.request import LEVELS
from bm.chat.thinking import budget_of_level, clamp_budget, fit_level, level_of_budget
from bm.names import Level

GEMINI = Capabilities(family="gemini", budget=(128, 32_768), thinking_off="never")
CLAUDE = Capabilities(family="claude", budget=(1024, 63_999))


@pytest.mark.parametrize(
    ("budget", "level"),
    [(-1, "auto"), (0, "off"), (512, "minimal"), (1024, "low"), (8192, "medium"), (24_576, "high"), (32_768, "xhigh")],
)
def test_the_level_of_a_budget(budget: int, level: Level) -> None:
    assert level_of_budget(budget) == level


@pytest.mark.parametrize("capabilities", [GEMINI, CLAUDE])
def test_budgets_rise_with_the_level_and_stay_within_what_the_model_takes(capabilities: Capabilities) -> None:
    budgets = [budget_of_level(level, capabilities) for level in LEVELS if level != "off"]
    assert budgets == sorted(budgets)
    assert all(capabilities.budget[0] <= budget <= capabilities.budget[1] for budget in budgets)


def test_thinking_that_can_be_turned_off_is_turned_off() -> None:
    assert budget_of_level("off", CLAUDE) == 0
    assert budget_of_level("off", GEMINI) == 128
    assert budget_of_level("auto", GEMINI) == -1


def test_a_model_without_a_known_limit_takes_any_budget() -> None:
    assert clamp_budget(100_000, Capabilities()) == 100_000


@pytest.mark.parametrize(
    ("level", "levels", "fitting"),
    [
        ("medium", ("low", "high"), "low"),
        ("max", ("low", "high"), "high"),
        ("minimal", ("low", "high"), "low"),
        ("high", ("low", "medium", "high"), "high"),
        ("auto", ("low",), None),
        ("low", (), None),
    ],
)
def test_the_nearest_level_a_model_knows(level: Level, levels: tuple[Level, ...], fitting: Level | None) -> None:
    assert fit_level(level, levels) == fitting
