"""Budgets: reserved before, settled afterwards, begun anew with their period; on a clock that the test moves."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isclose

import pytest

from bm.config.budget import Limit, limits_of
from bm.keys.spending import Budget, Scope, Spending, Used

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
HOUR = 3_600.0
DAY = 24 * HOUR
TOTAL = Scope("total")


def spending(*budgets: tuple[Scope, str], free: Sequence[str] = (), warn: float = 0.8) -> Spending:
    found = Spending(UTC)
    found.configure(limited(*budgets), frozenset(free), NOON, warn=warn)
    return found


def limited(*budgets: tuple[Scope, str]) -> list[tuple[Scope, Limit]]:
    return [(scope, limit) for scope, text in budgets for limit in limits_of(text)]


def spend(of: Spending, money: float = 0.0, tokens: int = 0, *, key: str = "main", provider: str = "groq") -> None:
    of.hold(key).settle([Used(provider, money, tokens)], NOON)


@pytest.mark.parametrize(
    ("scope", "text", "key", "provider", "denied"),
    [
        (TOTAL, "1/day", "main", "groq", True),
        (TOTAL, "1/day", "ci", "gemini", True),
        (TOTAL, "1.01/day", "main", "groq", False),
        (TOTAL, "100 tokens/day", "main", "groq", True),
        (TOTAL, "101 tokens/day", "main", "groq", False),
        (Scope("provider", "groq"), "1/day", "ci", "groq", True),
        (Scope("provider", "groq"), "1/day", "ci", "gemini", False),
        (Scope("key", "main"), "1/day", "main", "gemini", True),
        (Scope("key", "main"), "1/day", "ci", "groq", False),
    ],
)
def test_whom_a_spent_budget_concerns(scope: Scope, text: str, key: str, provider: str, denied: bool) -> None:
    """Bm's own key has spent $1 and 100 tokens at groq."""
    budgets = spending((scope, text))
    spend(budgets, 1.0, 100)
    assert (budgets.denial(key, provider, NOON) is not None) is denied


def test_a_refusal_says_what_is_spent_and_until_when() -> None:
    budgets = spending((Scope("key", "ci"), "20/day"))
    spend(budgets, 20.5, key="ci")
    denial = budgets.denial("ci", "groq", NOON)
    assert denial == (
        "the budget of the key ci, $20/day, is spent ($20.50): it begins anew at 00:00 on 1 December (in 12 h 0 min)",
        "bm keys change ci --budget",
        True,
        None,
        False,
    )


def test_of_several_the_one_that_lasts_longest_is_named() -> None:
    budgets = spending((TOTAL, "1/hour"), (TOTAL, "1/month"), (TOTAL, "1/day"))
    spend(budgets, 1.0)
    denial = budgets.denial("main", "groq", NOON)
    assert denial is not None and "$1/month" in denial.message


def test_what_is_reserved_is_not_spent_and_ends_soon() -> None:
    budgets = spending((TOTAL, "1/day"))
    hold = budgets.hold("main")
    hold.reserve(Used("groq", 1.5, 10), NOON)
    denial = budgets.denial("main", "groq", NOON)
    assert denial is not None and denial.retry_after == 5
    assert denial.message == (
        "the rest of the budget, $1/day, is reserved by requests that are running: try again in 5 s"
    )
    hold.settle([Used("groq", 0.25, 10)], NOON)
    assert budgets.denial("main", "groq", NOON) is None
    assert [(budget.spent, budget.reserved) for budget in budgets] == [(0.25, 0.0)]


def test_a_request_reserves_once_for_each_provider() -> None:
    budgets = spending((TOTAL, "9/day"), (Scope("provider", "groq"), "9/day"))
    hold = budgets.hold("main")
    for provider in ("groq", "groq", "gemini"):
        hold.reserve(Used(provider, 1.0, 0), NOON)
    assert [budget.reserved for budget in budgets] == [2.0, 1.0]
    hold.settle([], NOON)
    assert [(budget.reserved, budget.spent) for budget in budgets] == [(0.0, 0.0), (0.0, 0.0)]


def test_free_providers_cost_tokens_only() -> None:
    budgets = spending((TOTAL, "1/day"), (TOTAL, "1000 tokens/day"), free=["gemini"])
    spend(budgets, 5.0, 900, provider="gemini")
    assert [budget.spent for budget in budgets] == [0.0, 900]
    spend(budgets, 5.0)
    assert budgets.denial("main", "groq", NOON) is not None
    assert budgets.denial("main", "gemini", NOON) is None
    spend(budgets, 0.0, 100, provider="gemini")
    assert budgets.denial("main", "gemini", NOON) is not None


def test_each_period_begins_anew() -> None:
    budgets = spending((TOTAL, "1/hour"), (TOTAL, "9/day"))
    spend(budgets, 1.0)
    assert budgets.denial("main", "groq", NOON + HOUR - 1) is not None
    assert budgets.denial("main", "groq", NOON + HOUR) is None
    assert [budget.spent for budget in budgets] == [0.0, 1.0]
    assert budgets.denial("main", "groq", NOON + DAY) is None
    assert [budget.spent for budget in budgets] == [0.0, 0.0]


def test_a_request_counts_in_the_period_in_which_it_began() -> None:
    budgets = spending((TOTAL, "1/hour"))
    late = budgets.hold("main")
    late.reserve(Used("groq", 0.9, 0), NOON + HOUR - 1)
    hold = budgets.hold("main")
    hold.reserve(Used("groq", 0.5, 0), NOON + HOUR)
    late.settle([Used("groq", 0.9, 0)], NOON + HOUR + 1)
    assert [(budget.spent, budget.reserved) for budget in budgets] == [(0.0, 0.5)]


@pytest.mark.parametrize("back", [10.0, HOUR, DAY, 400 * DAY])
def test_a_clock_that_is_set_back_forgets_nothing(back: float) -> None:
    budgets = spending((TOTAL, "1/hour"))
    hold = budgets.hold("main")
    hold.reserve(Used("groq", 0.5, 0), NOON)
    hold.settle([Used("groq", 1.0, 0)], NOON - back)
    assert budgets.denial("main", "groq", NOON - back) is not None
    assert budgets.denial("main", "groq", NOON - back + HOUR) is None


def test_a_clock_that_was_far_ahead_does_not_lock_a_budget_for_long() -> None:
    budgets = spending((TOTAL, "1/day"))
    budgets.denial("main", "groq", NOON + 3000 * DAY)
    spend(budgets, 1.0)
    assert budgets.denial("main", "groq", NOON) is not None
    assert budgets.denial("main", "groq", NOON + DAY) is None


def test_it_tells_once_that_a_budget_is_nearly_spent_and_once_that_it_is() -> None:
    budgets = spending((TOTAL, "10/day"), warn=0.8)
    said = [
        news for amount in (7.9, 0.1, 1, 1, 1) for news in budgets.hold("main").settle([Used("x", amount, 0)], NOON)
    ]
    assert [news.partition(":")[0] for news in said] == [
        "80% of the budget, $10/day, is spent",
        "the budget, $10/day, is spent ($10)",
    ]
    again = budgets.hold("main").settle([Used("x", 9, 0)], NOON + DAY)
    assert [news.partition(":")[0] for news in again] == ["90% of the budget, $10/day, is spent"]


def test_changed_settings_keep_what_was_spent() -> None:
    budgets = spending((TOTAL, "1/day"), (Scope("key", "ci"), "1/day"))
    assert len(budgets.unread) == 2
    budgets.unread.clear()
    spend(budgets, 1.0, key="ci")
    budgets.configure(limited((TOTAL, "2/day"), (TOTAL, "2/hour")), frozenset(), NOON)
    assert [(str(budget.limit), budget.spent) for budget in budgets] == [("$2/day", 1.0), ("$2/hour", 0.0)]
    assert [str(budget.limit) for budget in budgets.unread] == ["$2/hour"]


def test_of_two_limits_for_the_same_the_lower_counts() -> None:
    budgets = spending((Scope("key", "ci"), "5/day"), (Scope("key", "ci"), "3/day"), (Scope("key", "ci"), "4/day"))
    assert [str(budget.limit) for budget in budgets] == ["$3/day"]


def test_what_the_ledger_knows_is_counted_where_it_belongs() -> None:
    scopes = (TOTAL, Scope("key", "ci"), Scope("provider", "groq"), Scope("provider", "gemini"))
    budgets = spending(*((scope, "9/day") for scope in scopes), (TOTAL, "1M tokens/day"), free=["gemini"])
    rows = [("ci", Used("groq", 1.0, 10)), ("main", Used("groq", 2.0, 20)), ("ci", Used("gemini", 4.0, 40))]
    for budget in list(budgets.unread):
        budgets.restore(budget, rows)
    assert [budget.spent for budget in budgets] == [3.0, 1.0, 3.0, 0.0, 70]


def test_what_an_earlier_run_has_saved_holds_until_the_ledger_is_read() -> None:
    earlier, later = spending((TOTAL, "9/day")), spending((TOTAL, "5/day"), (TOTAL, "9/hour"))
    spend(earlier, 2.0)
    later.recall(earlier.saved(NOON))
    assert [budget.spent for budget in later] == [2.0, 0.0]
    spend(later, 0.5)
    for _ in range(2):
        later.restore(next(iter(later)), [("main", Used("groq", 3.0, 0))])
        assert [budget.spent for budget in later] == [3.5, 0.5]


def test_what_was_saved_in_an_earlier_period_does_not_count() -> None:
    earlier, later = spending((TOTAL, "9/day")), spending((TOTAL, "9/day"))
    spend(earlier, 2.0)
    saved = earlier.saved(NOON)
    assert earlier.saved(NOON + 86_400) == []
    next(iter(later)).advance(NOON + 86_400)
    later.recall(saved)
    assert [budget.spent for budget in later] == [0.0]


def test_without_budgets_nothing_is_denied() -> None:
    assert not spending().active
    assert spending().denial("main", "groq", NOON) is None


class Stream:
    """A running request: what it has reserved, and what it will cost if it is not aborted."""

    def __init__(self, budgets: Spending, chance: random.Random, now: float) -> None:
        self.most, self.hold = chance.uniform(0.001, 0.2), budgets.hold("main")
        self.hold.reserve(Used("groq", self.most, 0), now)

    def end(self, chance: random.Random, now: float) -> float:
        """It costs at most what it has reserved; aborted, what it had by then."""
        cost = self.most * chance.choice((1.0, chance.random(), 0.0))
        self.hold.settle([Used("groq", cost, 0)] if cost else [], now)
        return cost


@pytest.mark.parametrize("seed", range(100))
def test_a_budget_is_never_exceeded_by_more_than_one_reservation(seed: int) -> None:
    """200 streams at the same time, with aborts, against $1."""
    chance = random.Random(seed)
    budgets = spending((TOTAL, "1/day"))
    (budget,) = budgets
    running: list[Stream] = []
    spent, largest, now = 0.0, 0.0, NOON
    for _ in range(2_000):
        now += chance.random()
        if len(running) < 200 and chance.random() < 0.6:
            if budgets.denial("main", "groq", now) is None:
                running.append(Stream(budgets, chance, now))
                largest = max(largest, running[-1].most)
        elif running:
            spent += running.pop(chance.randrange(len(running))).end(chance, now)
        outstanding = sum(stream.most for stream in running)
        assert spent + outstanding <= 1 + largest + 1e-9
        assert isclose(budget.spent, spent, abs_tol=1e-12) and isclose(budget.reserved, outstanding, abs_tol=1e-12)
    assert 1 - largest < spent + sum(stream.most for stream in running)


def test_the_amounts_of_a_budget_are_of_its_unit() -> None:
    money, tokens = (Budget(TOTAL, limit, NOON, UTC) for limit in limits_of(("1/day", "1 tokens/day")))
    assert (money.amount(Used("x", 0.5, 7)), tokens.amount(Used("x", 0.5, 7))) == (0.5, 7)


def test_a_shared_budget_counts_what_the_ledger_and_its_store_know_once() -> None:
    budgets = spending((TOTAL, "9/day"))
    budgets.is_shared = True
    (budget,) = budgets
    for known, expected in ((2.0, 2.0), (1.5, 2.0), (3.0, 3.0)):
        budgets.restore(budget, [("main", Used("groq", known, 0))])
        assert budget.spent == expected


def test_the_next_daemon_hears_of_shared_budgets_from_their_store() -> None:
    budgets = spending((TOTAL, "9/day"))
    budgets.is_shared = True
    budgets.take_journal()
    spend(budgets, 1.0)
    assert budgets.take_journal() == ()


@pytest.mark.parametrize(("nodes", "share"), [(1, 0.4), (2, 0.2), (4, 0.1)])
def test_nodes_that_are_apart_divide_what_is_left(nodes: int, share: float) -> None:
    """Of $1, $0.50 is spent and $0.10 reserved."""
    budgets = spending((TOTAL, "1/day"))
    spend(budgets, 0.5)
    budgets.hold("main").reserve(Used("groq", 0.1, 0), NOON)
    (budget,) = budgets
    for _ in range(3):
        budget.divide(nodes)
    assert budget.limit.amount - budget.spent - budget.reserved == pytest.approx(share)
    (budget,) = budgets.now(NOON + DAY)
    assert budget.limit.amount - budget.reserved == pytest.approx(1 / nodes)


def test_a_refusal_while_apart_says_so() -> None:
    budgets = spending((TOTAL, "1/day"))
    (budget,) = budgets
    budget.divide(2)
    spend(budgets, 0.5)
    denial = budgets.denial("main", "groq", NOON)
    assert denial is not None and (denial.apart, denial.retry_after) == (True, 30)
    assert denial.message == (
        "this node's share of the budget, $1/day, is used up or reserved, "
        "and the store by which the nodes share it is away: try again in 30 s"
    )
    spend(budgets, 0.5)
    denial = budgets.denial("main", "groq", NOON)
    assert denial is not None and not denial.apart and "is spent" in denial.message
