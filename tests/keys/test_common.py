"""Which requests must ask the store of all nodes."""

from __future__ import annotations

import pytest

from bm.config.budget import limits_of
from bm.keys.bucket import Rate
from bm.keys.common import Ask
from bm.keys.spending import Scope, Spending, Used

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("key", "provider", "rates", "asks"),
    [
        ("ci", "groq", (), True),
        ("main", "groq", (), False),
        ("main", "gemini", (), True),
        ("main", "groq", (Rate("main:rpm", 1, 1),), True),
    ],
)
def test_only_what_others_count_too_is_asked(key: str, provider: str, rates: tuple[Rate, ...], asks: bool) -> None:
    spending = Spending()
    (limit,) = limits_of("1/day")
    spending.configure([(Scope("key", "ci"), limit), (Scope("provider", "gemini"), limit)], frozenset(), NOW)
    ask = Ask(rates, spending.hold(key), Used(provider, 1.0, 0))
    assert ask.concerns_others(NOW) is asks


def test_what_is_reserved_already_is_not_asked_again() -> None:
    spending = Spending()
    spending.configure([(Scope("total"), limits_of("1/day")[0])], frozenset(), NOW)
    hold, most = spending.hold("main"), Used("groq", 1.0, 0)
    hold.reserve(most, NOW)
    assert not Ask((), hold, most).concerns_others(NOW)
    assert Ask((), hold).concerns_others(NOW)
