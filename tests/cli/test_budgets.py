"""Budgets in the words of `bm status` and `bm doctor`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bm.cli import budgets
from bm.config.paths import Paths
from bm.config.schema import Budgets, Config, ProviderConfig
from bm.keys.key import Key
from bm.providers.provider import effective
from bm.simulator import Rule, Simulator
from bm.simulator.rules import Usage
from tests.cli.conftest import Bm
from tests.simulator.streams import ask

ROW: dict[str, Any] = {"scope": "total", "name": "", "limit": "$20/day", "unit": "money", "amount": 20, "spent": 12.3}
GROQ = ROW | {"scope": "provider", "name": "groq", "limit": "1M tokens/day", "unit": "tokens", "spent": 1500}


def test_how_far_budgets_are_used() -> None:
    assert budgets.used([ROW, GROQ]) == "$12.30 of $20/day; provider groq: 1.5k tokens of 1M tokens/day"
    assert budgets.used([]) == ""


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ROW | {"state": "ok"}, []),
        (ROW | {"state": "nearly", "spent": 17}, ["the budget, $20/day, is spent to 85%: it begins anew at "]),
        (GROQ | {"state": "spent"}, ["the budget of the provider groq, 1M tokens/day, is spent: it begins anew at "]),
    ],
)
def test_what_to_know_of_a_budget(row: dict[str, Any], words: list[str]) -> None:
    found = list(budgets.notes({"budgets": [row | {"resets_at": 0.0}]}))
    assert [note[: len(start)] for note, start in zip(found, words, strict=True)] == words


def test_an_older_daemon_knows_no_budgets() -> None:
    assert list(budgets.notes({})) == []


@pytest.mark.parametrize(
    ("budget", "keys", "models"),
    [
        (Budgets(), (), []),
        (Budgets(total="1M tokens/day"), (), []),
        (Budgets(total="1/day"), (), ["acme:acme-1"]),
        (Budgets(total="1/day", free=("acme",)), (), []),
        (Budgets(keys={"main": ("1/day",)}), (), ["acme:acme-1"]),
        (Budgets(), (Key(name="ci", budgets=("1/day",)),), ["acme:acme-1"]),
    ],
)
def test_models_that_a_budget_of_money_cannot_count(budget: Budgets, keys: tuple[Key, ...], models: list[str]) -> None:
    acme = ProviderConfig(
        enabled=True,
        mode="fallback",
        protocol="openai-chat",
        base_url="https://llm.example/v1",
        models={"default": "acme-1", "haiku": "gpt-5"},
    )
    config = Config(budgets=budget, providers={"acme": acme})
    assert [each for each in budgets.without_price(config, keys, effective(config)) if each == "acme:acme-1"] == models


def test_status_and_doctor_tell_of_a_spent_budget(
    bm: Bm, paths: Paths, simulator: Simulator, http: httpx.Client
) -> None:
    simulator.script(Rule(usage=Usage(input=900, output=20), times=None))
    assert bm("config", "set", "budgets.total", "1k tokens/day").code == 0
    assert ask(http, "anthropic").status_code == 200
    ran = bm("status")
    assert "budgets    920 tokens of 1k tokens/day" in ran.out
    assert "the budget, 1k tokens/day, is spent to 92%" in ran.err
    assert ask(http, "anthropic").status_code == 200
    assert "Budget" not in bm("doctor").err and "1k tokens/day, is spent:" in bm("doctor").out
    answer = ask(http, "anthropic")
    assert answer.status_code == 400 and "the budget, 1k tokens/day, is spent" in answer.text
